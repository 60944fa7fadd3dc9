// Descriptors, time and completions. What operations do is in operations.cc.
#include "kernel.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "report.h"

namespace ringway::sim {
namespace {

Kernel* current_kernel = nullptr;
constexpr int kFirstDescriptor = 3;
// A shard that enters so often without a completion, a wait or a timer in between spins.
constexpr uint64_t kIdleEntersMax = 20'000;

}  // namespace

Kernel::Kernel(Timeline& timeline, const KernelOptions& options, uint64_t seed)
    : timeline_(timeline), options_(options), prng_(seed) {
  expect(current_kernel == nullptr, "two kernels at once");
  current_kernel = this;
  files_.resize(kFirstDescriptor);
  for (File& file : files_) file.kind = File::Kind::kEvent;
}

Kernel::~Kernel() {
  current_kernel = nullptr;
}

Kernel& Kernel::current() {
  expect(current_kernel != nullptr, "no kernel");
  return *current_kernel;
}

void Kernel::heal() {
  options_.no_memory = 0;
  options_.descriptors = 1 << 20;
  // A client that is gone without a word is noticed by TCP alone; an endpoint has to be noticed by the shard.
  for (const auto& [id, link] : links_) {
    if (link->is_vanished && !link->is_upstream) plan_timeout(*link);
  }
}

Kernel::File& Kernel::file_of(int fd, const char* use) {
  const bool is_open =
      fd >= 0 && static_cast<size_t>(fd) < files_.size() && files_[static_cast<size_t>(fd)].kind != File::Kind::kClosed;
  expect(is_open, "{} on descriptor {}, which is closed", use, fd);
  return files_[static_cast<size_t>(fd)];
}

// The lowest free number, as a kernel does it: a descriptor that is used behind its close hits another's socket.
int Kernel::add_file(File::Kind kind) {
  size_t fd = kFirstDescriptor;
  while (fd < files_.size() && files_[fd].kind != File::Kind::kClosed) ++fd;
  if (fd >= options_.descriptors) return -1;
  if (fd == files_.size()) files_.emplace_back();
  files_[fd] = File{};
  files_[fd].kind = kind;
  files_[fd].id = ++id_count_;
  return static_cast<int>(fd);
}

int Kernel::listen() {
  return add_file(File::Kind::kListener);
}

int Kernel::make_event() {
  return add_file(File::Kind::kEvent);
}

void Kernel::raise_event(int fd) {
  File& file = file_of(fd, "raising an event");
  const bool was_raised = std::exchange(file.is_raised, true);
  if (!was_raised && file.armed.is_armed) post(fd, file.armed.token, 1, true);
}

void Kernel::clear_event(int fd) {
  file_of(fd, "clearing an event").is_raised = false;
}

Link* Kernel::find(uint64_t id) {
  const auto found = links_.find(id);
  return found != links_.end() ? found->second.get() : nullptr;
}

Link* Kernel::connect_to_shard(int listening_fd, FarEnd& far, const io::Address& peer, const LinkOptions& options) {
  File& listener = file_of(listening_fd, "connecting");
  if (listener.is_shut) return nullptr;
  auto made = std::make_unique<Link>();
  Link& link = *made;
  link.kernel = this;
  link.far = &far;
  link.id = ++id_count_;
  link.options = options;
  link.peer = peer;
  link.is_open = true;
  links_[link.id] = std::move(made);
  listener.waiting.push_back(link.id);
  timeline_.in(options.latency_ns, [this, listening_fd] { pump_accept(listening_fd); });
  return &link;
}

int Kernel::open_socket(const io::Address& peer, int& error) {
  const int fd = add_file(File::Kind::kLink);
  if (fd < 0) {
    error = EMFILE;
    return -1;
  }
  auto made = std::make_unique<Link>();
  made->kernel = this;
  made->id = ++id_count_;
  made->peer = peer;
  made->fd = fd;
  made->is_upstream = true;
  files_[static_cast<size_t>(fd)].link = made.get();
  links_[made->id] = std::move(made);
  return fd;
}

void Kernel::close(int fd) {
  File& file = file_of(fd, "close");
  Link* const link = file.link;
  if (!is_exiting_) {
    expect(file.untaken == 0, "descriptor {} is closed with {} submissions untaken", fd, file.untaken);
    expect(file.unread == 0, "descriptor {} is closed with {} completions unread", fd, file.unread);
    expect(!file.armed.is_armed, "descriptor {} is closed while it is watched", fd);
    expect(link == nullptr || (!link->receive.is_armed && !link->connecting.is_armed && !link->sending.is_armed),
           "descriptor {} is closed with an operation in flight", fd);
  }
  file = File{};
  if (link == nullptr) return;
  link->fd = -1;
  link->is_closed = true;
  // Bytes that nobody will read are answered by a reset.
  const bool is_rude = !link->inbound.empty() || (link->inbound_size != 0 && !link->has_end_arrived);
  if (is_rude && !link->is_gone()) {
    link->outbound.clear();
    link->far_error = ECONNRESET;
  }
  link->has_shut_write = true;
  if (link->far != nullptr && link->is_open) {
    timeline_.in(link->options.latency_ns, [this, id = link->id] {
      Link* const closed = find(id);
      if (closed != nullptr && closed->far != nullptr) closed->far->on_readable();
    });
  }
}

io::Address Kernel::peer_of(int fd) {
  return file_of(fd, "asking for the peer").link->peer;
}

void Kernel::post(int fd, io::Token token, int32_t result, bool has_more, std::optional<uint16_t> buffer,
                  bool is_inline) {
  File& file = files_[static_cast<size_t>(fd)];
  ++file.unread;
  pending_.push_back({{token, result, has_more, buffer.has_value(), buffer.value_or(0)}, file.id, fd, is_inline});
}

uint32_t Kernel::submit(Submission submission) {
  // A full queue is handed over at once.
  while (submissions_.size() >= submission_entries_) take_submissions();
  File& file = file_of(submission.fd, "a submission");
  ++file.untaken;
  submission.file = file.id;
  if (!submission.bytes.empty())
    submission.copy.assign(reinterpret_cast<const char*>(submission.bytes.data()), submission.bytes.size());
  submissions_.push_back(std::move(submission));
  return ++queued_count_;
}

// False: not all were taken.
bool Kernel::take_submissions() {
  size_t count = submissions_.size();
  if (count != 0 && happens(options_.untaken)) count = prng_.below(static_cast<uint32_t>(count));
  while (count-- != 0) {
    Submission submission = std::move(submissions_.front());
    submissions_.pop_front();
    ++taken_count_;
    take(submission);
  }
  return submissions_.empty();
}

void Kernel::enter(uint64_t now_ns, uint64_t deadline_ns) {
  if (on_enter) on_enter();
  forget_dead_links();
  // What the turn took of the processor's time.
  timeline_.run_until(timeline_.now_ns() + 1'000 + prng_.below(20'000));
  const size_t before = pending_.size() + overflowed_.size();
  const bool is_all_taken = take_submissions();
  if (deadline_ns > now_ns && is_all_taken) wait(deadline_ns);
  idle_enters_ = before == 0 && pending_.empty() ? idle_enters_ + 1 : 0;
  expect(idle_enters_ < kIdleEntersMax, "the shard spins: {} enters brought nothing", idle_enters_);
  reveal();
}

