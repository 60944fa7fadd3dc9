// Short texts made on the stack: grpc-messages and log texts, cut where they are too long.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace ringway::proxy {

// Lives as long as the object; at most kSizeMax octets.
class Text {
 public:
  static constexpr size_t kSizeMax = 400;

  template <typename... Arguments>
  explicit Text(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    const auto result = fmt::format_to_n(octets_, kSizeMax, format, std::forward<Arguments>(arguments)...);
    size_ = result.size < kSizeMax ? result.size : kSizeMax;
  }

  operator std::string_view() const noexcept { return {octets_, size_}; }

 private:
  char octets_[kSizeMax];
  size_t size_;
};

}  // namespace ringway::proxy
