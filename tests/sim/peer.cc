#include "peer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "report.h"
#include "world.h"

namespace ringway::sim {

std::vector<nghttp2_nv> pairs_of(const Fields& fields) {
  std::vector<nghttp2_nv> pairs;
  for (const auto& [name, value] : fields) {
    const uint8_t flags = name == "authorization" ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
    pairs.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                     reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(), flags});
  }
  return pairs;
}

struct Peer::Callbacks {
  static Peer& peer(void* user_data) { return *static_cast<Peer*>(user_data); }

  static int on_begin(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    const bool is_request = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    if (is_request) peer(user_data).on_stream_begin(frame->hd.stream_id);
    return 0;
  }

  static int on_field(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                      const uint8_t* value, size_t value_size, uint8_t, void* user_data) {
    peer(user_data).on_field(frame->hd.stream_id, {reinterpret_cast<const char*>(name), name_size},
                             {reinterpret_cast<const char*>(value), value_size});
    return 0;
  }

  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    Peer& self = peer(user_data);
    const bool has_ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame->hd.type == NGHTTP2_HEADERS) self.on_headers_end(frame->hd.stream_id);
    const bool is_message = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (is_message && has_ended) self.on_body_end(frame->hd.stream_id);
    return 0;
  }

  static int on_sent(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    const bool is_headers = frame->hd.type == NGHTTP2_HEADERS;
    if (is_headers) peer(user_data).on_headers_sent(frame->hd.stream_id);
    const bool is_message = is_headers || frame->hd.type == NGHTTP2_DATA;
    if (is_message && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) peer(user_data).on_end_sent(frame->hd.stream_id);
    return 0;
  }

  static int on_octets(nghttp2_session*, uint8_t, int32_t stream, const uint8_t* octets, size_t size, void* user_data) {
    peer(user_data).on_octets(stream, {reinterpret_cast<const char*>(octets), size});
    return 0;
  }

  static int on_end(nghttp2_session*, int32_t stream, uint32_t code, void* user_data) {
    peer(user_data).on_stream_end(stream, code);
    return 0;
  }

  static int on_invalid(nghttp2_session*, const nghttp2_frame* frame, int error, void* user_data) {
    // Until its SETTINGS are there the shard may ask for more streams than they grant.
    if (error == NGHTTP2_ERR_REFUSED_STREAM) return peer(user_data).world_.on_unseen_refusal();
    fail("nghttp2 refuses a frame of type {} on stream {}: {}", frame->hd.type, frame->hd.stream_id,
         nghttp2_strerror(error));
  }

  static ssize_t read(nghttp2_session* session, int32_t stream, uint8_t* out, size_t size_max, uint32_t* flags,
                      nghttp2_data_source*, void* user_data) {
    bool is_over = false;
    Fields trailers;
    const std::string_view octets = peer(user_data).read_body(stream, size_max, is_over, trailers);
    std::memcpy(out, octets.data(), octets.size());
    if (is_over) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (octets.empty() && !is_over) return NGHTTP2_ERR_DEFERRED;
    if (!trailers.empty()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const auto pairs = pairs_of(trailers);
      expect(nghttp2_submit_trailer(session, stream, pairs.data(), pairs.size()) == 0, "no trailers");
    }
    return static_cast<ssize_t>(octets.size());
  }
};

Peer::Peer(World& world, bool is_server) : world_(world), is_server_(is_server) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* option = nullptr;
  expect(nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0, "no memory");
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Callbacks::on_begin);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::on_field);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::on_frame);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, Callbacks::on_sent);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::on_octets);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::on_end);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, Callbacks::on_invalid);
  // Credit is returned by the owner, at once or late.
  nghttp2_option_set_no_auto_window_update(option, 1);
  expect((is_server ? nghttp2_session_server_new2(&session_, callbacks, this, option)
                    : nghttp2_session_client_new2(&session_, callbacks, this, option)) == 0,
         "no session");
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  submit_settings(true);
}

Peer::~Peer() {
  nghttp2_session_del(session_);
}

nghttp2_data_source_read_callback Peer::body_reader() {
  return Callbacks::read;
}

