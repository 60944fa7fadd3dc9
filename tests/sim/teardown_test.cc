// The way out of a socket in moments that real sockets hardly ever show: one shard on the simulated kernel, one client
// that is told to do this and that.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "config/limit_fields.h"
#include "h2/frame.h"
#include "io/doorbell.h"
#include "kernel.h"
#include "proxy/log_port.h"
#include "shard/mailbox.h"
#include "shard/placement.h"
#include "shard/shard.h"

namespace ringway::sim {
namespace {

constexpr uint64_t kLatency_ns = 50 * base::kMicrosecond_ns;
// Less than what a closing connection lingers, much more than a round trip.
constexpr uint64_t kThinking_ns = 300 * base::kMillisecond_ns;
constexpr uint32_t kSeeds = 20;

std::string frame(h2::FrameType type, std::string_view payload) {
  std::string bytes(h2::kFrameHeaderSize, '\0');
  h2::write_frame_header(reinterpret_cast<uint8_t*>(bytes.data()), static_cast<uint32_t>(payload.size()), type, 0, 0);
  return bytes + std::string(payload);
}

// Breaks a rule of HTTP/2 and talks on; closes some time after it has read the end.
class Offender : public FarEnd {
 public:
  explicit Offender(Timeline& timeline) : timeline_(timeline) {}

  void begin(Link& link) {
    link_ = &link;
    // DATA on stream 0 is a connection error (RFC 9113 section 6.1).
    link.write(std::string(h2::kPreface) + frame(h2::FrameType::kSettings, "") + frame(h2::FrameType::kData, "") +
               std::string(2'000, '\0'));
  }
  void on_readable() override {
    if (link_ == nullptr) return;
    received += link_->read(SIZE_MAX);
    if (!link_->is_at_end() || has_seen_end) return;
    has_seen_end = true;
    error = link_->far_error;
    timeline_.in(kThinking_ns, [this] {
      was_closed_first = link_->is_closed;
      link_->finish();
      on_done();
    });
  }
  void on_writable() override {}

  std::function<void()> on_done;
  std::string received;
  bool has_seen_end = false;
  bool was_closed_first = false;
  int error = 0;

 private:
  Timeline& timeline_;
  Link* link_ = nullptr;
};

config::Snapshot plain_snapshot() {
  config::Snapshot made;
  made.limits = config::initial_limits();
  made.shards.recv_buffers = 16;
  config::ListenerConfig listener;
  listener.address = *io::Address::parse("10.0.0.1:1");
  made.listeners.push_back(listener);
  return made;
}

// A shard with one listener, run until `client` is done and the drain behind that has ended.
class Lone {
 public:
  Lone(const KernelOptions& kernel_options, uint64_t seed)
      : kernel(timeline, kernel_options, seed), client(timeline), listener_(kernel.listen()) {
    shard::Shard::Options options;
    options.snapshot = &snapshot_;
    options.listeners = {listener_};
    options.mailboxes = {mailbox_.get()};
    options.placement = &placement;
    options.log = &log_;
    options.seed = seed;
    options.stopped_count = &stopped_count_;
    options.stopped_event = kernel.make_event();
    shard_ = std::move(*shard::Shard::create(std::move(options)));
    kernel.on_enter = [this] { shard_->validate(); };
    client.on_done = [this] {
      timeline.in(base::kSecond_ns, [this] { mailbox_->post(1, {shard::MessageKind::kDrain, -1, 0}); });
    };
  }
  ~Lone() { kernel.begin_exit(); }

  void run() {
    client.begin(*kernel.connect_to_shard(listener_, client, *io::Address::parse("10.1.0.1:40000"),
                                          {.latency_ns = kLatency_ns}));
    // A shard that has lost the client on its way would wait for ever.
    timeline.in(60 * base::kSecond_ns, [this] { mailbox_->post(1, {shard::MessageKind::kEndDrain, -1, 0}); });
    shard_->run();
  }

  Timeline timeline;
  Kernel kernel;
  shard::Placement placement{1};
  Offender client;

 private:
  int listener_;
  config::Snapshot snapshot_ = plain_snapshot();
  std::unique_ptr<shard::Mailbox> mailbox_ = std::move(*shard::Mailbox::create(2));
  std::unique_ptr<io::Doorbell> bell_ = std::move(*io::Doorbell::create());
  proxy::LogPort log_{*bell_, config::LogLevel::kError, 0};
  std::atomic<uint32_t> stopped_count_ = 0;
  std::unique_ptr<shard::Shard> shard_;
};

// Every receive is its operation's last, so that one ends in the very turn in which the GOAWAY is known to have left.
// The socket is then shut for writing and waits for the client's end: closed at once, with octets of the client unread,
// it would send a reset that takes the GOAWAY away.
TEST(Teardown, WaitsForThePeersEndAlsoWhereTheReceiveHasJustEnded) {
  for (uint32_t seed = 1; seed <= kSeeds; ++seed) {
    Lone lone({.multishot_ends = 1000, .receive_max = 42}, seed);
    lone.run();
    EXPECT_TRUE(lone.client.has_seen_end) << "seed " << seed;
    EXPECT_EQ(lone.client.error, 0) << "seed " << seed << ": an end and no reset";
    EXPECT_FALSE(lone.client.was_closed_first) << "seed " << seed;
    EXPECT_NE(lone.client.received.find("DATA on stream 0"), std::string::npos) << "seed " << seed;
    EXPECT_EQ(lone.placement.open_sockets(), 0u);
  }
}

}  // namespace
}  // namespace ringway::sim
