#include "h2/fault.h"

#include <cstddef>
#include <iterator>

namespace ringway::h2 {
namespace {

constexpr std::string_view kFaultTexts[] = {
    "nothing",
    "a field name or value with forbidden octets (RFC 9113 section 8.2.1)",
    "a pseudo-field that is unknown, misplaced, repeated or of no valid value (RFC 9113 section 8.3)",
    "a pseudo-field is missing (RFC 9113 section 8.3)",
    "a field of HTTP/1 connections, or te in another sense than trailers (RFC 9113 section 8.2.2)",
    "host repeated, malformed or unlike :authority (RFC 9113 section 8.3.1)",
    "CONNECT with more or less than host and port (RFC 9113 section 8.5)",
    "content-length that is not one number (RFC 9110 section 8.6)",
    "content-length and DATA differ, or DATA where there is no content (RFC 9113 section 8.1.1)",
    "trailers without END_STREAM (RFC 9113 section 8.1)",
    "an informational response that ends its stream (RFC 9113 section 8.1)",
    "status 101 (RFC 9113 section 8.6)",
    "DATA before the header fields (RFC 9113 section 8.1)",
    "a frame behind END_STREAM (RFC 9113 section 5.1)",
    "PRIORITY of wrong length (RFC 9113 section 6.3)",
    "WINDOW_UPDATE of zero (RFC 9113 section 6.9)",
    "a window beyond 2^31-1 (RFC 9113 section 6.9.1)",
    "DATA beyond the stream's window (limits.window)",
    "DATA beyond the stream's window (limits.upstream_window)",
    "a header field of too many octets (limits.field)",
    "header list of too many octets (limits.header_list)",
    "header list of too many fields (limits.header_fields)",
    "more calls at once than allowed (limits.streams)",
};
static_assert(std::size(kFaultTexts) == static_cast<size_t>(Fault::kCount));

}  // namespace

std::string_view text_of(Fault fault) noexcept {
  return kFaultTexts[static_cast<size_t>(fault)];
}

}  // namespace ringway::h2
