// Records in the kernel (Linux's tls module): the hand-over of one direction's keys to a socket, records that are not
// data, and what this kernel can do. Of TLS 1.3 alone. The order and every result here were tried on Linux 6.1 to 7.2.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "io/error.h"
#include "tls/keys.h"
#include "tls/records.h"

namespace ringway::tls {

enum class Direction : uint8_t { kSend, kReceive };

// Found once, on any thread.
struct KernelSupport {
  std::array<bool, kCipherCount> send_ciphers{};     // TLS_TX was accepted
  std::array<bool, kCipherCount> receive_ciphers{};  // TLS_RX was accepted
  bool can_send = false;                             // AES-128-GCM, which most connections have
  bool can_receive = false;
  bool can_rekey = false;  // new keys behind a KeyUpdate (Linux 6.14)
  bool is_sound = false;   // holds the fixes without which ringway does not choose it by itself (Linux 6.12.44)
  std::string release;     // of the kernel
  std::string cause;       // why it can do nothing, and the cure; empty if it can send
};

// Tries it on a connection to itself over the loopback device. Loads the module where that is allowed.
KernelSupport find_kernel_support();

// Whether a release, as uname shows it, is of this version or newer. Text that is no version is none.
bool is_release_at_least(std::string_view release, unsigned major, unsigned minor, unsigned patch) noexcept;

// Makes an established TCP socket one of TLS; octets still pass as they are until keys are given. No receive may be
// under way (CVE-2025-38616).
io::Error attach_kernel_tls(int fd) noexcept;

// From the record that `keys` say. Again: new keys behind a KeyUpdate, where the kernel can.
io::Error give_keys(int fd, Direction direction, const TrafficKeys& keys) noexcept;

// One record that is not data, at once, while no send is under way. The octets sent, or a negative errno.
int32_t send_kernel_record(int fd, ContentType type, std::span<const uint8_t> bytes) noexcept;

// The record that stopped a receive with EIO. Its size, 0 at the peer's end, or a negative errno; `into` holds a whole
// one.
int32_t receive_kernel_record(int fd, std::span<uint8_t> into, ContentType& type) noexcept;

}  // namespace ringway::tls
