"""Frames in every allowed shape: cut, padded, continued, unknown, empty."""

import random

import pytest
from h2.settings import SettingCodes
from hyperframe.frame import (ContinuationFrame, DataFrame, HeadersFrame, PingFrame, PriorityFrame, RstStreamFrame,
                              SettingsFrame)

from rawh2 import echo, grpc_message, raw_frame, request_headers

MAX_FRAME = 16384


@pytest.fixture
def started(proxy, backend):
    backend.handler = echo
    return proxy(backend, shards=1)


def check_echo(loop, request, payload=b"ping"):
    loop.until(lambda: request.is_over, "the response")
    assert bytes(request.data) == grpc_message(payload)
    assert request.trailer("grpc-status") == "0"


def send_in_pieces(loop, client, data, next_size):
    """Sends `data` in segments of the sizes that `next_size` gives."""
    # What the client answered to ringway's frames meanwhile would come between two pieces of a frame.
    client.reads = False
    while data:
        size = next_size()
        client.send_raw(data[:size])
        data = data[size:]
        loop.turn(0)
    client.reads = True


def test_connection_byte_by_byte(started, loop):
    client = loop.client(started, auto_start=False)
    client.h2.initiate_connection()
    stream_id = client.h2.get_next_available_stream_id()
    client.h2.send_headers(stream_id, request_headers())
    client.h2.send_data(stream_id, grpc_message(b"ping"), end_stream=True)
    send_in_pieces(loop, client, client.h2.data_to_send(), lambda: 1)
    loop.until(lambda: stream_id in client.streams, "the begin of the response")
    check_echo(loop, client.streams[stream_id])


@pytest.mark.parametrize("seed", range(5))
def test_connection_cut_at_random(started, loop, seed):
    dice = random.Random(seed)
    client = loop.client(started, auto_start=False)
    client.h2.initiate_connection()
    payloads = {}
    for _ in range(5):
        stream_id = client.h2.get_next_available_stream_id()
        payloads[stream_id] = dice.randbytes(dice.randrange(3000))
        client.h2.send_headers(stream_id, request_headers(extra=[("x-seed", f"{seed}")]))
        client.h2.send_data(stream_id, grpc_message(payloads[stream_id]), end_stream=True)
    send_in_pieces(loop, client, client.h2.data_to_send(), lambda: dice.randrange(1, 700))
    loop.until(lambda: len(client.streams) == 5, "five responses")
    for stream_id, payload in payloads.items():
        check_echo(loop, client.streams[stream_id], payload)


def reshaped_request(client, reshape, payload=b"ping"):
    """Starts a call whose HEADERS frame is sent as the frames that `reshape` makes of it."""
    stream = client.start_request_unsent(request_headers())
    headers, = client.take_outgoing()
    client.send_raw(b"".join(frame.serialize() for frame in reshape(headers)))
    client.send_body(stream, grpc_message(payload), end_stream=True)
    return stream


def continued(headers, parts):
    """`headers` as one HEADERS and parts - 1 CONTINUATION frames."""
    size = -(-len(headers.data) // parts)
    blocks = [headers.data[at:at + size] for at in range(0, size * parts, size)]
    first = HeadersFrame(headers.stream_id, data=blocks[0])
    rest = [ContinuationFrame(headers.stream_id, data=block) for block in blocks[1:]]
    (rest[-1] if rest else first).flags.add("END_HEADERS")
    return [first, *rest]


@pytest.mark.parametrize("parts", [2, 3, 5, 8])
def test_headers_in_continuation_frames(started, loop, parts):
    client = loop.client(started)
    for _ in range(2):
        check_echo(loop, reshaped_request(client, lambda headers: continued(headers, parts)))


def test_first_fragment_is_empty(started, loop):
    def reshape(headers):
        return [HeadersFrame(headers.stream_id), ContinuationFrame(headers.stream_id, data=headers.data,
                                                                   flags=["END_HEADERS"])]

    check_echo(loop, reshaped_request(loop.client(started), reshape))


def test_continuation_frames_come_in_pieces(started, loop):
    client = loop.client(started)
    stream = client.start_request_unsent(request_headers())
    headers, = client.take_outgoing()
    blocks = b"".join(frame.serialize() for frame in continued(headers, 6))
    send_in_pieces(loop, client, blocks, lambda: 7)
    client.send_body(stream, grpc_message(b"ping"), end_stream=True)
    check_echo(loop, stream)


def test_large_header_list(started, loop, backend):
    """40 KiB of fields are three frames on both sides, none longer than the peer allows."""
    client = loop.client(started)
    extra = [(f"x-large-{i}", chr(ord("a") + i) * 4000) for i in range(10)]
    check_echo(loop, client.call(extra=extra))
    peer, stream = backend.requests()[0]
    for field in extra:
        assert field in stream.headers
    assert peer.frames_of(ContinuationFrame)
    assert max(frame.wire_length for frame in peer.frames) <= MAX_FRAME


@pytest.mark.parametrize("padding", [0, 1, 255])
def test_padded_headers(started, loop, padding):
    def reshape(headers):
        headers.flags.add("PADDED")
        headers.pad_length = padding
        return [headers]

    check_echo(loop, reshaped_request(loop.client(started), reshape))


def test_headers_with_priority_fields(started, loop):
    def reshape(headers):
        headers.flags.add("PRIORITY")
        headers.depends_on, headers.stream_weight, headers.exclusive = 0, 15, True
        return [headers]

    client = loop.client(started)
    check_echo(loop, reshaped_request(client, reshape))
    client.send_frame(PriorityFrame(31, depends_on=1, stream_weight=3))
    check_echo(loop, client.call())


def test_padding_of_data_is_dropped_and_its_credit_returns(started, loop):
    """Four times the window in padding: it would run dry if padding were not given back."""
    client = loop.client(started)
    request = client.start_request(end_stream=False)
    payload = bytes(5000)
    message = grpc_message(payload)
    for at in range(0, len(message), 5):
        loop.until(lambda: client.h2.local_flow_control_window(request.id) > 300, "credit for the padding")
        client.h2.send_data(request.id, message[at:at + 5], end_stream=at + 5 == len(message), pad_length=255)
        client.flush()
    check_echo(loop, request, payload)


@pytest.mark.parametrize("payload", [b"", b"x" * 100])
def test_unknown_frames_are_ignored(started, loop, payload):
    client = loop.client(started)
    client.send_raw(raw_frame(0xFA, 0xFF, 0, payload))
    request = client.start_request(end_stream=False)
    client.send_raw(raw_frame(0xFB, 0, request.id, payload))
    client.send_body(request, grpc_message(b"ping"), end_stream=True)
    client.send_raw(raw_frame(0xFC, 1, 77, payload))
    check_echo(loop, request)


def test_unknown_frames_of_the_backend_are_ignored(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1))
    request = client.call()
    peer, stream = backend.await_request(complete=True)
    peer.send_raw(raw_frame(0xFA, 0xFF, 0, b"unknown") + raw_frame(0xFB, 5, stream.id, b"unknown"))
    peer.respond(stream, b"ping")
    check_echo(loop, request)


