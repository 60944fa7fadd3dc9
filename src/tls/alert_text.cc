#include "tls/alert_text.h"

#include <fmt/format.h>

#include <array>

namespace ringway::tls {
namespace {

struct AlertRow {
  uint8_t description;
  std::string_view name;
  std::string_view meaning;  // of an endpoint's alert; empty: none beyond its name
};

// RFC 8446 section 6, RFC 5246 section 7.2.2, RFC 7301 section 3.2.
constexpr std::array kAlerts = {
    AlertRow{0, "close_notify", "it ended the connection"},
    AlertRow{10, "unexpected_message", ""},
    AlertRow{20, "bad_record_mac", ""},
    AlertRow{22, "record_overflow", ""},
    AlertRow{40, "handshake_failure",
             "nothing that it and ringway both accept was found, or it wants a client certificate"},
    AlertRow{42, "bad_certificate", "it does not accept the client certificate, or wants one"},
    AlertRow{43, "unsupported_certificate", "it does not accept the client certificate's kind"},
    AlertRow{44, "certificate_revoked", "the client certificate is revoked"},
    AlertRow{45, "certificate_expired", "the client certificate has expired"},
    AlertRow{46, "certificate_unknown", "it does not accept the client certificate"},
    AlertRow{47, "illegal_parameter", ""},
    AlertRow{48, "unknown_ca", "it does not know who issued the client certificate"},
    AlertRow{49, "access_denied", "it does not let this client certificate in"},
    AlertRow{50, "decode_error", ""},
    AlertRow{51, "decrypt_error", ""},
    AlertRow{70, "protocol_version", "it accepts no TLS version of 1.2 and 1.3"},
    AlertRow{71, "insufficient_security", "it accepts none of the cipher suites"},
    AlertRow{80, "internal_error", ""},
    AlertRow{90, "user_canceled", ""},
    AlertRow{100, "no_renegotiation", ""},
    AlertRow{109, "missing_extension", ""},
    AlertRow{110, "unsupported_extension", ""},
    AlertRow{112, "unrecognized_name", "it serves no such name"},
    AlertRow{113, "bad_certificate_status_response", ""},
    AlertRow{115, "unknown_psk_identity", ""},
    AlertRow{116, "certificate_required", "it wants a client certificate"},
    AlertRow{120, "no_application_protocol", "it does not speak HTTP/2 over TLS"},
};

const AlertRow* find(uint8_t description) {
  for (const AlertRow& row : kAlerts) {
    if (row.description == description) return &row;
  }
  return nullptr;
}

// What clients say of the certificate that ringway has shown them.
bool is_about_certificate(uint8_t description) {
  return description >= 42 && description <= 49 && description != 47;
}

}  // namespace

std::string alert_name(uint8_t description) {
  const AlertRow* const row = find(description);
  return row != nullptr ? std::string(row->name) : fmt::format("alert {}", description);
}

std::string describe_alert(uint8_t description, bool from_client) {
  const AlertRow* const row = find(description);
  if (from_client) {
    const std::string_view why = is_about_certificate(description) ? ": it does not accept the certificate shown" : "";
    return fmt::format("the client ended the handshake (TLS alert {}){}", alert_name(description), why);
  }
  if (row == nullptr || row->meaning.empty())
    return fmt::format("it ended the handshake (TLS alert {})", alert_name(description));
  return fmt::format("{} (TLS alert {})", row->meaning, row->name);
}

}  // namespace ringway::tls
