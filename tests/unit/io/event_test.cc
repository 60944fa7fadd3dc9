#include "io/event.h"

#include <gtest/gtest.h>
#include <poll.h>

#include "io/socket.h"

namespace ringway::io {
namespace {

bool is_readable(const Fd& fd) {
  pollfd watched{fd.get(), POLLIN, 0};
  return poll(&watched, 1, 0) == 1;
}

TEST(Event, IsReadableFromRaisingToClearing) {
  auto event = make_event();
  ASSERT_TRUE(event);
  EXPECT_FALSE(is_readable(*event));
  raise_event(event->get());
  raise_event(event->get());
  EXPECT_TRUE(is_readable(*event));
  clear_event(event->get());
  EXPECT_FALSE(is_readable(*event)) << "seen once, however often it was raised";
  clear_event(event->get());
  EXPECT_FALSE(is_readable(*event));
}

TEST(Socket, AcceptsWhatWaitsAndNoMore) {
  auto listening = listen_socket(*Address::parse("127.0.0.1:0"), {});
  ASSERT_TRUE(listening);
  EXPECT_FALSE(accept_waiting(listening->get()).is_open());
  const Address address = local_address(*listening);
  Fd client(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(connect(client.get(), address.data(), address.size()), 0);
  ASSERT_TRUE(is_readable(*listening));
  Fd accepted = accept_waiting(listening->get());
  ASSERT_TRUE(accepted.is_open());
  EXPECT_FALSE(accept_waiting(listening->get()).is_open());
  // Its end is seen, and then nothing more can be sent either.
  shutdown_write(accepted.get());
  EXPECT_TRUE(is_readable(client));
  char octet = 0;
  EXPECT_EQ(recv(client.get(), &octet, 1, MSG_DONTWAIT), 0);
  EXPECT_EQ(send(client.get(), "x", 1, MSG_NOSIGNAL), 1);
  shutdown_both(listening->get());
  Fd late(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(late.get(), address.data(), address.size()), -1) << "refused from here on";
}

}  // namespace
}  // namespace ringway::io
