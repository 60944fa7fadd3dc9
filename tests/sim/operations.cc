// What submissions do, and what the network makes of them.
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "kernel.h"
#include "report.h"

namespace ringway::sim {
namespace {

constexpr int kReceivesInARow = 32;
// TCP_USER_TIMEOUT as the shard sets it.
constexpr uint64_t kUserTimeout_ns = 20 * base::kSecond_ns;
// A socket that could have taken more takes it so much later.
constexpr uint64_t kAgain_ns = 100 * base::kMicrosecond_ns;
constexpr uint32_t kCancelMisses = 500;

bool is_same(std::span<const uint8_t> bytes, const std::string& copy) {
  return bytes.empty() || std::memcmp(bytes.data(), copy.data(), bytes.size()) == 0;
}

}  // namespace

void Kernel::take(Submission& submission) {
  const int fd = submission.fd;
  File& file = file_of(fd, "an operation");
  expect(file.id == submission.file, "descriptor {} was closed before its submission was taken", fd);
  --file.untaken;
  const bool is_intact = is_same(submission.bytes, submission.copy);
  expect(is_intact, "the octets of a send on descriptor {} have changed before they were taken", fd);
  switch (submission.kind) {
    case Kind::kAccept:
      expect(!file.armed.is_armed, "a second accept on descriptor {}", fd);
      file.armed = {true, submission.token};
      return pump_accept(fd);
    case Kind::kPoll:
      expect(!file.armed.is_armed, "a second poll on descriptor {}", fd);
      file.armed = {true, submission.token};
      if (file.is_raised) post(fd, submission.token, POLLIN, true);
      return;
    case Kind::kReceive:
      expect(!file.link->receive.is_armed, "a second receive on descriptor {}", fd);
      file.link->receive = {true, submission.token};
      return pump_receive(*file.link);
    case Kind::kConnect:
      expect(!file.link->connecting.is_armed && !file.link->is_open, "a second connect on descriptor {}", fd);
      file.link->connecting = {true, submission.token};
      return plan_connecting(*file.link);
    case Kind::kSend:
    case Kind::kSendWaiting: return take_send(submission, *file.link);
    case Kind::kCancelFd: return cancel_all(submission, file);
  }
}

void Kernel::take_send(Submission& submission, Link& link) {
  const int fd = submission.fd;
  expect(link.is_open, "a send on descriptor {}, which is not connected", fd);
  expect(!link.sending.is_armed, "a send on descriptor {} beside one that waits", fd);
  expect(!submission.bytes.empty(), "an empty send on descriptor {}", fd);
  if (submission.kind == Kind::kSendWaiting) {
    link.sending.is_armed = true;
    link.sending.token = submission.token;
    link.sending.bytes = submission.bytes.data();
    link.sending.size = submission.bytes.size();
    link.sending.done = 0;
    link.sending.copy = std::move(submission.copy);
    return pump_sending(link);
  }
  const int32_t sent = send_now(link, submission.bytes);
  if (sent == static_cast<int32_t>(submission.bytes.size())) return;  // success posts nothing
  post(fd, submission.token, sent, false, {}, true);
}

// Bytes, or a negative errno.
int32_t Kernel::send_now(Link& link, std::span<const uint8_t> bytes) {
  if (link.error != 0) {
    link.is_broken = true;
    return -std::exchange(link.error, 0);
  }
  if (link.is_broken || link.has_shut_write) return -EPIPE;
  if (happens(options_.no_memory)) return -ENOMEM;
  const size_t buffer = link.options.send_buffer;
  size_t size = link.outbound.size() < buffer ? std::min(bytes.size(), buffer - link.outbound.size()) : 0;
  if (size != 0 && happens(options_.short_sends)) size = prng_.below(static_cast<uint32_t>(size) + 1);
  if (size == 0) return -EAGAIN;
  if (link.has_far_closed) link.reset(false);
  if (link.has_far_reset || link.far_error != 0) return static_cast<int32_t>(size);  // nobody reads it
  link.outbound.append(reinterpret_cast<const char*>(bytes.data()), size);
  if (link.is_vanished) {
    plan_timeout(link);
  } else {
    timeline_.in(link.options.latency_ns, [this, id = link.id] {
      Link* const readable = find(id);
      if (readable != nullptr && readable->far != nullptr) readable->far->on_readable();
    });
  }
  return static_cast<int32_t>(size);
}

void Kernel::plan_timeout(Link& link) {
  if (std::exchange(link.is_timeout_planned, true)) return;
  timeline_.in(kUserTimeout_ns, [this, id = link.id] {
    Link* const lost = find(id);
    if (lost == nullptr) return;
    lost->error = ETIMEDOUT;
    pump_receive(*lost);
    pump_sending(*lost);
  });
}

void Kernel::pump_sending(Link& link) {
  Link::Sending& sending = link.sending;
  if (!sending.is_armed) return;
  const bool is_intact = is_same({sending.bytes, sending.size}, sending.copy);
  expect(is_intact, "the octets of a waiting send on descriptor {} have changed", link.fd);
  const int32_t sent = send_now(link, {sending.bytes + sending.done, sending.size - sending.done});
  if (sent > 0) sending.done += static_cast<size_t>(sent);
  const bool has_failed = sent < 0 && sent != -EAGAIN;
  if (has_failed || sending.done == sending.size) {
    sending.is_armed = false;
    // What has left is told before the failure is.
    post(link.fd, sending.token, sending.done != 0 ? static_cast<int32_t>(sending.done) : sent);
    return;
  }
  if (link.outbound.size() >= link.options.send_buffer) return;
  timeline_.in(kAgain_ns, [this, id = link.id] {
    if (Link* waiting = find(id)) pump_sending(*waiting);
  });
}

void Kernel::on_room(Link& link) {
  pump_sending(link);
}

void Kernel::on_arrival(Link& link) {
  while (!link.travelling.empty() && link.travelling.front().arrives_ns <= timeline_.now_ns()) {
    Link::Segment segment = std::move(link.travelling.front());
    link.travelling.pop_front();
    switch (segment.kind) {
      case Link::Segment::Kind::kBytes:
        if (link.is_closed) {
          link.far_error = ECONNRESET;
          link.outbound.clear();
          if (link.far != nullptr) link.far->on_readable();
          return;
        }
        link.inbound += segment.bytes;
        break;
      case Link::Segment::Kind::kEnd: link.has_end_arrived = true; break;
      case Link::Segment::Kind::kReset:
        if (!link.is_broken) link.error = ECONNRESET;
        break;
    }
  }
  pump_receive(link);
  if (link.error != 0) pump_sending(link);
}

void Kernel::pump_receive(Link& link) {
  for (int i = 0; i < kReceivesInARow && link.receive.is_armed && !link.inbound.empty(); ++i) {
    if (free_buffers_.empty() || happens(options_.no_buffers)) {
      link.receive.is_armed = false;
      return post(link.fd, link.receive.token, -ENOBUFS);
    }
    size_t size = std::min<size_t>({link.inbound.size(), buffer_size_, options_.receive_max});
    if (prng_.below(4) == 0) size = 1 + prng_.below(static_cast<uint32_t>(size));
    const uint16_t buffer = free_buffers_.front();
    free_buffers_.pop_front();
    buffers_[buffer] = Buffer::kAway;
    std::memcpy(buffer_bytes_.data() + size_t{buffer} * buffer_size_, link.inbound.data(), size);
    link.inbound.erase(0, size);
    link.inbound_size -= size;
    link.receive.is_armed = !happens(options_.multishot_ends);
    post(link.fd, link.receive.token, static_cast<int32_t>(size), link.receive.is_armed, buffer);
    if (link.far != nullptr && link.inbound_size + size >= Link::kInboundMax) {
      timeline_.in(link.options.latency_ns, [this, id = link.id] {
        Link* const writable = find(id);
        if (writable != nullptr && writable->far != nullptr) writable->far->on_writable();
      });
    }
  }
  if (!link.receive.is_armed) return;
  if (!link.inbound.empty()) {
    timeline_.in(1'000, [this, id = link.id] {
      if (Link* more = find(id)) pump_receive(*more);
    });
    return;
  }
  const bool is_over = link.is_broken || link.has_end_arrived || link.has_shut_read;
  if (link.error == 0 && !is_over) return;
  link.receive.is_armed = false;
  if (link.error != 0) link.is_broken = true;
  post(link.fd, link.receive.token, -std::exchange(link.error, 0));
}

