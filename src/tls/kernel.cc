#include "tls/kernel.h"

#include <fmt/format.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/mem.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "io/address.h"
#include "io/socket.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

namespace ringway::tls {
namespace {

union CryptoInfo {
  tls_crypto_info any;
  tls12_crypto_info_aes_gcm_128 aes_128;
  tls12_crypto_info_aes_gcm_256 aes_256;
  tls12_crypto_info_chacha20_poly1305 chacha;
};

// The kernel has the first four octets of AES's nonces apart from the rest.
template <typename Info>
socklen_t fill_aes(Info& info, const TrafficKeys& keys) noexcept {
  std::copy_n(keys.key.begin(), sizeof info.key, info.key);
  std::copy_n(keys.iv.begin(), sizeof info.salt, info.salt);
  std::copy_n(keys.iv.begin() + sizeof info.salt, sizeof info.iv, info.iv);
  const uint64_t sequence = __builtin_bswap64(keys.sequence);
  std::memcpy(info.rec_seq, &sequence, sizeof sequence);
  return sizeof info;
}

socklen_t fill(CryptoInfo& info, const TrafficKeys& keys) noexcept {
  info = {};
  info.any.version = TLS_1_3_VERSION;
  switch (keys.cipher) {
    case Cipher::kAes128Gcm: info.any.cipher_type = TLS_CIPHER_AES_GCM_128; return fill_aes(info.aes_128, keys);
    case Cipher::kAes256Gcm: info.any.cipher_type = TLS_CIPHER_AES_GCM_256; return fill_aes(info.aes_256, keys);
    case Cipher::kChaCha20Poly1305: break;
  }
  info.any.cipher_type = TLS_CIPHER_CHACHA20_POLY1305;
  std::copy_n(keys.key.begin(), sizeof info.chacha.key, info.chacha.key);
  std::copy_n(keys.iv.begin(), sizeof info.chacha.iv, info.chacha.iv);
  const uint64_t sequence = __builtin_bswap64(keys.sequence);
  std::memcpy(info.chacha.rec_seq, &sequence, sizeof sequence);
  return sizeof info.chacha;
}

io::Error error_of(int result) noexcept {
  return result == 0 ? io::Error{} : io::error_from_errno(errno);
}

std::string kernel_release() {
  utsname name{};
  return uname(&name) == 0 ? name.release : "";
}

// A message of one piece, with room for the type of its record.
struct TypedMessage {
  explicit TypedMessage(std::span<uint8_t> bytes) noexcept : piece{bytes.data(), bytes.size()} {
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
  }
  TypedMessage(const TypedMessage&) = delete;
  TypedMessage& operator=(const TypedMessage&) = delete;

