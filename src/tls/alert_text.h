// Alerts in words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ringway::tls {

// The RFC's name of an alert description, as in "bad_certificate"; "alert 200" for one that has none.
std::string alert_name(uint8_t description);

// What it means that the peer has sent it: a sentence without a period. `from_client`: to a server.
std::string describe_alert(uint8_t description, bool from_client);

}  // namespace ringway::tls
