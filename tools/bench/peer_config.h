// Configurations of the proxies that ringway is compared with, tuned as their own guides say: one worker, no access
// log, HTTP/2 in cleartext on both sides, connections to the origin kept for ever, no limit in the way of the load.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ringway::bench {

// `origins` are HOST:PORT. `directory` takes what the proxy writes.
std::string haproxy_config(uint16_t port, const std::vector<std::string>& origins);
std::string nginx_config(uint16_t port, const std::vector<std::string>& origins, const std::string& directory,
                         bool is_root);
std::vector<std::string> nghttpx_arguments(uint16_t port, const std::vector<std::string>& origins);

}  // namespace ringway::bench
