#include "shard/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

namespace ringway::shard {

std::expected<std::unique_ptr<Mailbox>, io::Error> Mailbox::create(uint32_t senders) {
  io::Fd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.is_open()) return std::unexpected(io::error_from_errno(errno));
  std::unique_ptr<Mailbox> mailbox(new Mailbox(std::move(event)));
  for (uint32_t i = 0; i < senders; ++i) {
    mailbox->queues_.push_back(std::make_unique<base::SpscQueue<Message>>(kMessagesMax));
  }
  return mailbox;
}

bool Mailbox::post(uint32_t sender, const Message& message) noexcept {
  if (!queues_[sender]->try_push(message)) return false;
  const uint64_t one = 1;
  // Fails only when the counter is at its end, and then the shard has been woken already.
  [[maybe_unused]] const ssize_t written = write(event_.get(), &one, sizeof one);
  return true;
}

void Mailbox::acknowledge() noexcept {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t size = read(event_.get(), &count, sizeof count);
}

}  // namespace ringway::shard
