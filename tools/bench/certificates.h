// The certificates of a run with TLS, as scripts/make-certs writes them, and whether this kernel takes records over.
#pragma once

#include <optional>
#include <string>

#include "process.h"

namespace ringway::bench {

// The files that are needed of a folder; all under one name each, whoever shows or trusts them.
struct Certificates {
  std::string ca;
  std::string certificate;
  std::string private_key;
  std::string pair;  // certificate and key in one file, as HAProxy wants them
};

// From `folder`, or, where that is empty, made by `script` in the scratch directory. Throws Failure.
Certificates find_certificates(const std::string& folder, const std::string& script, const ScratchDirectory& scratch);

// Nothing where the kernel has TLS, after its module was asked for; else why not.
std::optional<std::string> missing_kernel_tls(const ScratchDirectory& scratch);

// Is there a word "tls" in what /proc/sys/net/ipv4/tcp_available_ulp holds?
bool lists_tls(const std::string& protocols);

}  // namespace ringway::bench
