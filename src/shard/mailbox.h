// How other threads reach a shard: bounded queues, one per sender, and an eventfd that the shard's ring watches. Never
// used by a request.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <vector>

#include "base/spsc_queue.h"
#include "io/error.h"
#include "io/socket.h"
#include "tls/credentials.h"

namespace ringway::shard {

enum class MessageKind : uint8_t {
  kAdopt,     // a connection accepted by another shard: `fd`, `listener`
  kUnready,   // a drain is going to begin: say so to who asks, and go on
  kDrain,     // stop accepting, GOAWAY, finish
  kDraining,  // another shard has begun its drain: behind this no connection comes from it
  kEndDrain,  // the drain's time is up
  kPressure,  // how short of memory the process is: `listener` is a proxy::Pressure
  // New certificates: `server`, of the listener number `listener`, or `client`, of the cluster of that number. The
  // message holds a reference, which the shard takes over.
  kCredentials,
};

struct Message {
  MessageKind kind = MessageKind::kDrain;
  int fd = -1;
  uint32_t listener = 0;
  tls::ServerCredentials* server = nullptr;
  tls::ClientCredentials* client = nullptr;
};

// Gives back what a message that nobody takes holds.
void drop_credentials(const Message& message) noexcept;

class Mailbox {
 public:
  static constexpr size_t kMessagesMax = 1024;

  // `senders` threads, numbered from 0, may post.
  static std::expected<std::unique_ptr<Mailbox>, io::Error> create(uint32_t senders);

  // Thread number `sender` only. False: full; the sender decides what becomes of its message.
  bool post(uint32_t sender, const Message& message) noexcept;

  // The shard's thread. `fd` becomes readable when there may be messages; acknowledge() before looking.
  int fd() const noexcept { return event_.get(); }
  void acknowledge() noexcept;
  template <typename Visit>
  void drain(Visit&& visit) {
    for (auto& queue : queues_) {
      while (auto message = queue->try_pop()) visit(*message);
    }
  }

 private:
  explicit Mailbox(io::Fd event) noexcept : event_(std::move(event)) {}

  io::Fd event_;
  std::vector<std::unique_ptr<base::SpscQueue<Message>>> queues_;
};

}  // namespace ringway::shard
