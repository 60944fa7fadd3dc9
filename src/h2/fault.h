// What a peer can do wrong on one stream, in words. The connection goes on; logs, counters and the answers to other
// peers name the rule or the limit.
#pragma once

#include <cstdint>
#include <string_view>

namespace ringway::h2 {

enum class Fault : uint8_t {
  kNone,
  kFieldOctets,
  kPseudoField,
  kMissingField,
  kConnectionField,
  kHost,
  kConnect,
  kContentLength,
  kLength,
  kOpenTrailers,
  kInformational,
  kSwitching,
  kEarlyData,
  kBehindEnd,
  kPriorityLength,
  kZeroUpdate,
  kUpdateOverflow,
  // From here on limits.
  kWindow,
  kUpstreamWindow,
  kField,
  kHeaderList,
  kHeaderFields,
  kStreams,
  kCount,
};

// Such a message is no worse than others, and one too many or too large.
constexpr bool is_of_limit(Fault fault) noexcept {
  return fault >= Fault::kWindow;
}

// A noun phrase that ends with the section or the key of the limit, in parentheses.
std::string_view text_of(Fault fault) noexcept;

}  // namespace ringway::h2
