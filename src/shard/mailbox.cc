#include "shard/mailbox.h"

#include "io/event.h"

namespace ringway::shard {

void drop_credentials(const Message& message) noexcept {
  const tls::CredentialsRef<tls::ServerCredentials> server(message.server);
  const tls::CredentialsRef<tls::ClientCredentials> client(message.client);
}

std::expected<std::unique_ptr<Mailbox>, io::Error> Mailbox::create(uint32_t senders) {
  auto event = io::make_event();
  if (!event) return std::unexpected(event.error());
  std::unique_ptr<Mailbox> mailbox(new Mailbox(std::move(*event)));
  for (uint32_t i = 0; i < senders; ++i) {
    mailbox->queues_.push_back(std::make_unique<base::SpscQueue<Message>>(kMessagesMax));
  }
  return mailbox;
}

bool Mailbox::post(uint32_t sender, const Message& message) noexcept {
  if (!queues_[sender]->try_push(message)) return false;
  io::raise_event(event_.get());
  return true;
}

void Mailbox::acknowledge() noexcept {
  io::clear_event(event_.get());
}

}  // namespace ringway::shard
