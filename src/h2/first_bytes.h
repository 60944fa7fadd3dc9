// What a peer speaks, told from the first octets of its connection, however they are cut. Pure functions.
#pragma once

#include <cstdint>
#include <span>

namespace ringway::h2 {

enum class Speech : uint8_t {
  kUndecided,  // the octets so far may still become one or the other
  kHttp2,
  kTls,    // a TLS record, of any type
  kHttp1,  // a request or status line of HTTP/1.0 or 1.1
  kUnknown,
};

// The longest request line that is waited for; a method that is longer than kMethodMax is none.
inline constexpr size_t kRequestLineMax = 8192;
inline constexpr size_t kMethodMax = 24;

// Of a client. HTTP/2 is its whole preface (RFC 9113 section 3.4), HTTP/1 a whole request line.
Speech recognise_client(std::span<const uint8_t> octets) noexcept;

// "HTTP/1.1", as a status line begins: all of it has come when a server is told to speak HTTP/1.
inline constexpr size_t kStatusVersionSize = 8;

// Of a server, whose first frame is SETTINGS (RFC 9113 section 3.4). GOAWAY passes too: it is an error, but one of
// HTTP/2. At most kFrameHeaderSize octets are looked at.
Speech recognise_server(std::span<const uint8_t> octets) noexcept;

}  // namespace ringway::h2
