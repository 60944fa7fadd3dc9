"""Errors of a whole connection: GOAWAY with the right code, then the end, and the next client is served as ever."""

import struct

import pytest
from h2.errors import ErrorCodes

from rawh2 import PREFACE, echo, grpc_message, raw_frame, request_headers

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8


def literal_block():
    """A request's header block that needs no table."""
    block = b""
    for name, value in request_headers():
        block += b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    return block


def setting(identifier, value):
    return struct.pack(">HI", identifier, value)


BLOCK = literal_block()
OPEN_1 = raw_frame(HEADERS, END_HEADERS, 1, BLOCK)
OPEN_5 = raw_frame(HEADERS, END_HEADERS | END_STREAM, 5, BLOCK)

# What a client sends after its preface and SETTINGS, and the codes of RFC 9113 (and, where it leaves a choice, both).
ERRORS = {
    "DATA on stream 0": (raw_frame(DATA, 0, 0, b"x"), {"PROTOCOL_ERROR"}),
    "DATA on an idle stream": (raw_frame(DATA, 0, 1, b"x"), {"PROTOCOL_ERROR"}),
    "DATA with more padding than bytes": (OPEN_1 + raw_frame(DATA, PADDED, 1, b"\x05abc"), {"PROTOCOL_ERROR"}),
    "DATA beyond the frame size": (OPEN_1 + raw_frame(DATA, 0, 1, bytes(16_385)), {"FRAME_SIZE_ERROR"}),
    "HEADERS on stream 0": (raw_frame(HEADERS, END_HEADERS, 0, BLOCK), {"PROTOCOL_ERROR"}),
    "HEADERS on an even stream": (raw_frame(HEADERS, END_HEADERS, 2, BLOCK), {"PROTOCOL_ERROR"}),
    "HEADERS below the last id": (OPEN_5 + raw_frame(HEADERS, END_HEADERS, 3, BLOCK),
                                  {"PROTOCOL_ERROR", "STREAM_CLOSED"}),
    "HEADERS with more padding than bytes": (raw_frame(HEADERS, END_HEADERS | PADDED, 1, b"\xff" + BLOCK[:50]),
                                             {"PROTOCOL_ERROR"}),
    "header block that cannot be decoded": (raw_frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
                                            {"COMPRESSION_ERROR"}),
    "index beyond the table": (raw_frame(HEADERS, END_HEADERS, 1, b"\xbe"), {"COMPRESSION_ERROR"}),
    "table larger than allowed": (raw_frame(HEADERS, END_HEADERS, 1, b"\x3f\xff\xff\x03" + BLOCK),
                                  {"COMPRESSION_ERROR"}),
    "RST_STREAM on stream 0": (raw_frame(RST_STREAM, 0, 0, bytes(4)), {"PROTOCOL_ERROR"}),
    "RST_STREAM on an idle stream": (raw_frame(RST_STREAM, 0, 1, bytes(4)), {"PROTOCOL_ERROR"}),
    "RST_STREAM of three bytes": (OPEN_1 + raw_frame(RST_STREAM, 0, 1, bytes(3)), {"FRAME_SIZE_ERROR"}),
    "SETTINGS on a stream": (raw_frame(SETTINGS, 0, 1, b""), {"PROTOCOL_ERROR"}),
    "SETTINGS of five bytes": (raw_frame(SETTINGS, 0, 0, bytes(5)), {"FRAME_SIZE_ERROR"}),
    "SETTINGS ACK with content": (raw_frame(SETTINGS, ACK, 0, setting(4, 1)), {"FRAME_SIZE_ERROR"}),
    "ENABLE_PUSH of 2": (raw_frame(SETTINGS, 0, 0, setting(2, 2)), {"PROTOCOL_ERROR"}),
    "INITIAL_WINDOW_SIZE of 2^31": (raw_frame(SETTINGS, 0, 0, setting(4, 1 << 31)), {"FLOW_CONTROL_ERROR"}),
    "MAX_FRAME_SIZE of 100": (raw_frame(SETTINGS, 0, 0, setting(5, 100)), {"PROTOCOL_ERROR"}),
    "MAX_FRAME_SIZE of 2^24": (raw_frame(SETTINGS, 0, 0, setting(5, 1 << 24)), {"PROTOCOL_ERROR"}),
    "PUSH_PROMISE from a client": (raw_frame(PUSH_PROMISE, END_HEADERS, 1, bytes(4) + BLOCK), {"PROTOCOL_ERROR"}),
    "PING on a stream": (raw_frame(PING, 0, 1, bytes(8)), {"PROTOCOL_ERROR"}),
    "PING of seven bytes": (raw_frame(PING, 0, 0, bytes(7)), {"FRAME_SIZE_ERROR"}),
    "GOAWAY on a stream": (raw_frame(GOAWAY, 0, 1, bytes(8)), {"PROTOCOL_ERROR"}),
    "GOAWAY of seven bytes": (raw_frame(GOAWAY, 0, 0, bytes(7)), {"FRAME_SIZE_ERROR"}),
    "WINDOW_UPDATE of zero": (raw_frame(WINDOW_UPDATE, 0, 0, bytes(4)), {"PROTOCOL_ERROR"}),
    "WINDOW_UPDATE of three bytes": (raw_frame(WINDOW_UPDATE, 0, 0, bytes(3)), {"FRAME_SIZE_ERROR"}),
    "WINDOW_UPDATE beyond 2^31": (raw_frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), {"FLOW_CONTROL_ERROR"}),
    "WINDOW_UPDATE on an idle stream": (raw_frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"), {"PROTOCOL_ERROR"}),
    "CONTINUATION out of place": (raw_frame(CONTINUATION, END_HEADERS, 1, BLOCK), {"PROTOCOL_ERROR"}),
    "another frame inside a header block": (raw_frame(HEADERS, 0, 1, BLOCK) + raw_frame(PING, 0, 0, bytes(8)),
                                            {"PROTOCOL_ERROR"}),
    "unknown frame inside a header block": (raw_frame(HEADERS, 0, 1, BLOCK) + raw_frame(0xFA, 0, 1, b"x"),
                                            {"PROTOCOL_ERROR"}),
    "CONTINUATION of another stream": (raw_frame(HEADERS, 0, 1, BLOCK) + raw_frame(CONTINUATION, END_HEADERS, 3, b""),
                                       {"PROTOCOL_ERROR"}),
    "endless header block": (raw_frame(HEADERS, 0, 1, BLOCK) + raw_frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b") * 5000,
                             {"PROTOCOL_ERROR", "ENHANCE_YOUR_CALM"}),
}


