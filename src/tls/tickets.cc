#include "tls/tickets.h"

#include <openssl/mem.h>
#include <openssl/rand.h>

#include <cstring>

#include "base/units.h"

namespace ringway::tls {

TicketKey::~TicketKey() {
  OPENSSL_cleanse(cipher.data(), cipher.size());
  OPENSSL_cleanse(mac.data(), mac.size());
}

TicketKey TicketKey::draw() noexcept {
  TicketKey key;
  RAND_bytes(key.name.data(), key.name.size());
  RAND_bytes(key.cipher.data(), key.cipher.size());
  RAND_bytes(key.mac.data(), key.mac.size());
  return key;
}

TicketKeys::TicketKeys(uint64_t rotation_ns, uint64_t now_ns) noexcept
    : rotation_ns_(rotation_ns),
      due_ns_(base::saturating_add(now_ns, rotation_ns)),
      current_(TicketKey::draw()),
      previous_(TicketKey::draw()) {}

void TicketKeys::rotate(uint64_t now_ns) noexcept {
  if (now_ns < due_ns_) return;
  // After a long silence the key before is too old as well.
  previous_ = now_ns - due_ns_ < rotation_ns_ ? current_ : TicketKey::draw();
  current_ = TicketKey::draw();
  due_ns_ = base::saturating_add(now_ns, rotation_ns_);
}

TicketKey TicketKeys::current(uint64_t now_ns) {
  const std::lock_guard lock(mutex_);
  rotate(now_ns);
  return current_;
}

TicketKeys::Found TicketKeys::find(const uint8_t* name, TicketKey& key, uint64_t now_ns) {
  const std::lock_guard lock(mutex_);
  rotate(now_ns);
  for (const TicketKey* candidate : {&current_, &previous_}) {
    if (std::memcmp(candidate->name.data(), name, candidate->name.size()) != 0) continue;
    key = *candidate;
    return candidate == &current_ ? Found::kCurrent : Found::kPrevious;
  }
  return Found::kNo;
}

}  // namespace ringway::tls