void Kernel::plan_connecting(Link& link) {
  const ConnectPlan plan = plan_connect(link);
  if (plan.delay_ns == base::kNever_ns) return;
  timeline_.in(plan.delay_ns, [this, id = link.id, error = plan.error] {
    if (Link* made = find(id)) end_connecting(*made, error);
  });
}

void Kernel::end_connecting(Link& link, int error) {
  if (!link.connecting.is_armed) return;
  link.connecting.is_armed = false;
  if (error == 0) {
    link.is_open = true;
    on_established(link);
  }
  post(link.fd, link.connecting.token, -error);
}

void Kernel::pump_accept(int fd) {
  File* listener = &file_of(fd, "accepting");
  while (listener->armed.is_armed && !listener->waiting.empty()) {
    const int accepted = add_file(File::Kind::kLink);
    listener = &files_[static_cast<size_t>(fd)];
    if (accepted < 0) {
      listener->armed.is_armed = false;
      return post(fd, listener->armed.token, -EMFILE);
    }
    Link& link = *find(listener->waiting.front());
    listener->waiting.pop_front();
    link.fd = accepted;
    files_[static_cast<size_t>(accepted)].link = &link;
    listener->armed.is_armed = !happens(options_.multishot_ends);
    post(fd, listener->armed.token, accepted, listener->armed.is_armed);
  }
}

