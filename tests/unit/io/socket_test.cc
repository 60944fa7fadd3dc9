#include "io/socket.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>

#include "loopback.h"

namespace ringway::io {
namespace {

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  EXPECT_EQ(getsockopt(fd, level, name, &value, &size), 0);
  return value;
}

TEST(Fd, OwnsItsDescriptor) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  Fd reading(fds[0]);
  {
    Fd writing(fds[1]);
    Fd moved = std::move(writing);
    EXPECT_FALSE(writing.is_open());
    EXPECT_EQ(moved.get(), fds[1]);
  }
  char byte = 0;
  EXPECT_EQ(read(reading.get(), &byte, 1), 0) << "the writing end was closed";
  Fd other;
  other = std::move(reading);
  EXPECT_EQ(other.get(), fds[0]);
  const int released = other.release();
  other.close();
  EXPECT_EQ(::close(released), 0) << "release() gave it away open";
}

TEST(Socket, ListensOnAFreePort) {
  for (const char* text : {"127.0.0.1:0", "[::1]:0"}) {
    auto listening = listen_socket(*Address::parse(text), {});
    ASSERT_TRUE(listening) << text << ": " << describe(listening.error());
    const Address address = local_address(*listening);
    EXPECT_NE(address.port(), 0);
    auto second = listen_socket(address, {});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, ErrorKind::kAddressInUse);
  }
}

TEST(Socket, SharesAPortWhenAsked) {
  const ListenOptions shared{.reuse_port = true};
  auto first = listen_socket(*Address::parse("127.0.0.1:0"), shared);
  ASSERT_TRUE(first);
  EXPECT_TRUE(listen_socket(local_address(*first), shared));
}

TEST(Socket, ReplacesAStaleUnixSocketButNotALiveOne) {
  const std::string path = testing::TempDir() + "ringway-socket-test-" + std::to_string(getpid());
  const Address address = *Address::parse("unix:" + path);
  {
    auto first = listen_socket(address, {});
    ASSERT_TRUE(first) << describe(first.error());
    EXPECT_EQ(local_address(*first), address);
    auto second = listen_socket(address, {});
    ASSERT_FALSE(second) << "the first still listens";
    EXPECT_EQ(second.error().kind, ErrorKind::kAddressInUse);
  }
  ASSERT_TRUE(std::filesystem::exists(path)) << "closing leaves the file behind";
  EXPECT_TRUE(listen_socket(address, {}));
  std::filesystem::remove(path);
}

TEST(Socket, AFileThatIsNoSocketIsLeftAlone) {
  const std::string path = testing::TempDir() + "ringway-file-test-" + std::to_string(getpid());
  std::fclose(std::fopen(path.c_str(), "w"));
  EXPECT_FALSE(listen_socket(*Address::parse("unix:" + path), {}));
  EXPECT_TRUE(std::filesystem::exists(path));
  std::filesystem::remove(path);
}

TEST(Socket, AnAddressOfAnotherHostIsInvalid) {
  auto listening = listen_socket(*Address::parse("192.0.2.1:0"), {});
  ASSERT_FALSE(listening);
  EXPECT_EQ(listening.error().kind, ErrorKind::kAddressInvalid);
}

TEST(Socket, StreamOptionsAreSet) {
  auto tcp = stream_socket(*Address::parse("127.0.0.1:1"), 20'000);
  ASSERT_TRUE(tcp);
  EXPECT_EQ(option(tcp->get(), IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(option(tcp->get(), IPPROTO_TCP, TCP_USER_TIMEOUT), 20'000);
  auto local = stream_socket(*Address::parse("unix:/x"), 20'000);
  ASSERT_TRUE(local);
  set_stream_options(local->get(), 20'000);  // harmless
}

TEST(Socket, KnowsBothEnds) {
  SocketPair pair = tcp_pair();
  EXPECT_EQ(peer_address(pair.near.get()), local_address(pair.far));
  EXPECT_EQ(peer_address(pair.far.get()), local_address(pair.near));
  EXPECT_FALSE(take_error(pair.near.get()));
}

}  // namespace
}  // namespace ringway::io
