// What the tests of io/ share: an enabled ring with the loop of its owner, and connected sockets over loopback.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/units.h"
#include "io/ring.h"
#include "io/socket.h"

namespace ringway::io {

inline Ring make_ring(RingOptions options = {64, 256}) {
  auto ring = Ring::create(options);
  if (!ring) {
    ADD_FAILURE() << ring.error();
    std::abort();
  }
  const auto enabled = ring->enable();
  EXPECT_TRUE(enabled) << (enabled ? "" : enabled.error());
  return std::move(*ring);
}

// Drains what is there into `completions`.
inline void drain_into(Ring& ring, std::vector<Completion>& completions) {
  std::array<Completion, 16> some{};
  while (const size_t count = ring.drain(some))
    completions.insert(completions.end(), some.begin(), some.begin() + static_cast<ptrdiff_t>(count));
}

// Enters without waiting until nothing is hidden: what a shard does before it flushes.
inline void settle(Ring& ring, std::vector<Completion>& completions) {
  drain_into(ring, completions);
  while (!ring.settled()) {
    ring.enter(1, 0);
    drain_into(ring, completions);
  }
}

// Waits until `count` completions have come; five seconds without any is a failure.
inline std::vector<Completion> wait_for(Ring& ring, size_t count) {
  std::vector<Completion> completions;
  while (completions.size() < count) {
    const size_t before = completions.size();
    const uint64_t now = base::monotonic_ns();
    ring.enter(now, now + 5 * base::kSecond_ns);
    drain_into(ring, completions);
    if (completions.size() == before && base::monotonic_ns() - now > 4 * base::kSecond_ns) {
      ADD_FAILURE() << "waited for " << count << " completions, got " << before;
      break;
    }
  }
  return completions;
}

struct SocketPair {
  Fd near;
  Fd far;
};

inline SocketPair unix_pair() {
  int fds[2] = {-1, -1};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
  return {Fd(fds[0]), Fd(fds[1])};
}

// A TCP connection over loopback whose near side can hold only a few kilobytes before the far side reads.
inline SocketPair tcp_pair(int send_buffer_bytes = 8192) {
  Fd listening = std::move(*listen_socket(*Address::parse("127.0.0.1:0"), {}));
  // The receiving side's buffer is set before the handshake, which announces the window that follows from it.
  setsockopt(listening.get(), SOL_SOCKET, SO_RCVBUF, &send_buffer_bytes, sizeof send_buffer_bytes);
  Fd near(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  setsockopt(near.get(), SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof send_buffer_bytes);
  const Address address = local_address(listening);
  EXPECT_EQ(connect(near.get(), address.data(), address.size()), 0);
  Fd far(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  EXPECT_TRUE(far.is_open());
  set_stream_options(near.get(), 0);
  return {std::move(near), std::move(far)};
}

// A pattern whose every position tells itself apart from its neighbours, so that a gap or a repeat shows.
inline std::vector<uint8_t> pattern(size_t size) {
  std::vector<uint8_t> bytes(size);
  for (size_t index = 0; index < size; ++index) bytes[index] = static_cast<uint8_t>((index * 131 + index / 251) & 0xff);
  return bytes;
}

// Reads what is there now.
inline void read_available(const Fd& fd, std::vector<uint8_t>& into) {
  std::array<uint8_t, 65536> some{};
  for (ssize_t got; (got = recv(fd.get(), some.data(), some.size(), MSG_DONTWAIT)) > 0;) {
    into.insert(into.end(), some.begin(), some.begin() + got);
  }
}

}  // namespace ringway::io