def test_settings_are_acknowledged_and_unknown_ones_ignored(started, loop):
    client = loop.client(started)
    loop.until(lambda: any("ACK" in frame.flags for frame in client.frames_of(SettingsFrame)), "the first ACK")
    client.send_frame(SettingsFrame(0, settings={0xF000: 7, int(SettingCodes.MAX_FRAME_SIZE): 20000}))
    loop.until(lambda: len([1 for frame in client.frames_of(SettingsFrame) if "ACK" in frame.flags]) == 2,
               "the second ACK")
    check_echo(loop, client.call())


def test_first_frame_is_settings(started, loop):
    client = loop.client(started)
    loop.until(lambda: client.frames, "a frame")
    assert isinstance(client.frames[0], SettingsFrame) and "ACK" not in client.frames[0].flags
    assert client.frames[0].settings.get(int(SettingCodes.MAX_HEADER_LIST_SIZE), 1 << 30) > 0


def test_ping_is_answered_with_its_data(started, loop):
    client = loop.client(started)
    for data in (b"12345678", b"\x00" * 8, b"\xff" * 8):
        client.send_frame(PingFrame(0, opaque_data=data))
    loop.until(lambda: len(client.frames_of(PingFrame)) == 3, "three answers")
    assert [frame.opaque_data for frame in client.frames_of(PingFrame)] == [b"12345678", b"\x00" * 8, b"\xff" * 8]
    assert all("ACK" in frame.flags for frame in client.frames_of(PingFrame))


def test_end_of_stream_in_an_empty_frame(started, loop):
    client = loop.client(started)
    request = client.start_request(end_stream=False)
    client.send_body(request, grpc_message(b"ping"))
    client.h2.end_stream(request.id)
    client.flush()
    check_echo(loop, request)


def test_empty_data_frames_in_between(started, loop):
    client = loop.client(started)
    request = client.start_request(end_stream=False)
    for byte in grpc_message(b"ping"):
        client.h2.send_data(request.id, bytes([byte]))
        client.h2.send_data(request.id, b"")
    client.h2.end_stream(request.id)
    client.flush()
    check_echo(loop, request)


def test_max_frame_size_is_respected_both_ways(started, loop, backend):
    """Both peers leave MAX_FRAME_SIZE at 16384; messages of 1 MB need many frames."""
    client = loop.client(started)
    payload = random.Random(1).randbytes(1 << 20)
    check_echo(loop, client.call(payload=payload), payload)
    peer, _ = backend.requests()[0]
    for side in (client, peer):
        assert max(frame.wire_length for frame in side.frames_of(DataFrame)) <= MAX_FRAME


def test_larger_frames_than_the_minimum_are_optional(proxy, loop, backend):
    """A peer that allows frames of 1 MiB gets a correct stream in frames of any size up to that."""
    backend.handler = echo
    backend.settings = {SettingCodes.MAX_FRAME_SIZE: 1 << 20}
    client = loop.client(proxy(backend, shards=1), settings={SettingCodes.MAX_FRAME_SIZE: 1 << 20})
    payload = random.Random(2).randbytes(1 << 20)
    check_echo(loop, client.call(payload=payload), payload)


def test_frames_for_a_stream_that_is_over_are_ignored(started, loop):
    """WINDOW_UPDATE and RST_STREAM may cross the end of a stream on the wire."""
    client = loop.client(started)
    request = client.call()
    check_echo(loop, request)
    client.send_raw(raw_frame(8, 0, request.id, (1000).to_bytes(4, "big")))
    client.send_frame(RstStreamFrame(request.id, error_code=8))
    loop.settle(client)
    assert not client.goaways
    check_echo(loop, client.call())
