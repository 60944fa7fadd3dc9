#include "request.h"

#include <fmt/format.h>

#include <charconv>

#include "base/units.h"

namespace ringway::echo {
namespace {

constexpr std::string_view kWishPrefix = "x-echo-";
constexpr std::string_view kHealthCheckPath = "/grpc.health.v1.Health/Check";
constexpr std::string_view kHealthWatchPath = "/grpc.health.v1.Health/Watch";
// A delay beyond an hour or an answer beyond 4 GiB (gRPC's own limit of a message) is a mistake, and is clamped.
constexpr uint64_t kDelay_ms_max = 3'600'000;
constexpr uint64_t kMessage_bytes_max = UINT32_MAX;

// The number at the start of `text`, at most `largest`; 0 where there is none.
uint64_t number(std::string_view text, uint64_t largest) noexcept {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) return largest;
  return std::min(value, largest);
}

bool is_returned(std::string_view name) noexcept {
  return name.starts_with("x-") || name.ends_with("-bin") || name == "te" || name == "grpc-timeout" ||
         name == "user-agent";
}

}  // namespace

void RequestReader::begin() noexcept {
  answer_ = Answer::kEcho;
  wishes_.reset();
  drop_fields();
}

void RequestReader::add(nghttp2_rcbuf* name_buffer, nghttp2_rcbuf* value_buffer) {
  const std::string_view name = session::text_of(name_buffer);
  if (name.front() == ':') {
    if (name != ":path") return;
    const std::string_view path = session::text_of(value_buffer);
    if (path == kHealthCheckPath) answer_ = Answer::kHealthCheck;
    if (path == kHealthWatchPath) answer_ = Answer::kHealthWatch;
    return;
  }
  if (name.starts_with(kWishPrefix)) read_wish(name.substr(kWishPrefix.size()), session::text_of(value_buffer));
  if (!is_returned(name)) return;
  nghttp2_rcbuf_incref(name_buffer);
  nghttp2_rcbuf_incref(value_buffer);
  fields_.emplace_back(name_buffer, value_buffer);
}

Wishes& RequestReader::wishes() {
  if (!wishes_) wishes_ = std::make_unique<Wishes>();
  return *wishes_;
}

void RequestReader::read_wish(std::string_view name, std::string_view value) {
  if (name == "delay-ms") {
    wishes().delay_ns = number(value, kDelay_ms_max) * base::kMillisecond_ns;
  } else if (name == "status") {
    wishes().grpc_status = static_cast<uint32_t>(number(value, UINT32_MAX));
  } else if (name == "message") {
    wishes().grpc_message = value;
  } else if (name == "reset-code") {
    wishes().reset_code = static_cast<uint32_t>(number(value, UINT32_MAX));
    wishes().has_reset_code = true;
  } else if (name == "trailers-only") {
    wishes().is_trailers_only = value == "1";
  } else if (name == "headers") {
    wishes().wants_headers = value == "1";
  } else if (name == "response-bytes") {
    wishes().response_bytes = number(value, kMessage_bytes_max);
    if (answer_ == Answer::kEcho) answer_ = Answer::kFixed;
  }
}

Answer RequestReader::finish(std::unique_ptr<Wishes>& wishes) {
  if (wishes_) {
    wishes_->status_text = fmt::format("{}", wishes_->grpc_status);
    if (wishes_->wants_headers) {
      for (const auto& [name, value] : fields_) {
        wishes_->headers.emplace_back(fmt::format("echo-{}", session::text_of(name)), session::text_of(value));
      }
    }
  }
  drop_fields();
  wishes = std::move(wishes_);
  return answer_;
}

void RequestReader::drop_fields() noexcept {
  for (const auto& [name, value] : fields_) {
    nghttp2_rcbuf_decref(name);
    nghttp2_rcbuf_decref(value);
  }
  fields_.clear();
}

}  // namespace ringway::echo