# Where the client is still sending when ringway closes, the kernel may drop the GOAWAY with the bytes that nobody read.
GOAWAY_MAY_BE_LOST = {"endless header block", "DATA beyond the frame size"}


@pytest.fixture
def started(proxy, backend):
    return proxy(backend, shards=1)


def check_next_client(loop, backend, started):
    backend.handler = echo
    request = loop.client(started).call(payload=b"next")
    loop.until(lambda: request.is_over, "the next client's call")
    assert bytes(request.data) == grpc_message(b"next")


@pytest.mark.parametrize("name", ERRORS)
def test_connection_error(started, loop, backend, name):
    sent, codes = ERRORS[name]
    client = loop.client(started, auto_start=False)
    client.is_judged = False
    client.send_raw(PREFACE + raw_frame(SETTINGS, 0, 0) + sent)
    loop.until(lambda: client.closed, "the end of the connection")
    assert client.goaways or name in GOAWAY_MAY_BE_LOST
    assert {ErrorCodes(frame.error_code).name for frame in client.goaways} <= codes
    check_next_client(loop, backend, started)


BAD_PREFACES = {
    "an HTTP/1.1 request": b"GET / HTTP/1.1\r\nHost: test.example\r\n\r\n",
    "a TLS handshake": bytes.fromhex("1603010200010001fc0303") + bytes(32),
    "a preface with one wrong byte": PREFACE[:-1] + b"X" + raw_frame(SETTINGS, 0, 0),
    "nonsense": b"\x00" * 64,
}


@pytest.mark.parametrize("sent", BAD_PREFACES.values(), ids=BAD_PREFACES.keys())
def test_bad_preface(started, loop, backend, sent):
    client = loop.client(started, auto_start=False)
    client.is_judged = False
    client.send_raw(sent)
    loop.until(lambda: client.closed, "the end of the connection")
    assert all(ErrorCodes(frame.error_code) == ErrorCodes.PROTOCOL_ERROR for frame in client.goaways)
    check_next_client(loop, backend, started)


def test_first_frame_is_not_settings(started, loop, backend):
    client = loop.client(started, auto_start=False)
    client.is_judged = False
    client.send_raw(PREFACE + raw_frame(PING, 0, 0, bytes(8)))
    loop.until(lambda: client.goaways, "GOAWAY")
    assert client.goaways[0].error_code == ErrorCodes.PROTOCOL_ERROR
    loop.until(lambda: client.closed, "the end of the connection")
    check_next_client(loop, backend, started)


def test_connection_that_ends_in_the_middle_of_a_frame(started, loop, backend):
    for cut in (3, 24, 30, 40):
        client = loop.client(started, auto_start=False)
        client.send_raw((PREFACE + raw_frame(SETTINGS, 0, 0) + OPEN_1)[:cut])
        client.close()
    check_next_client(loop, backend, started)


def test_error_of_one_connection_leaves_the_others_alone(started, loop, backend):
    bystander = loop.client(started)
    request = bystander.call()
    peer, stream = backend.await_request(complete=True)
    offender = loop.client(started, auto_start=False)
    offender.is_judged = False
    offender.send_raw(PREFACE + raw_frame(SETTINGS, 0, 0) + raw_frame(DATA, 0, 0, b"x"))
    loop.until(lambda: offender.closed, "the end of the offender's connection")
    peer.respond(stream)
    loop.until(lambda: request.is_over, "the bystander's response")
    assert request.trailer("grpc-status") == "0"