int Kernel::accept_waiting(int listening_fd) {
  if (file_of(listening_fd, "accept").waiting.empty()) return -1;
  const int accepted = add_file(File::Kind::kLink);
  if (accepted < 0) return -1;
  File& listener = files_[static_cast<size_t>(listening_fd)];
  Link& link = *find(listener.waiting.front());
  listener.waiting.pop_front();
  link.fd = accepted;
  files_[static_cast<size_t>(accepted)].link = &link;
  return accepted;
}

void Kernel::cancel_all(const Submission& submission, File& file) {
  if (file.kind == File::Kind::kListener) {
    const bool was_armed = std::exchange(file.armed.is_armed, false);
    if (was_armed) post(submission.fd, file.armed.token, -ECANCELED);
    return post(submission.fd, submission.token, was_armed ? 1 : -ENOENT);
  }
  Link& link = *file.link;
  int32_t found = 0;
  if (std::exchange(link.receive.is_armed, false)) {
    post(link.fd, link.receive.token, -ECANCELED);
    ++found;
  }
  if (std::exchange(link.connecting.is_armed, false)) {
    post(link.fd, link.connecting.token, -ECANCELED);
    ++found;
  }
  // Behind the peer's end a waiting send is on its way to a worker thread at times, and not found.
  const bool misses = link.has_end_arrived && happens(kCancelMisses);
  if (!misses && std::exchange(link.sending.is_armed, false)) {
    post(link.fd, link.sending.token, link.sending.done != 0 ? static_cast<int32_t>(link.sending.done) : -ECANCELED);
    ++found;
  }
  post(submission.fd, submission.token, found != 0 ? found : -ENOENT);
}

void Kernel::shutdown_write(int fd) {
  Link& link = *file_of(fd, "shutdown").link;
  expect(!link.sending.is_armed, "the write side of descriptor {} is shut behind a send that waits", fd);
  link.has_shut_write = true;
  timeline_.in(link.options.latency_ns, [this, id = link.id] {
    Link* const ended = find(id);
    if (ended != nullptr && ended->far != nullptr) ended->far->on_readable();
  });
}

void Kernel::shutdown_both(int fd) {
  File& file = file_of(fd, "shutdown");
  if (file.kind == File::Kind::kListener) {
    file.is_shut = true;
    for (const uint64_t id : std::exchange(file.waiting, {})) {
      Link& link = *find(id);
      link.far_error = ECONNRESET;
      if (link.far != nullptr) link.far->on_readable();
    }
    if (std::exchange(file.armed.is_armed, false)) post(fd, file.armed.token, -EINVAL);
    return;
  }
  Link& link = *file.link;
  link.has_shut_write = link.has_shut_read = true;
  pump_sending(link);
  pump_receive(link);
  timeline_.in(link.options.latency_ns, [this, id = link.id] {
    Link* const ended = find(id);
    if (ended != nullptr && ended->far != nullptr) ended->far->on_readable();
  });
}

}  // namespace ringway::sim
