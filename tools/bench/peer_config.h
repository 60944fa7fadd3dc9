// Configurations of the proxies that ringway is compared with, tuned as their own guides say: one worker, no access
// log, HTTP/2 in cleartext on both sides, or TLS in front of it with the one cipher that all have, connections to the
// origin kept for ever, no limit in the way of the load.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "certificates.h"

namespace ringway::bench {

// `origins` are HOST:PORT. `directory` takes what the proxy writes. `tls` is null for cleartext.
std::string haproxy_config(uint16_t port, const std::vector<std::string>& origins, const Certificates* tls = nullptr);
std::string nginx_config(uint16_t port, const std::vector<std::string>& origins, const std::string& directory,
                         bool is_root, const Certificates* tls = nullptr);
std::vector<std::string> nghttpx_arguments(uint16_t port, const std::vector<std::string>& origins,
                                           const Certificates* tls = nullptr);

}  // namespace ringway::bench
