// One io_uring: made disabled on any thread, enabled on the thread that then alone submits and completes
// (SINGLE_ISSUER, DEFER_TASKRUN; Linux 6.1). Submissions are queued by the functions below and reach the kernel in
// enter(), which is the only system call of a turn.
//
// A turn of its owner:
//   enter(wait)  ->  drain(completions) until settled()  ->  act, queue submissions  ->  enter(wait) …
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>

#include "io/address.h"
#include "io/error.h"

struct io_uring;
struct io_uring_sqe;

namespace ringway::io {

// What a completion is for: an operation of the owner's own numbering, and a slot with its generation so that a
// completion that outlives its object is recognised. Never a pointer.
struct Token {
  uint8_t operation = 0;
  uint32_t generation = 0;  // the low 24 bits count
  uint32_t slot = 0;

  static constexpr uint32_t kGenerationMask = 0xffffff;

  constexpr uint64_t packed() const noexcept {
    return (uint64_t{operation} << 56) | (uint64_t{generation & kGenerationMask} << 32) | slot;
  }
  static constexpr Token unpack(uint64_t user_data) noexcept {
    return {static_cast<uint8_t>(user_data >> 56), static_cast<uint32_t>(user_data >> 32) & kGenerationMask,
            static_cast<uint32_t>(user_data)};
  }
};

struct Completion {
  Token token;
  int32_t result;   // bytes or descriptor, or a negative errno (see error_from_errno)
  bool has_more;    // the multishot operation goes on; false: re-arm if more is wanted
  bool has_buffer;  // `buffer` names a provided buffer that now belongs to the owner
  uint16_t buffer;
};

struct RingOptions {
  uint32_t submission_entries = 1024;  // rounded up to a power of two by the kernel
  uint32_t completion_entries = 8192;  // multishot operations end when it overflows, so it is roomy
};

// Counters that are free of noise; the benchmark steers by them.
struct RingCounters {
  uint64_t enters = 0;           // io_uring_enter calls
  uint64_t submissions = 0;      // entries queued
  uint64_t completions = 0;      // entries drained
  uint64_t submission_full = 0;  // enters forced by a full submission queue
  uint64_t overflows = 0;        // times the completion queue was found overflowed
};

class Ring {
 public:
  // The error is a sentence that names the cause (old kernel, kernel.io_uring_disabled, seccomp, memlock) and the cure.
  static std::expected<Ring, std::string> create(const RingOptions& options);
  Ring(Ring&&) noexcept;
  Ring& operator=(Ring&&) noexcept;
  ~Ring();

  // On the owner's thread, once, before anything below. Also registers the ring's descriptor.
  std::expected<void, std::string> enable();

  // Queued operations. `address` must live until its completion, `bytes` as the comment says.
  void accept_multishot(int listening_fd, Token token);
  void recv_multishot(int fd, uint16_t buffer_group, Token token);
  void connect(int fd, const Address& address, Token token);
  void poll_readable_multishot(int fd, Token token);
  // Once, when there is something to read, or room to write.
  void poll_once(int fd, bool for_writing, Token token);
  void shutdown_write(int fd, Token token);
  // Cancels every operation on `fd`; each then posts its completion with ECANCELED, and this one posts its own.
  void cancel_fd(int fd, Token token);
  // Cancels the one operation that was queued with `target`, as to stop reading while a send on the same descriptor
  // goes on; both post their completions.
  void cancel(Token target, Token token);

  // Sends without ever waiting for the socket: all of `bytes`, or what fits now, or nothing. Complete success posts no
  // completion; anything less posts one (bytes sent, or EAGAIN, or the error). MSG_WAITALL | MSG_DONTWAIT together are
  // what makes a short send an error that is seen (DESIGN 3.5a). `bytes` may be freed when is_consumed(the returned
  // mark) and settled().
  uint32_t send_or_report(int fd, std::span<const uint8_t> bytes, Token token);
  // Sends all of `bytes`, waiting for the socket as long as it takes; always posts a completion. `bytes` live until
  // then.
  void send_waiting(int fd, std::span<const uint8_t> bytes, Token token);
  // Sends what fits, at least one byte, and posts a completion: for sockets that refuse MSG_WAITALL (kernel TLS).
  void send_some(int fd, std::span<const uint8_t> bytes, Token token);

  // Has the kernel taken the submission whose mark this is? enter() may take fewer than were queued.
  bool is_consumed(uint32_t mark) const noexcept;

  // Busy-polls the network devices' queues for `duration_ns` before sleeping (IORING_REGISTER_NAPI, Linux 6.9). Without
  // effect where the kernel or the device has no NAPI.
  void busy_poll_napi(uint64_t duration_ns) noexcept;

  // Submits all that is queued and waits for a completion until `deadline_ns` (monotonic; kNever_ns: for ever; 0: does
  // not wait). `now_ns` is the caller's clock. With `min_wait_ns` the kernel gathers completions for that long before
  // it wakes us (Linux 6.12; ignored where it is missing).
  void enter(uint64_t now_ns, uint64_t deadline_ns, uint64_t min_wait_ns = 0);

  // Copies up to out.size() completions and frees their entries. 0: the queue is empty.
  size_t drain(std::span<Completion> out);

  // True when no completion is hidden: the queue is empty and nothing has overflowed. A send that failed within enter()
  // has posted its completion when enter() returns, so before a flush the owner drains until this holds (DESIGN 3.5c);
  // enter(now, 0) brings forward what has overflowed.
  bool settled() const noexcept;
  bool has_overflowed() const noexcept;
  // Completions wait to be posted by the next enter(): of operations that the network has moved on meanwhile.
  bool has_deferred_work() const noexcept;

  const RingCounters& counters() const noexcept { return counters_; }
  io_uring* native() noexcept { return ring_.get(); }  // for BufferRing and the probe

 private:
  Ring();
  io_uring_sqe* entry(Token token);

  std::unique_ptr<io_uring> ring_;
  RingCounters counters_;
  bool has_min_wait_ = false;
};

// True where the kernel can make the rings we need. Otherwise the sentence of create().
std::expected<void, std::string> can_make_ring();

}  // namespace ringway::io
