#include "call.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "profile.h"
#include "report.h"

namespace ringway::sim {
namespace {

constexpr size_t kMessageHead = 5;
constexpr uint32_t kRefusedStream = 7;

// Octets without a period that a gap or a repeat could hide behind.
const std::string& noise() {
  static const std::string made = [] {
    std::string octets(1 << 16, '\0');
    base::Prng prng(0);
    for (char& octet : octets) octet = static_cast<char>(prng.next());
    return octets;
  }();
  return made;
}

// gRPC messages of `message_bytes` each, the last one shorter; octets that call and direction decide.
std::string make_body(uint32_t id, bool is_response, uint32_t size, uint32_t message_bytes) {
  std::string body;
  body.reserve(size);
  size_t position = (id * 2654435761u + (is_response ? 40503u : 0)) % noise().size();
  while (body.size() < size) {
    const size_t left = size - body.size();
    if (left < kMessageHead) {
      // Not even a head fits: the message before is not there to be made longer, so such sizes are not drawn.
      fail("a body of {} octets cannot end in a message", size);
    }
    size_t length = std::min<size_t>(message_bytes, left - kMessageHead);
    if (const size_t rest = left - kMessageHead - length; rest != 0 && rest < kMessageHead) length += rest;
    const char head[kMessageHead] = {0, static_cast<char>(length >> 24), static_cast<char>(length >> 16),
                                     static_cast<char>(length >> 8), static_cast<char>(length)};
    body.append(head, kMessageHead);
    while (length != 0) {
      const size_t part = std::min(length, noise().size() - position);
      body.append(noise(), position, part);
      position = (position + part) % noise().size();
      length -= part;
    }
  }
  return body;
}

uint32_t draw_size(base::Prng& prng, uint32_t large_max) {
  const uint32_t kind = prng.below(100);
  if (kind < 15) return 0;
  if (kind < 80) return 5 + prng.below(400);
  if (kind < 95) return 5 + prng.below(std::min(large_max, 20'000u));
  return 5 + prng.below(large_max);
}

void draw_answer(const Profile& profile, base::Prng& prng, Plan& plan) {
  constexpr uint32_t kCodes[] = {2, 5, 8, 11};  // INTERNAL_ERROR, STREAM_CLOSED, CANCEL, ENHANCE_YOUR_CALM
  const uint32_t kind = prng.below(100);
  if (kind < 4) {
    plan.answer = Answer::kEarly;
  } else if (kind < 7) {
    plan.answer = Answer::kEarlyNoError;
  } else if (kind < 12) {
    plan.answer = Answer::kStatusOnly;
    plan.status = 1 + prng.below(16);
  } else if (kind < 15) {
    plan.answer = Answer::kReset;
    plan.reset_at = prng.below(plan.response_bytes + 1);
    plan.reset_code = kCodes[prng.below(4)];
    // Behind the beginning of an answer it does not mean that the call may be sent again.
    if (plan.reset_at != 0 && prng.below(4) == 0) plan.reset_code = kRefusedStream;
  } else if (kind < 16) {
    plan.answer = Answer::kNone;
    plan.deadline_ns = (20 + prng.below(2'000)) * base::kMillisecond_ns;
  }
  if (plan.status == 0 && prng.below(20) == 0) plan.status = prng.below(17);
  if (prng.below(40) == 0) plan.refusals = 1 + prng.below(profile.is_stormy() ? 3 : 1);
  if (prng.below(50) == 0) plan.informational = 1 + prng.below(3);
}

}  // namespace

Plan draw_plan(const Profile& profile, base::Prng& prng) {
  Plan plan;
  plan.is_grpc = prng.below(20) != 0;
  plan.has_request_trailers = prng.below(50) == 0;
  plan.request_bytes = draw_size(prng, profile.large_bytes);
  plan.response_bytes = draw_size(prng, profile.large_bytes);
  plan.message_bytes = prng.below(3) == 0 ? 1 + prng.below(64) : 1 + prng.below(8192);
  if (prng.below(10) == 0) plan.metadata_bytes = 1 + prng.below(prng.below(10) == 0 ? 20'000 : 300);
  if (profile.has_large_metadata) plan.metadata_bytes = 10'000 + prng.below(5'000);
  if (prng.below(6) == 0) plan.request_chunk = 1 + plan.request_bytes / (1 + prng.below(8));
  if (prng.below(6) == 0) plan.response_chunk = 1 + plan.response_bytes / (1 + prng.below(8));
  plan.pause_ns = prng.below(20'000'000);
  if (prng.below(2) == 0) plan.think_ns = prng.below(prng.below(20) == 0 ? 3'000'000'000 : 5'000'000);
  if (prng.below(10) == 0) plan.credit_delay_ns = prng.below(300'000'000);
  draw_answer(profile, prng, plan);
  if (plan.deadline_ns == 0 && prng.below(4) == 0) plan.deadline_ns = 600 * base::kSecond_ns;
  if (profile.is_stormy() && prng.below(20) == 0) plan.deadline_ns = prng.below(500'000'000) + base::kMillisecond_ns;
  if (prng.below(15) == 0) plan.cancel_after_ns = 1 + prng.below(prng.below(2) == 0 ? 1'000'000 : 100'000'000);
  if (!plan.is_grpc) {
    // Without gRPC there is no other end than that of the body.
    plan.has_request_trailers = false;
    plan.status = 0;
    if (plan.answer == Answer::kStatusOnly) plan.answer = Answer::kWhole;
  }
  return plan;
}

Call::Call(uint32_t number, const Plan& drawn)
    : id(number),
      plan(drawn),
      request(make_body(number, false, drawn.request_bytes, drawn.message_bytes)),
      response(make_body(number, true, drawn.response_bytes, drawn.message_bytes)) {}

void Call::check_octets(std::string_view part, size_t offset, bool is_response) const {
  const std::string& body = is_response ? response : request;
  const char* const direction = is_response ? "response" : "request";
  expect(offset + part.size() <= body.size(), "call {}: {} octets of a {} of {}", id, offset + part.size(), direction,
         body.size());
  const bool is_same = part.empty() || std::memcmp(part.data(), body.data() + offset, part.size()) == 0;
  expect(is_same, "call {}: its {} has changed between octets {} and {}", id, direction, offset, offset + part.size());
}

bool Call::is_at_boundary(size_t size) const {
  size_t position = 0;
  while (position < size) {
    const auto octet = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(response[position + i])); };
    position += kMessageHead + (octet(1) << 24 | octet(2) << 16 | octet(3) << 8 | octet(4));
  }
  return position == size;
}

}  // namespace ringway::sim
