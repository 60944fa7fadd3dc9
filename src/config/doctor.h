// What io::probe() found, as the table that --doctor prints.
#pragma once

#include <string>

#include "io/probe.h"

namespace ringway::config {

std::string doctor_table(const io::Probe& probe);

}  // namespace ringway::config
