// The far end of a connection with the shard: an nghttp2 session over a simulated link, with what its owner makes it
// do: read slowly or not at all, end, break, vanish.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "link.h"

namespace ringway::sim {

class World;

using Fields = std::vector<std::pair<std::string, std::string>>;

class Peer : public FarEnd {
 public:
  Peer(World& world, bool is_server);
  Peer(const Peer&) = delete;
  ~Peer() override;

  // Begins to speak on `link`.
  void attach(Link& link);
  bool is_alive() const { return link_ != nullptr; }
  // Nobody reads or writes until then.
  void stall(uint64_t duration_ns);
  // The ways to go; what was open is lost to the owner.
  void end();  // an orderly end
  void break_off(bool is_lossy);
  void vanish();
  // It has said that it sends no more, and never reads again.
  void freeze();
  // It goes on reading, but has said that it sends no more.
  void half_close();
  void change_settings();
  void resume() { is_stalled_ = false, on_readable(), on_writable(); }
  // Reads all there is, at once, from now on.
  void open_up();

  void on_readable() final;
  void on_writable() final;

 protected:
  // The session's events. None may end the peer: they run inside nghttp2.
  virtual void on_stream_begin(int32_t /*stream*/) {}
  virtual void on_headers_sent(int32_t /*stream*/) {}
  virtual void on_end_sent(int32_t /*stream*/) {}
  virtual void on_field(int32_t stream, std::string_view name, std::string_view value) = 0;
  virtual void on_headers_end(int32_t stream) = 0;
  virtual void on_octets(int32_t stream, std::string_view octets) = 0;
  virtual void on_body_end(int32_t stream) = 0;
  virtual void on_stream_end(int32_t stream, uint32_t code) = 0;
  // The body of a message: octets to send now, or none; `is_over` when nothing follows.
  virtual std::string_view read_body(int32_t stream, size_t size_max, bool& is_over, Fields& trailers) = 0;
  virtual void on_gone() = 0;

  void flush();
  // What calls read_body().
  static nghttp2_data_source_read_callback body_reader();
  void submit_settings(bool is_first);
  nghttp2_session* session() const { return session_; }
  // What it says now leaves at once.
  bool can_write() const;
  World& world_;

 private:
  struct Callbacks;

  void go();
  void take(std::string_view bytes);
  bool is_done() const;

  nghttp2_session* session_ = nullptr;
  bool is_server_;
  Link* link_ = nullptr;
  std::string unsent_;
  bool is_stalled_ = false;
  bool is_slow_ = false;
  bool is_pausing_ = false;
  bool has_closed_half_ = false;
};

std::vector<nghttp2_nv> pairs_of(const Fields& fields);

}  // namespace ringway::sim
