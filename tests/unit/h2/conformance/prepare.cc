// Brings a connection to where rows begin.
#include <gtest/gtest.h>

#include "rows.h"

namespace ringway::h2::conformance {
namespace {

void close_streams(Endpoint& end, std::initializer_list<uint32_t> ids) {
  for (const uint32_t id : ids) end.connection.close_stream(*end.stream(id));
}

// Never more than four streams at once.
void prepare_server(Endpoint& server) {
  server.receive(request(kOpen, false) + request(kEnded) + request(kResetByUs, false) + request(kOver));
  server.send_headers(*server.stream(kOver), {{":status", "200"}}, true);
  server.connection.reset_stream(*server.stream(kResetByUs), ErrorCode::kCancel);
  close_streams(server, {kResetByUs, kOver});
  server.receive(request(kResetByPeer, false) + wire::rst_stream(kResetByPeer, ErrorCode::kCancel));
  close_streams(server, {kResetByPeer});
  server.receive(request(kAnswered, false) + request(kLast, false));
  server.send_headers(*server.stream(kAnswered), {{":status", "200"}}, true);
}

void prepare_client(Endpoint& client, bool has_head_request) {
  for (uint32_t id = kOpen; id <= kLast; id += 2) {
    Stream& stream = *client.connection.open_stream(nullptr);
    ASSERT_EQ(stream.id, id);
    if (has_head_request && id == kLast) stream.set_head_request();
    client.send_headers(stream, wire::request_fields(), id == kOver || id == kAnswered);
  }
  client.receive(response(kEnded) + response(kOver) + response(kResponding, false) +
                 wire::rst_stream(kResetByPeer, ErrorCode::kCancel));
  client.connection.reset_stream(*client.stream(kResetByUs), ErrorCode::kCancel);
  close_streams(client, {kResetByUs, kOver, kResetByPeer});
}

}  // namespace

void prepare(Endpoint& end, Start start) {
  if (start == Start::kFirstOctet) {
    end.take_output();
    return;
  }
  end.greet();
  const bool is_server = end.connection.role() == Role::kServer;
  is_server ? prepare_server(end) : prepare_client(end, start == Start::kHeadRequest);
  ASSERT_FALSE(end.connection.has_failed()) << end.connection.failure_reason();
  ASSERT_EQ(end.connection.stream_count(), is_server ? 4u : 5u);
  end.take_output();
  end.events.clear();
}

}  // namespace ringway::h2::conformance
