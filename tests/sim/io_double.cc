// The classes of src/io over the simulated kernel. The simulation links this instead of the library ringway_kernel, so
// that the shard under test is the very object code of the program.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "base/units.h"
#include "io/buffer_ring.h"
#include "io/doorbell.h"
#include "io/event.h"
#include "io/ring.h"
#include "io/socket.h"
#include "kernel.h"

// What the headers of io leave open.
struct io_uring {};

namespace ringway::base {

uint64_t monotonic_ns() noexcept {
  return sim::Kernel::current().timeline().now_ns();
}

uint64_t wall_ns() noexcept {
  return monotonic_ns();
}

}  // namespace ringway::base

namespace ringway::io {
namespace {

sim::Kernel& kernel() {
  return sim::Kernel::current();
}

using Kind = sim::Kernel::Kind;

}  // namespace

Ring::Ring() : ring_(std::make_unique<io_uring>()) {}
Ring::Ring(Ring&&) noexcept = default;
Ring& Ring::operator=(Ring&&) noexcept = default;
Ring::~Ring() = default;

std::expected<Ring, std::string> Ring::create(const RingOptions& options) {
  kernel().make_ring(options.submission_entries);
  return Ring();
}

std::expected<void, std::string> Ring::enable() {
  return {};
}

void Ring::accept_multishot(int listening_fd, Token token) {
  kernel().submit({Kind::kAccept, listening_fd, token});
}

void Ring::recv_multishot(int fd, uint16_t, Token token) {
  kernel().submit({Kind::kReceive, fd, token});
}

void Ring::connect(int fd, const Address& address, Token token) {
  kernel().submit({.kind = Kind::kConnect, .fd = fd, .token = token, .address = address});
}

void Ring::poll_readable_multishot(int fd, Token token) {
  kernel().submit({Kind::kPoll, fd, token});
}

void Ring::poll_once(int fd, bool, Token token) {
  kernel().submit({Kind::kPoll, fd, token});
}

void Ring::cancel_fd(int fd, Token token) {
  kernel().submit({Kind::kCancelFd, fd, token});
}

uint32_t Ring::send_or_report(int fd, std::span<const uint8_t> bytes, Token token) {
  return kernel().submit({Kind::kSend, fd, token, bytes});
}

void Ring::send_waiting(int fd, std::span<const uint8_t> bytes, Token token) {
  kernel().submit({Kind::kSendWaiting, fd, token, bytes});
}

// The simulated network carries no TLS: what follows has no caller there.
void Ring::send_some(int fd, std::span<const uint8_t> bytes, Token token) {
  kernel().submit({Kind::kSendWaiting, fd, token, bytes});
}

int32_t receive_now(int, std::span<uint8_t>) noexcept {
  return -ENOTSUP;
}

int32_t send_now(int, std::span<const uint8_t>) noexcept {
  return -ENOTSUP;
}

void Ring::busy_poll_napi(uint64_t) noexcept {}

bool Ring::is_consumed(uint32_t mark) const noexcept {
  return kernel().is_consumed(mark);
}

void Ring::enter(uint64_t now_ns, uint64_t deadline_ns, uint64_t) {
  ++counters_.enters;
  kernel().enter(now_ns, deadline_ns);
}

size_t Ring::drain(std::span<Completion> out) {
  return kernel().drain(out);
}

bool Ring::settled() const noexcept {
  return !kernel().has_overflowed() && !kernel().has_completions();
}

bool Ring::has_overflowed() const noexcept {
  return kernel().has_overflowed();
}

bool Ring::has_deferred_work() const noexcept {
  return kernel().has_deferred_work();
}

std::expected<BufferRing, std::string> BufferRing::create(Ring& ring, uint16_t group, uint32_t count,
                                                          uint32_t buffer_size) {
  BufferRing made(ring.native(), group, count, buffer_size);
  made.memory_ = kernel().make_buffers(count, buffer_size);
  for (uint32_t buffer = 0; buffer < count; ++buffer) made.recycle(static_cast<uint16_t>(buffer));
  made.publish();
  return made;
}

BufferRing::BufferRing(BufferRing&& other) noexcept
    : ring_(other.ring_),
      memory_(std::exchange(other.memory_, nullptr)),
      group_(other.group_),
      count_(other.count_),
      buffer_size_(other.buffer_size_) {}

BufferRing::~BufferRing() = default;

void BufferRing::recycle(uint16_t buffer) noexcept {
  kernel().recycle(buffer);
}

void BufferRing::publish() noexcept {
  kernel().publish();
}

void Fd::close() noexcept {
  if (fd_ >= 0) kernel().close(std::exchange(fd_, -1));
}

Address peer_address(int fd) {
  return kernel().peer_of(fd);
}

std::expected<Fd, Error> stream_socket(const Address& address, uint32_t) {
  int error = 0;
  const int fd = kernel().open_socket(address, error);
  if (fd < 0) return std::unexpected(error_from_errno(error));
  return Fd(fd);
}

void set_stream_options(int, uint32_t) noexcept {}

Fd accept_waiting(int listening_fd) noexcept {
  return Fd(kernel().accept_waiting(listening_fd));
}

void shutdown_write(int fd) noexcept {
  kernel().shutdown_write(fd);
}

void shutdown_both(int fd) noexcept {
  kernel().shutdown_both(fd);
}

std::expected<Fd, Error> make_event() noexcept {
  return Fd(kernel().make_event());
}

void raise_event(int fd) noexcept {
  kernel().raise_event(fd);
}

void clear_event(int fd) noexcept {
  kernel().clear_event(fd);
}

std::expected<std::unique_ptr<Doorbell>, Error> Doorbell::create() {
  return std::unique_ptr<Doorbell>(new Doorbell(Fd()));
}

// Nobody sleeps here.
void Doorbell::ring_if(Rest) noexcept {}
void Doorbell::ring() noexcept {}

}  // namespace ringway::io
