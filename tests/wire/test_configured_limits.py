"""Limits that the file sets: what each side is told, what happens at their edges, and what does not."""

import time

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame, PingFrame, SettingsFrame, WindowUpdateFrame

from rawh2 import RESPONSE_HEADERS, echo, raw_frame, request_headers

DATA, PING, END_STREAM = 0, 6, 1


def configured(backend, **limits):
    return {"shards": {"count": 1}, "limits": limits,
            "listeners": [{"address": "127.0.0.1:0", "routes": [{"cluster": "a"}]}],
            "clusters": [{"name": "a", "endpoints": [{"address": backend.address}]}], "drain": {"timeout": "3s"}}


def setting(peer, code):
    return [frame.settings[code] for frame in peer.frames_of(SettingsFrame) if code in frame.settings]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_streams(proxy, loop, backend, limit):
    """As many as are allowed are open at once; one more is refused, and taken when another has ended."""
    client = loop.client(proxy(config=configured(backend, streams=limit)), auto_start=False)
    # A client that counts for itself would not send it.
    client.h2.initiate_connection()
    client.flush()
    loop.settle(client)
    assert setting(client, SettingCodes.MAX_CONCURRENT_STREAMS) == [limit]
    client.h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 100
    client.h2.remote_settings.acknowledge()
    calls = [client.call() for _ in range(limit)]
    beyond = client.call()
    loop.until(lambda: beyond.is_over, "the refusal")
    assert beyond.reset_code == ErrorCodes.REFUSED_STREAM
    assert not any(call.is_over for call in calls)
    peer, stream = backend.await_request(limit, complete=True)
    assert len(backend.requests()) == limit
    peer.respond(stream)
    loop.until(lambda: any(call.is_over for call in calls), "the end of one call")
    backend.handler = echo
    later = client.call()
    loop.until(lambda: later.is_over, "a call in its place")
    assert later.trailer("grpc-status") == "0"


@pytest.mark.parametrize("size", [1023, 1024, 1025])
def test_window(proxy, loop, backend, size):
    """A frame that the window of its stream has no room for ends the stream."""
    client = loop.client(proxy(config=configured(backend, window="1KiB")))
    loop.settle(client)
    assert setting(client, SettingCodes.INITIAL_WINDOW_SIZE) == [1024]
    upload = client.start_request(request_headers(), end_stream=False)
    client.send_raw(raw_frame(DATA, 0, upload.id, bytes(size)))
    if size > 1024:
        loop.until(lambda: upload.is_over, "the error")
        assert upload.reset_code == ErrorCodes.FLOW_CONTROL_ERROR
        return
    _, stream = backend.await_request()
    loop.until(lambda: len(stream.data) == size, "the octets at the backend")
    assert not upload.is_over


@pytest.mark.parametrize("size", [1023, 1024, 1025])
def test_upstream_window(proxy, loop, backend, size):
    client = loop.client(proxy(config=configured(backend, upstream_window="1KiB")))
    request = client.call()
    peer, stream = backend.await_request(complete=True)
    loop.settle(peer)
    assert setting(peer, SettingCodes.INITIAL_WINDOW_SIZE) == [1024]
    peer.send_headers(stream, RESPONSE_HEADERS)
    peer.send_raw(raw_frame(DATA, 0, stream.id, bytes(size)))
    if size > 1024:
        loop.until(lambda: stream.is_over and request.is_over, "the error, on both sides")
        assert stream.reset_code == ErrorCodes.FLOW_CONTROL_ERROR
        assert request.reset_code is not None or request.trailer("grpc-status") == "13"
        return
    loop.until(lambda: len(request.data) == size, "the octets at the client")
    assert not request.is_over


@pytest.mark.parametrize("window", [65535, 65536, 100_000])
def test_connection_window(proxy, loop, backend, window):
    """Both sides are told; 65,535 is where HTTP/2 begins, and an update of 0 would be an error."""
    backend.handler = echo
    client = loop.client(proxy(config=configured(backend, connection_window=window)))
    request = client.call()
    loop.until(lambda: request.is_over, "the response")
    for peer in (client, backend.connections[0]):
        updates = [frame.window_increment for frame in peer.frames_of(WindowUpdateFrame) if frame.stream_id == 0]
        assert updates == ([window - 65535] if window > 65535 else [])


def test_header_timeout_of_frames_that_reads_cut(proxy, loop, backend):
    """A slow line ends every read inside a frame; each frame is whole within a round trip."""
    timeout_s = 0.4
    client = loop.client(proxy(config=configured(backend, header_timeout="400ms")))
    upload = client.start_request(request_headers(), end_stream=False)
    loop.settle(client)
    pings = [raw_frame(PING, 0, 0, b"%08d" % number) for number in range(2)]
    client.send_raw(pings[0][:5])
    answered = len(client.frames_of(PingFrame))
    end = time.monotonic() + 2.5 * timeout_s
    while time.monotonic() < end:
        begun = time.monotonic()
        client.send_raw(pings[0][5:] + pings[1][:5])
        pings.reverse()
        answered += 1
        loop.until(lambda: len(client.frames_of(PingFrame)) >= answered, "the answer to what was ended")
    assert not client.frames_of(GoAwayFrame) and not upload.is_over
    # The last one is not ended.
    loop.until(lambda: client.frames_of(GoAwayFrame), "the end")
    assert time.monotonic() - begun > 0.9 * timeout_s


def test_connection_age_below_preface_timeout(proxy, loop, backend):
    begun = time.monotonic()
    client = loop.client(proxy(config=configured(backend, connection_age="200ms", preface_timeout="30s")))
    loop.until(lambda: client.frames_of(GoAwayFrame), "the invitation to go")
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("code", [ErrorCodes.NO_ERROR, ErrorCodes.CANCEL])
def test_resets_behind_the_response_are_free(proxy, loop, backend, code):
    """The endpoint answers while the upload goes on, and does not reset; clients of gRPC end the upload so."""
    def answer_early(peer, stream):
        if not stream.ended and not stream.data and not getattr(stream, "answered", False):
            stream.answered = True
            peer.respond(stream)

    backend.handler = answer_early
    client = loop.client(proxy(config=configured(backend, resets=30, early_resets=10)))
    for _ in range(50):
        upload = client.start_request(request_headers(), end_stream=False)
        loop.until(lambda: upload.trailer("grpc-status") == "0", "the response")
        client.reset(upload, code)
    loop.settle(client)
    assert not client.frames_of(GoAwayFrame)
    assert len(backend.connections) == 1
