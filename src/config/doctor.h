// What io::probe() found, and what the kernel can do of TLS, as the table that --doctor prints.
#pragma once

#include <string>
#include <vector>

#include "io/probe.h"
#include "tls/kernel.h"

namespace ringway::config {

// A row for each direction: the ciphers, and why not the others.
std::vector<io::Finding> kernel_tls_findings(const tls::KernelSupport& support);

std::string doctor_table(const io::Probe& probe);

}  // namespace ringway::config
