"""A handful of the RFC's rules against the running program, in both roles. All of them: docs/conformance.md."""

import struct

import pytest
from h2.errors import ErrorCodes

from rawh2 import echo, grpc_message, raw_frame, request_headers

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 1, 4
CANCEL = struct.pack(">I", 8)


def literal_block(fields):
    block = b""
    for name, value in fields:
        block += b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    return block


REQUEST = literal_block(request_headers())
RESPONSE = literal_block([(":status", "200"), ("content-type", "application/grpc")])
TRAILERS = literal_block([("grpc-status", "0")])


def finished_call(loop, client):
    request = client.call()
    loop.until(lambda: request.is_over, "the call")
    assert request.trailer("grpc-status") == "0"
    return request.id


BEHIND_THE_END = {
    "DATA": (lambda end: raw_frame(DATA, END_STREAM, end, b"late"), "STREAM_CLOSED"),
    "HEADERS": (lambda end: raw_frame(HEADERS, END_HEADERS | END_STREAM, end, REQUEST), "STREAM_CLOSED"),
    "DATA behind RST_STREAM": (lambda end: raw_frame(HEADERS, END_HEADERS, end + 2, REQUEST) +
                               raw_frame(RST_STREAM, 0, end + 2, CANCEL) + raw_frame(DATA, 0, end + 2, b"late"),
                               "STREAM_CLOSED"),
    "an id that was passed over": (lambda end: raw_frame(HEADERS, END_HEADERS, end + 10, REQUEST) +
                                   raw_frame(HEADERS, END_HEADERS, end + 4, REQUEST), "PROTOCOL_ERROR"),
    "PRIORITY of four bytes on an idle stream": (lambda end: raw_frame(PRIORITY, 0, end + 2, bytes(4)),
                                                 "FRAME_SIZE_ERROR"),
}


@pytest.mark.parametrize("name", BEHIND_THE_END)
def test_client_breaks_the_state_machine(proxy, loop, backend, name):
    backend.handler = echo
    started = proxy(backend, shards=1)
    client = loop.client(started)
    sent, code = BEHIND_THE_END[name]
    end = finished_call(loop, client)
    client.is_judged = False
    client.send_raw(sent(end))
    loop.until(lambda: client.closed, "the end of the connection")
    assert [ErrorCodes(frame.error_code).name for frame in client.goaways] == [code]
    finished_call(loop, loop.client(started))


def test_frames_under_way_behind_many_resets(proxy, loop, backend):
    """More streams than ringway remembers; each is answered at once and reset, while its upload is on its way."""
    client = loop.client(proxy(backend, shards=1))
    loop.settle(client)
    client.is_judged = False
    refused = literal_block(request_headers(extra=[("grpc-timeout", "soon")]))
    ids = range(1, 200, 2)
    client.send_raw(b"".join(raw_frame(HEADERS, END_HEADERS, each, refused) for each in ids))
    loop.until(lambda: len([frame for frame in client.frames if frame.__class__.__name__ == "RstStreamFrame"]) == len(ids),
               "the resets")
    client.send_raw(b"".join(raw_frame(DATA, 0, each, b"x") + raw_frame(HEADERS, END_HEADERS | END_STREAM, each, TRAILERS)
                             for each in ids))
    client.send_raw(raw_frame(PING, 0, 0, b"still on"))
    loop.until(lambda: any(frame.__class__.__name__ == "PingFrame" for frame in client.frames), "the answer to a PING")
    assert not client.closed and not client.goaways
    assert not backend.requests()


@pytest.mark.parametrize("sent", [raw_frame(DATA, 0, 1, b"late"), raw_frame(HEADERS, END_HEADERS | END_STREAM, 1, RESPONSE)],
                         ids=["DATA", "HEADERS"])
def test_what_a_backend_sends_behind_its_end_is_discarded(proxy, loop, backend, sent):
    """The calls of other clients on its connection go on."""
    backend.handler = echo
    client = loop.client(proxy(backend, shards=1))
    finished_call(loop, client)
    backend.connections[0].send_raw(sent)
    finished_call(loop, client)
    assert len(backend.connections) == 1 and not backend.connections[0].goaways


BEHIND_THE_RESPONSE = {
    "HEADERS on an even id": (raw_frame(HEADERS, END_HEADERS, 2, RESPONSE), "PROTOCOL_ERROR"),
    "SETTINGS_ENABLE_PUSH of 1": (raw_frame(SETTINGS, 0, 0, struct.pack(">HI", 2, 1)), "PROTOCOL_ERROR"),
}


@pytest.mark.parametrize("name", BEHIND_THE_RESPONSE)
def test_backend_breaks_the_state_machine(proxy, loop, backend, name):
    """The endpoint is told why, and the next call goes over a new connection; the client notices nothing."""
    backend.handler = echo
    client = loop.client(proxy(backend, shards=1))
    finished_call(loop, client)
    peer = backend.connections[0]
    sent, code = BEHIND_THE_RESPONSE[name]
    peer.send_raw(sent)
    loop.until(lambda: peer.closed, "the end of the backend's connection")
    assert [ErrorCodes(frame.error_code).name for frame in peer.goaways] == [code]
    finished_call(loop, client)
    assert not client.goaways


def test_connect_is_answered(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1))
    request = client.start_request([(":method", "CONNECT"), (":authority", "test.example:443")], end_stream=False)
    loop.until(lambda: request.is_over, "the answer")
    assert request.header(":status") == "501"
    assert bytes(request.data) == b"CONNECT is not supported\n"
    assert not backend.connections


def test_head_announces_what_get_would_have_got(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1))
    request = client.start_request([(":method", "HEAD"), (":scheme", "http"), (":path", "/page"), (":authority", "a")])
    peer, stream = backend.await_request()
    peer.send_headers(stream, [(":status", "200"), ("content-length", "7")], end_stream=True)
    loop.until(lambda: request.is_over, "the answer")
    assert request.header(":status") == "200" and request.header("content-length") == "7"


def test_status_that_is_no_number_becomes_unknown(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1))
    request = client.call()
    peer, stream = backend.await_request(complete=True)
    peer.respond(stream, trailers=[("grpc-status", "ok"), ("grpc-message", "fine")])
    loop.until(lambda: request.is_over, "the answer")
    assert request.trailer("grpc-status") == "2" and request.trailer("grpc-message") == "fine"
    assert bytes(request.data) == grpc_message(b"pong")
