// A proxy without sockets: nghttp2 sessions as clients and endpoints, bytes carried by hand, time that passes when
// told. Each pass is a turn as the shard makes one, and the proxy's invariants are checked after each.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "config/snapshot.h"
#include "nghttp2_peer.h"
#include "proxy/proxy.h"

namespace ringway::proxy {

using h2::Nghttp2Peer;
using h2::PlainField;
using h2::PlainList;

// A frame that the proxy sent.
struct SeenFrame {
  uint8_t type;
  uint8_t flags;
  uint32_t stream;
  uint32_t word;  // the payload's first: an error code, a GOAWAY's last stream
};

// A connection of the proxy's and who is at its other end.
struct Link {
  base::Handle<Connection> handle;
  std::unique_ptr<Nghttp2Peer> peer;
  std::string endpoint;  // its address; empty: a client
  bool is_gone = false;  // the proxy has forgotten the connection
  bool is_mute = false;  // what the peer says does not arrive
  bool has_skipped_preface = false;
  std::string raw;                     // all that was sent to a client that has no peer
  std::vector<SeenFrame> frames;       // all so far
  std::vector<SeenFrame> turn_frames;  // of the last turn

  // Those with this type (and these flags, if any are named) in all that was sent.
  std::vector<SeenFrame> of_type(uint8_t type, uint8_t flags = 0) const;
};

// A body that is sent piece by piece. The rig keeps it.
struct Flow {
  Link* link = nullptr;
  int32_t id = 0;
  std::string bytes;
  bool is_ended = false;
};

class Rig {
 public:
  // One listener, one route for everything, one cluster with that many endpoints; change it before anything else.
  static config::Snapshot plain_snapshot(uint32_t endpoints = 2);

  explicit Rig(const config::Snapshot& snapshot = plain_snapshot(), LogPort* log = nullptr);
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;
  ~Rig();

  Link& add_client(std::string_view address = "192.0.2.7:40000", const Nghttp2Peer::Options& options = {});
  // One whose bytes the test says itself, or none when the proxy does not take it.
  Link* add_raw_client(std::string_view address = "192.0.2.7:40000");
  void say(Link& link, std::string_view bytes);
  // The only, or the newest, connection to this endpoint that is still there.
  Link& upstream(uint32_t endpoint);
  bool has_upstream(uint32_t endpoint) const;
  // Where the connections wait that the proxy asked for while `connects` is false.
  std::vector<base::Handle<Connection>> wanted;
  void connect(base::Handle<Connection> handle);
  void refuse(base::Handle<Connection> handle);
  bool connects = true;
  Nghttp2Peer::Options endpoint_options;  // of those that are connected from now on

  // Carries bytes and makes turns until nobody has anything to say.
  void run();
  // What this peer has to say reaches the proxy, and one turn passes.
  void deliver(Link& link);
  void turn();
  // Time passes in steps of `step_ns`, with a run() after each.
  void pass(uint64_t duration_ns, uint64_t step_ns = base::kMillisecond_ns);
  void lose(Link& link, int code);

  Flow& open_request(Link& client, const PlainList& headers);
  Flow& open_response(Link& upstream, int32_t id, const PlainList& headers);
  void send(Flow& flow, std::string_view bytes, bool ends = false);

  // The exchange of requests: calls that the endpoint has got and not answered, in order of their ids.
  static std::vector<int32_t> calls(Link& upstream);
  // Answers them with success, on the newest connection to this endpoint.
  void answer(uint32_t endpoint);

  config::Snapshot snapshot;
  uint64_t now_ns = base::kSecond_ns;
  std::unique_ptr<Proxy> proxy;
  std::deque<Link> links;

 private:
  Link* link_of(base::Handle<Connection> handle);
  void take_wanted();
  void take_output(Connection& connection);

  std::deque<Flow> flows_;
  std::vector<base::Handle<Connection>> flushed_;
  std::vector<std::pair<base::Handle<Connection>, std::string>> outputs_;
};

PlainList grpc_request(std::string path = "/shop.Cart/Add", const PlainList& more = {});
inline const PlainList kGrpcResponse = {{":status", "200"}, {"content-type", "application/grpc"}};
inline const PlainList kGrpcOk = {{"grpc-status", "0"}};
// A length-prefixed message of that many octets.
std::string grpc_message(size_t size, char fill = 'm');
// The value of the first such field, or "(none)".
std::string value_of(const PlainList& fields, std::string_view name);

}  // namespace ringway::proxy
