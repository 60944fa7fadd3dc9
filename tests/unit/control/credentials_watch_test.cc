// Certificates that change on the disk: all of a set or nothing.
#include "control/credentials_watch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "certificates.h"

namespace ringway::control {
namespace {

class CredentialsWatchTest : public testing::Test {
 protected:
  CredentialsWatchTest() {
    root_ = files_.root("root");
    first_ = files_.issue("first", root_, {.dns = {"a.example"}, .ends_s = 40 * 86'400 - 60});
    second_ = files_.issue("second", root_, {.dns = {"a.example"}, .ends_s = 50 * 86'400});
    install(first_);
    config::ListenerConfig listener;
    listener.address = *io::Address::parse("127.0.0.1:1");
    listener.tls = tls::ServerOptions{.certificates = {{files_.path("cert.pem"), files_.path("key.pem")}},
                                      .ticket_rotation_ns = base::kSecond_ns};
    snapshot_.listeners.push_back(listener);
    snapshot_.listeners.emplace_back();  // without TLS
    config::ClusterConfig cluster;
    cluster.name = "shop";
    cluster.tls = tls::ClientOptions{.ca = root_.certificate};
    snapshot_.clusters.push_back(cluster);
  }
  ~CredentialsWatchTest() override {
    close(log_pipe_[0]);
    close(log_pipe_[1]);
  }

  int open_pipe() { return pipe2(log_pipe_, O_CLOEXEC | O_NONBLOCK) == 0 ? log_pipe_[1] : -1; }
  void install(const tls::Issued& issued) {
    files_.write("cert.pem", issued.chain_pem);
    files_.write("key.pem", issued.key_pem);
  }
  std::string logged() {
    char text[4096];
    const ssize_t size = read(log_pipe_[0], text, sizeof text);
    return size > 0 ? std::string(text, static_cast<size_t>(size)) : "";
  }
  std::vector<CredentialsWatch::Change> look(CredentialsWatch& watch) {
    return watch.look(now_ns_ += watch.kInterval_ns, false);
  }

  int log_pipe_[2] = {-1, -1};
  tls::Authority files_;
  tls::Issued root_;
  tls::Issued first_;
  tls::Issued second_;
  config::Snapshot snapshot_;
  ErrorLog log_{config::LogLevel::kInfo, open_pipe()};
  uint64_t now_ns_ = base::kSecond_ns;
};

TEST_F(CredentialsWatchTest, NothingIsReadAgainWhileNothingChanges) {
  auto watch = CredentialsWatch::create(snapshot_, log_);
  ASSERT_TRUE(watch) << watch.error();
  EXPECT_TRUE(watch->listeners()[0]);
  EXPECT_FALSE(watch->listeners()[1]);
  EXPECT_TRUE(watch->clusters()[0]);
  const tls::ServerCredentials* const before = &*watch->listeners()[0];
  EXPECT_TRUE(look(*watch).empty());
  EXPECT_TRUE(watch->look(now_ns_, true).empty());  // asked for, and the same
  EXPECT_EQ(&*watch->listeners()[0], before);
}

TEST_F(CredentialsWatchTest, APairCountsWhenBothFilesAreThere) {
  auto watch = CredentialsWatch::create(snapshot_, log_);
  ASSERT_TRUE(watch) << watch.error();
  look(*watch);
  logged();
  const tls::ServerCredentials* const before = &*watch->listeners()[0];
  files_.write("cert.pem", second_.chain_pem);
  EXPECT_TRUE(look(*watch).empty());
  EXPECT_EQ(&*watch->listeners()[0], before);
  EXPECT_NE(logged().find("key.pem: is not the key of the first certificate in"), std::string::npos);
  EXPECT_TRUE(look(*watch).empty());
  EXPECT_EQ(logged(), "");  // said once
  files_.write("key.pem", second_.key_pem);
  const auto changes = look(*watch);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_TRUE(changes[0].is_listener);
  EXPECT_EQ(changes[0].number, 0u);
  EXPECT_NE(&*watch->listeners()[0], before);
  EXPECT_NE(logged().find("listener 127.0.0.1:1: tls: new certificates are in use"), std::string::npos);
}

TEST_F(CredentialsWatchTest, AHalfWrittenFileChangesNothing) {
  auto watch = CredentialsWatch::create(snapshot_, log_);
  ASSERT_TRUE(watch) << watch.error();
  const tls::ServerCredentials* const before = &*watch->listeners()[0];
  for (const size_t size : {size_t{0}, size_t{40}, second_.chain_pem.size() / 2}) {
    files_.write("cert.pem", second_.chain_pem.substr(0, size));
    EXPECT_TRUE(look(*watch).empty());
    EXPECT_EQ(&*watch->listeners()[0], before);
    EXPECT_NE(logged().find("what was read before stays in use"), std::string::npos) << size;
  }
  std::filesystem::remove(files_.path("cert.pem"));
  EXPECT_TRUE(look(*watch).empty());
  EXPECT_NE(logged().find("cert.pem: No such file or directory"), std::string::npos);
  install(first_);
  EXPECT_TRUE(look(*watch).empty());  // what it was before
  EXPECT_EQ(&*watch->listeners()[0], before);
}

TEST_F(CredentialsWatchTest, ClustersFollowTheirFiles) {
  auto watch = CredentialsWatch::create(snapshot_, log_);
  ASSERT_TRUE(watch) << watch.error();
  const tls::Issued other = files_.root("other");
  files_.write("root-cert.pem", other.chain_pem);
  const auto changes = look(*watch);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_FALSE(changes[0].is_listener);
}

TEST_F(CredentialsWatchTest, TheEndOfACertificateIsAnnounced) {
  auto watch = CredentialsWatch::create(snapshot_, log_);
  ASSERT_TRUE(watch) << watch.error();
  look(*watch);
  EXPECT_EQ(logged(), "");  // 39 days are left
  ASSERT_EQ(watch->expiries().size(), 1u);
  EXPECT_EQ(watch->expiries()[0].days, 39);
  install(files_.issue("third", root_, {.ends_s = 30 * 86'400 + 60}));
  look(*watch);
  EXPECT_NE(logged().find("cert.pem expires in 30 days"), std::string::npos);
  install(files_.issue("fourth", root_, {.begins_s = -7200, .ends_s = -3600}));
  look(*watch);
  EXPECT_NE(logged().find("cert.pem has expired"), std::string::npos);
}

TEST_F(CredentialsWatchTest, TheStartNamesWhatIsWrong) {
  snapshot_.listeners[0].tls->certificates[0].private_key = second_.private_key;
  auto watch = CredentialsWatch::create(snapshot_, log_);
  ASSERT_FALSE(watch);
  EXPECT_EQ(watch.error(), "listener 127.0.0.1:1: tls: " + second_.private_key +
                               ": is not the key of the first certificate in " + files_.path("cert.pem"));
}

}  // namespace
}  // namespace ringway::control