void Peer::submit_settings(bool is_first) {
  base::Prng& prng = world_.prng();
  constexpr uint32_t kWindows[] = {100, 10'000, 65'535, 1 << 20};
  constexpr uint32_t kTables[] = {0, 200, 4096, 65'536};
  constexpr uint32_t kStreams[] = {1, 3, 20, 100, 1000};
  std::vector<nghttp2_settings_entry> entries;
  if (prng.below(3) == 0) entries.push_back({NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kWindows[prng.below(4)]});
  if (prng.below(4) == 0) entries.push_back({NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, kTables[prng.below(4)]});
  if (prng.below(4) == 0) entries.push_back({NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 16'384 + prng.below(100'000)});
  if (is_server_ && prng.below(2) == 0) {
    entries.push_back({NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kStreams[prng.below(5)]});
  }
  if (is_first || !entries.empty()) {
    expect(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries.data(), entries.size()) == 0, "no SETTINGS");
  }
  if (is_first && prng.below(2) == 0) {
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, 1 << (17 + prng.below(6)));
  }
}

void Peer::change_settings() {
  if (!is_alive()) return;
  submit_settings(false);
  flush();
}

void Peer::open_up() {
  if (!is_alive()) return;
  is_slow_ = false;
  const nghttp2_settings_entry window{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20};
  expect(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &window, 1) == 0, "no SETTINGS");
  resume();
}

void Peer::attach(Link& link) {
  link_ = &link;
  link.far = this;
  is_slow_ = world_.prng().below(1000) < world_.profile().slow_peers;
  flush();
}

// The session's output goes into the link, as much as it takes.
void Peer::flush() {
  if (!is_alive() || is_stalled_ || has_closed_half_) return;
  const size_t room = link_->room();
  while (unsent_.size() < room) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    expect(size >= 0, "nghttp2 cannot send: {}", nghttp2_strerror(static_cast<int>(size)));
    if (size == 0) break;
    unsent_.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  }
  const size_t size = std::min(room, unsent_.size());
  link_->write(std::string_view(unsent_).substr(0, size));
  unsent_.erase(0, size);
}

void Peer::on_writable() {
  flush();
}

void Peer::on_readable() {
  while (is_alive() && !is_stalled_ && !is_pausing_ && !link_->outbound.empty()) {
    base::Prng& prng = world_.prng();
    take(link_->read(is_slow_ ? 1 + prng.below(2'000) : 1 + prng.below(65'536)));
    if (!is_slow_ || !is_alive()) continue;
    is_pausing_ = true;
    world_.timeline().in(prng.below(2'000'000), [this] {
      is_pausing_ = false;
      on_readable();
    });
  }
  if (is_alive() && !is_stalled_ && !is_pausing_ && (link_->is_at_end() || is_done())) end();
}

void Peer::take(std::string_view bytes) {
  const ssize_t taken =
      nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  expect(taken == static_cast<ssize_t>(bytes.size()), "nghttp2 refuses what the shard sent: {}",
         nghttp2_strerror(static_cast<int>(taken)));
  flush();
}

// As programs on nghttp2 do: when the session has nothing to say or hear any more, they close.
bool Peer::can_write() const {
  return is_alive() && !has_closed_half_ && !is_stalled_ && unsent_.empty() && link_->room() > Link::kInboundMax / 2;
}

bool Peer::is_done() const {
  return unsent_.empty() && nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

void Peer::stall(uint64_t duration_ns) {
  if (!is_alive() || std::exchange(is_stalled_, true)) return;
  world_.timeline().in(duration_ns, [this] { resume(); });
}

void Peer::go() {
  if (!is_alive()) return;
  link_->detach();
  link_ = nullptr;
  on_gone();
}

void Peer::end() {
  if (!is_alive()) return;
  link_->finish();
  link_->has_far_closed = true;
  // Who closes with bytes unread resets.
  if (!link_->outbound.empty()) link_->reset(false);
  go();
}

void Peer::break_off(bool is_lossy) {
  if (!is_alive()) return;
  link_->reset(is_lossy);
  go();
}

void Peer::vanish() {
  if (!is_alive()) return;
  link_->vanish();
  go();
}

void Peer::freeze() {
  if (!is_alive()) return;
  link_->finish();
  go();
}

void Peer::half_close() {
  if (!is_alive()) return;
  link_->finish();
  has_closed_half_ = true;
}

}  // namespace ringway::sim
