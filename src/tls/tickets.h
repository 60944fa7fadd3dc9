// The keys of a listener's session tickets. A new one is drawn at random when the old one has served its time; the one
// before still opens what it has sealed, and the ticket is then renewed.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>

namespace ringway::tls {

struct TicketKey {
  std::array<uint8_t, 16> name{};
  std::array<uint8_t, 16> cipher{};
  std::array<uint8_t, 32> mac{};

  ~TicketKey();
  static TicketKey draw() noexcept;
};

// Any thread: asked once in a handshake, never while calls are forwarded.
class TicketKeys {
 public:
  TicketKeys(uint64_t rotation_ns, uint64_t now_ns) noexcept;

  TicketKey current(uint64_t now_ns);
  enum class Found : uint8_t { kNo, kCurrent, kPrevious };
  Found find(const uint8_t* name, TicketKey& key, uint64_t now_ns);

 private:
  void rotate(uint64_t now_ns) noexcept;

  std::mutex mutex_;
  const uint64_t rotation_ns_;
  uint64_t due_ns_;
  TicketKey current_;
  TicketKey previous_;
};

}  // namespace ringway::tls