void Kernel::forget_dead_links() {
  std::erase_if(links_, [](const auto& entry) { return entry.second->is_closed && entry.second->far == nullptr; });
}

void Kernel::wait(uint64_t deadline_ns) {
  if (happens(options_.spurious)) return;
  while (pending_.empty() && overflowed_.empty() && completions_.empty()) {
    if (timeline_.next_ns() > deadline_ns) {
      timeline_.run_until(deadline_ns);
      idle_enters_ = 0;
      return;
    }
    expect(timeline_.next_ns() != base::kNever_ns, "nothing will ever happen again, and the shard waits for it");
    timeline_.run_next();
  }
  if (options_.gather_ns != 0) timeline_.run_until(timeline_.now_ns() + prng_.next() % options_.gather_ns);
}

// Posts what is pending: operations may overtake each other, completions of one operation do not.
void Kernel::reveal() {
  const auto is_same = [](const Posted& a, const Posted& b) {
    return a.completion.token.packed() == b.completion.token.packed();
  };
  if (options_.reorders) {
    for (size_t i = 1; i < pending_.size(); ++i) {
      for (size_t j = i; j != 0 && prng_.below(2) == 0 && !is_same(pending_[j - 1], pending_[j]); --j) {
        std::swap(pending_[j - 1], pending_[j]);
      }
    }
  }
  std::vector<Posted> kept;
  for (Posted& posted : pending_) {
    const bool waits = std::ranges::any_of(kept, [&](const Posted& other) { return is_same(other, posted); });
    if (!posted.is_inline && (waits || happens(options_.held_back))) {
      kept.push_back(posted);
    } else {
      overflowed_.push_back(posted);
    }
  }
  pending_ = std::move(kept);
  if (!pending_.empty()) timeline_.in(10'000, [] {});
  while (!overflowed_.empty() && completions_.size() < options_.completion_entries) {
    completions_.push_back(overflowed_.front());
    overflowed_.pop_front();
  }
}

size_t Kernel::drain(std::span<io::Completion> out) {
  const size_t count = std::min(out.size(), completions_.size());
  for (size_t i = 0; i < count; ++i) {
    const Posted& posted = completions_.front();
    out[i] = posted.completion;
    digest_ = (digest_ ^ posted.completion.token.packed()) * 0x9e3779b97f4a7c15 +
              static_cast<uint32_t>(posted.completion.result);
    digest_ ^= timeline_.now_ns();
    File& file = files_[static_cast<size_t>(posted.fd)];
    expect(file.id == posted.file, "descriptor {} was closed with a completion unread", posted.fd);
    --file.unread;
    completions_.pop_front();
  }
  return count;
}

uint8_t* Kernel::make_buffers(uint32_t count, uint32_t size) {
  buffer_bytes_.resize(size_t{count} * size);
  buffer_size_ = size;
  buffers_.resize(count, Buffer::kAway);
  return buffer_bytes_.data();
}

void Kernel::recycle(uint16_t buffer) {
  expect(buffer < buffers_.size() && buffers_[buffer] == Buffer::kAway,
         "buffer {} is returned without having been given", buffer);
  buffers_[buffer] = Buffer::kReturned;
  returned_.push_back(buffer);
}

void Kernel::publish() {
  for (const uint16_t buffer : returned_) {
    // From here on the kernel may write: what still reads it reads nonsense.
    std::fill_n(buffer_bytes_.data() + size_t{buffer} * buffer_size_, std::min(buffer_size_, options_.receive_max),
                uint8_t{0xdd});
    buffers_[buffer] = Buffer::kFree;
    free_buffers_.push_back(buffer);
  }
  returned_.clear();
}

uint32_t Kernel::open_descriptors() const {
  const auto count = std::ranges::count_if(files_, [](const File& file) { return file.kind != File::Kind::kClosed; });
  return static_cast<uint32_t>(count) - kFirstDescriptor;
}

uint32_t Kernel::armed_sends() const {
  return static_cast<uint32_t>(
      std::ranges::count_if(links_, [](const auto& entry) { return entry.second->sending.is_armed; }));
}

uint32_t Kernel::buffers_away() const {
  return static_cast<uint32_t>(std::ranges::count(buffers_, Buffer::kAway));
}

}  // namespace ringway::sim
