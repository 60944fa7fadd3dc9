// The effective configuration as a file: reading it back gives the same snapshot.
#pragma once

#include <string>

#include "config/snapshot.h"

namespace ringway::config {

std::string to_yaml(const Snapshot& snapshot);

}  // namespace ringway::config