  iovec piece;
  alignas(cmsghdr) char control[CMSG_SPACE(1)] = {};
  msghdr message{};
};

// Two ends of one connection.
struct Pair {
  io::Fd near;
  io::Fd far;
};

Pair connect_to_self() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const io::Fd listening(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  Pair pair;
  if (bind(listening.get(), any, size) != 0 || listen(listening.get(), 1) != 0 ||
      getsockname(listening.get(), any, &size) != 0) {
    return pair;
  }
  pair.near = io::Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(pair.near.get(), any, size) != 0) return {};
  pair.far = io::Fd(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
  return pair;
}

// False: the others need not be tried.
bool try_cipher(Cipher cipher, KernelSupport& found) {
  const Pair pair = connect_to_self();
  if (!pair.far.is_open()) {
    found.cause = fmt::format("it cannot be tried: {}", io::describe(io::error_from_errno(errno)));
    return false;
  }
  if (const io::Error error = attach_kernel_tls(pair.near.get())) {
    found.cause = error.code == ENOENT
                      ? "the kernel has no module tls, or it is not loaded: modprobe tls (at boot: a file in "
                        "/etc/modules-load.d)"
                      : fmt::format("the kernel refuses it: {}", io::describe(error));
    return false;
  }
  // Of AES-256 are the hash's 48 octets.
  const std::array<uint8_t, 48> secret{};
  const TrafficKeys keys = keys_of_secret(cipher, std::span(secret).first(cipher == Cipher::kAes256Gcm ? 48 : 32));
  const auto index = static_cast<size_t>(cipher);
  found.receive_ciphers[index] = !give_keys(pair.near.get(), Direction::kReceive, keys);
  const io::Error refused = give_keys(pair.near.get(), Direction::kSend, keys);
  found.send_ciphers[index] = !refused;
  if (cipher != Cipher::kAes128Gcm) return true;
  if (refused) {
    found.cause = refused.code == ENOENT ? "the kernel has no AES-GCM: modprobe gcm"
                                         : fmt::format("the kernel refuses keys: {}", io::describe(refused));
  }
  found.can_rekey = !refused && !give_keys(pair.near.get(), Direction::kSend, updated(keys));
  return true;
}

}  // namespace

bool is_release_at_least(std::string_view release, unsigned major, unsigned minor, unsigned patch) noexcept {
  const unsigned wanted[] = {major, minor, patch};
  for (const unsigned part : wanted) {
    unsigned number = 0;
    const auto [end, status] = std::from_chars(release.data(), release.data() + release.size(), number);
    if (status != std::errc{}) return part == 0;  // "6.13-rc1" has no patch
    if (number != part) return number > part;
    release.remove_prefix(static_cast<size_t>(end - release.data()));
    if (release.starts_with('.')) release.remove_prefix(1);
  }
  return true;
}

KernelSupport find_kernel_support() {
  KernelSupport found;
  found.release = kernel_release();
  found.is_sound = is_release_at_least(found.release, 6, 12, 44);
  for (const Cipher cipher : {Cipher::kAes128Gcm, Cipher::kAes256Gcm, Cipher::kChaCha20Poly1305}) {
    if (!try_cipher(cipher, found)) break;
  }
  found.can_send = found.send_ciphers[static_cast<size_t>(Cipher::kAes128Gcm)];
  found.can_receive = found.receive_ciphers[static_cast<size_t>(Cipher::kAes128Gcm)];
  return found;
}

io::Error attach_kernel_tls(int fd) noexcept {
  constexpr char kName[] = "tls";
  return error_of(setsockopt(fd, IPPROTO_TCP, TCP_ULP, kName, sizeof kName));
}

io::Error give_keys(int fd, Direction direction, const TrafficKeys& keys) noexcept {
  CryptoInfo info;
  const socklen_t size = fill(info, keys);
  const io::Error error =
      error_of(setsockopt(fd, SOL_TLS, direction == Direction::kSend ? TLS_TX : TLS_RX, &info, size));
  OPENSSL_cleanse(&info, sizeof info);
  return error;
}

int32_t send_kernel_record(int fd, ContentType type, std::span<const uint8_t> bytes) noexcept {
  TypedMessage typed({const_cast<uint8_t*>(bytes.data()), bytes.size()});
  cmsghdr* const header = CMSG_FIRSTHDR(&typed.message);
  header->cmsg_level = SOL_TLS;
  header->cmsg_type = TLS_SET_RECORD_TYPE;
  header->cmsg_len = CMSG_LEN(1);
  *CMSG_DATA(header) = static_cast<uint8_t>(type);
  for (;;) {
    const ssize_t size = sendmsg(fd, &typed.message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size >= 0) return static_cast<int32_t>(size);
    if (errno != EINTR) return -errno;
  }
}

int32_t receive_kernel_record(int fd, std::span<uint8_t> into, ContentType& type) noexcept {
  TypedMessage typed(into);
  ssize_t size;
  do {
    size = recvmsg(fd, &typed.message, MSG_DONTWAIT);
  } while (size < 0 && errno == EINTR);
  if (size < 0) return -errno;
  const cmsghdr* const header = CMSG_FIRSTHDR(&typed.message);
  const bool is_typed = header != nullptr && header->cmsg_level == SOL_TLS && header->cmsg_type == TLS_GET_RECORD_TYPE;
  type = is_typed ? static_cast<ContentType>(*CMSG_DATA(header)) : ContentType::kData;
  return static_cast<int32_t>(size);
}

}  // namespace ringway::tls
