// All 256 frame types with all 256 flags, on streams in every state: no crash, no broken invariant, and either the
// connection has failed or the next frame is read.
#include <gtest/gtest.h>

#include "rows.h"

namespace ringway::h2::conformance {
namespace {

constexpr uint32_t kIds[] = {0,         kOpen,    kEnded, kResetByUs, kOver,     kResetByPeer,
                             kAnswered, kSkipped, kLast,  kIdle,      kEvenIdle, kStreamIdMax};
constexpr uint32_t kKnownTypes = 10;

// Lengths that are right for one type or another, and a block that can be decoded.
std::vector<std::string> payloads(Role role) {
  return {"",        std::string(1, '\0'),        octets(4),          std::string(5, '\0'), wire::u16(3) + wire::u32(1),
          octets(8), wire::block(kTrailerFields), message_block(role)};
}

void expect_alive(Endpoint& end) {
  end.take_output();
  end.receive(wire::ping("12345678"));
  const auto answer = end.take_frames();
  ASSERT_TRUE(!answer.empty() && answer.back().is(FrameType::kPing));
}

void expect_survived(Memory& memory, Role role, const std::string& frame) {
  Endpoint end(role, memory);
  prepare(end, Start::kStreams);
  end.receive(frame);
  if (end.connection.has_failed()) return;
  // A block that has only begun ends here.
  const bool has_begun = frame[3] == 1 && (frame[4] & kFlagEndHeaders) == 0;
  if (has_begun) {
    end.receive(wire::ping("12345678"));
    ASSERT_EQ(name_of(end.connection.failure_code()), "PROTOCOL_ERROR");
    return;
  }
  expect_alive(end);
}

class EveryFrame : public testing::TestWithParam<Role> {};

TEST_P(EveryFrame, OfTheTenKnownTypes) {
  Memory memory(1, 100, 1 << 20);
  const auto bodies = payloads(GetParam());
  for (uint32_t type = 0; type < kKnownTypes; ++type) {
    for (uint32_t flags = 0; flags < 256; ++flags) {
      // Those that mean something go with every payload, the others with one that changes.
      const bool has_meaning = (flags & ~0x2du) == 0;
      for (const uint32_t id : kIds) {
        for (size_t body = 0; body < bodies.size(); ++body) {
          if (!has_meaning && body != (type + flags + id / 2) % bodies.size()) continue;
          expect_survived(memory, GetParam(), raw(type, static_cast<uint8_t>(flags), id, bodies[body]));
          if (HasFatalFailure())
            FAIL() << "type " << type << " flags " << flags << " stream " << id << " body " << body;
        }
      }
    }
  }
  EXPECT_EQ(memory.streams.live_count(), 0u);
}

TEST_P(EveryFrame, OfTheOtherTypes) {
  Memory memory(1, 100, 1 << 20);
  Limits limits = test_limits();
  limits.glitches = {1'000'000, 1};
  Endpoint end(GetParam(), memory, limits);
  prepare(end, Start::kStreams);
  for (uint32_t type = kKnownTypes; type < 256; ++type) {
    std::string frames;
    for (uint32_t flags = 0; flags < 256; ++flags) {
      for (const uint32_t id : kIds) frames += raw(type, static_cast<uint8_t>(flags), id, octets(flags % 20));
    }
    ASSERT_TRUE(end.receive(frames).empty()) << type;
    ASSERT_EQ(end.take_output(), "") << type;
  }
  expect_alive(end);
}

INSTANTIATE_TEST_SUITE_P(Roles, EveryFrame, testing::Values(Role::kServer, Role::kClient),
                         [](const auto& role) { return role.param == Role::kServer ? "server" : "client"; });

}  // namespace
}  // namespace ringway::h2::conformance
