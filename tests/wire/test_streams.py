"""The ends of streams: resets, closed connections and GOAWAY by the client, and errors that touch one stream only."""

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import GoAwayFrame, RstStreamFrame

from rawh2 import echo, grpc_message, raw_frame, request_headers


def test_reset_during_an_upload_reaches_the_backend(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1))
    upload = client.start_request(body=grpc_message(bytes(1000))[:500], end_stream=False)
    peer, stream = backend.await_request()
    loop.until(lambda: len(stream.data) == 500, "the first bytes")
    client.reset(upload, ErrorCodes.CANCEL)
    loop.until(lambda: stream.reset_code is not None, "the reset")
    assert stream.reset_code == ErrorCodes.CANCEL
    assert not peer.closed and not peer.goaways


def test_reset_before_any_response_reaches_the_backend(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1))
    request = client.call()
    _, stream = backend.await_request(complete=True)
    client.reset(request, ErrorCodes.CANCEL)
    loop.until(lambda: stream.reset_code is not None, "the reset")
    assert stream.reset_code == ErrorCodes.CANCEL


def test_reset_during_a_response_reaches_the_backend(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1))
    request = client.call()
    peer, stream = backend.await_request(complete=True)
    peer.send_headers(stream)
    peer.send_body(stream, grpc_message(b"one of many"))
    loop.until(lambda: request.data, "the first message")
    client.reset(request, ErrorCodes.CANCEL)
    loop.until(lambda: stream.reset_code is not None, "the reset")
    assert stream.reset_code == ErrorCodes.CANCEL


@pytest.mark.parametrize("end", ["close", "abort"])
def test_closed_client_connection_cancels_its_calls(proxy, loop, backend, end):
    started = proxy(backend, shards=1)
    client = loop.client(started)
    for _ in range(3):
        client.call()
    backend.await_request(3, complete=True)
    getattr(client, end)()
    streams = [stream for _, stream in backend.requests()]
    loop.until(lambda: all(stream.reset_code is not None for stream in streams), "three resets")
    assert [stream.reset_code for stream in streams] == [ErrorCodes.CANCEL] * 3
    backend.handler = echo
    follower = loop.client(started).call()
    loop.until(lambda: follower.is_over, "another client's call")
    assert follower.trailer("grpc-status") == "0"
    assert len(backend.connections) == 1, "the upstream connection outlives the client's"


def test_calls_finish_after_the_clients_goaway(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1))
    request = client.call()
    peer, stream = backend.await_request(complete=True)
    client.goaway(0)
    peer.respond(stream, b"still welcome")
    loop.until(lambda: request.is_over, "the response")
    assert bytes(request.data) == grpc_message(b"still welcome")
    assert request.trailer("grpc-status") == "0"


def test_hundred_cancelled_calls_leave_nothing_behind(proxy, loop, backend):
    """Slots, ids and credit of cancelled calls come back; the connection goes on."""
    client = loop.client(proxy(backend, shards=1))
    for number in range(60):
        request = client.call(payload=bytes(1000))
        _, stream = backend.await_request(number + 1, complete=True)
        client.reset(request)
        loop.until(lambda: stream.reset_code is not None, "the reset")
    backend.handler = echo
    request = client.call(payload=b"alive")
    loop.until(lambda: request.is_over, "the response")
    assert bytes(request.data) == grpc_message(b"alive")


def malformed(headers, **changes):
    return [(name, changes.get(name.strip(":").replace("-", "_"), value)) for name, value in headers]


BAD_REQUESTS = {
    "no path": [field for field in request_headers() if field[0] != ":path"],
    "no method": [field for field in request_headers() if field[0] != ":method"],
    "no scheme": [field for field in request_headers() if field[0] != ":scheme"],
    "empty path": malformed(request_headers(), path=""),
    "two paths": [(":path", "/other"), *request_headers()],
    "upper case name": [*request_headers(), ("X-Upper", "1")],
    "pseudo-header after fields": [*request_headers(), (":path", "/late")],
    "unknown pseudo-header": [(":flavour", "sweet"), *request_headers()],
    "response pseudo-header": [(":status", "200"), *request_headers()],
    "line feed in a value": [*request_headers(), ("x-bad", "a\nb")],
    "zero byte in a value": [*request_headers(), ("x-bad", "a\0b")],
    "space in a name": [*request_headers(), ("x bad", "1")],
    "empty name": [*request_headers(), ("", "1")],
    "te other than trailers": [*request_headers(), ("te", "gzip")],
}


@pytest.mark.parametrize("headers", BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_malformed_request_touches_its_stream_only(proxy, loop, backend, headers):
    """Malformed requests never reach a backend and cost the client that stream, not the connection."""
    backend.handler = echo
    client = loop.client(proxy(backend, shards=1))
    good = client.call(payload=b"before")
    bad = client.start_request_unsent(headers, end_stream=True)
    client.flush()
    loop.until(lambda: bad.is_over, "the end of the malformed request")
    assert bad.reset_code == ErrorCodes.PROTOCOL_ERROR or bad.header(":status") == "400"
    loop.until(lambda: good.is_over, "the call beside it")
    later = client.call(payload=b"after")
    loop.until(lambda: later.is_over, "a later call")
    assert bytes(later.data) == grpc_message(b"after")
    assert len(backend.requests()) == 2


def test_data_after_the_end_of_the_stream(proxy, loop, backend):
    """STREAM_CLOSED, for the stream or the connection (RFC 9113 section 5.1)."""
    client = loop.client(proxy(backend, shards=1))
    request = client.call()
    backend.await_request(complete=True)
    client.send_raw(raw_frame(0, 0, request.id, b"too late"))
    loop.until(lambda: request.is_over or client.goaways, "the error")
    code = request.reset_code if request.reset_code is not None else client.goaways[0].error_code
    assert code == ErrorCodes.STREAM_CLOSED


def test_stream_window_overflow(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1))
    request = client.call()
    _, stream = backend.await_request(complete=True)
    client.send_raw(raw_frame(8, 0, request.id, (0x7FFFFFFF).to_bytes(4, "big")))
    loop.until(lambda: request.is_over, "the reset")
    assert request.reset_code == ErrorCodes.FLOW_CONTROL_ERROR
    loop.until(lambda: stream.reset_code is not None, "the reset at the backend")
    assert not client.goaways


def test_more_data_than_the_stream_window(proxy, loop, backend):
    """The stream's credit is used up because the backend gives none; what comes nevertheless ends the stream."""
    backend.auto_window = False
    client = loop.client(proxy(backend, shards=1))
    request = client.start_request(end_stream=False)
    peer, stream = backend.await_request()
    client.is_judged = False
    client.send_raw(raw_frame(0, 0, request.id, bytes(16_384)) * 20)
    errors = (RstStreamFrame, GoAwayFrame)
    loop.until(lambda: any(isinstance(frame, errors) for frame in client.frames), "the error")
    code = next(frame.error_code for frame in client.frames if isinstance(frame, errors))
    assert code == ErrorCodes.FLOW_CONTROL_ERROR
    loop.until(lambda: stream.reset_code is not None, "the reset at the backend")
    assert not peer.closed


def test_stream_window_update_of_zero(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1))
    request = client.call()
    _, stream = backend.await_request(complete=True)
    client.send_raw(raw_frame(8, 0, request.id, bytes(4)))
    loop.until(lambda: request.is_over, "the reset")
    assert request.reset_code == ErrorCodes.PROTOCOL_ERROR
    loop.until(lambda: stream.reset_code is not None, "the reset at the backend")


def test_more_streams_than_advertised_are_refused(proxy, loop, backend):
    """The limit is 256: the streams above it are refused one by one, safe to retry, and the others go on."""
    client = loop.client(proxy(backend, shards=1))
    loop.settle(client)
    limit = client.h2.remote_settings.max_concurrent_streams
    assert limit == 256
    # h2 keeps to the limit by itself; this client forgets that it was told.
    client.h2.remote_settings.acknowledge()
    client.h2.remote_settings[3] = 1000
    client.h2.remote_settings.acknowledge()
    requests = [client.call(payload=b"%d" % number) for number in range(limit + 3)]
    backend.await_request(limit, complete=True)
    loop.until(lambda: sum(request.reset_code is not None for request in requests) == 3, "three refusals")
    refused = [request for request in requests if request.reset_code is not None]
    assert [request.reset_code for request in refused] == [ErrorCodes.REFUSED_STREAM] * 3
    assert refused == requests[-3:]
    for peer, stream in backend.requests():
        peer.respond(stream)
    loop.until(lambda: all(request.is_over for request in requests), "the others")
    assert all(request.trailer("grpc-status") == "0" for request in requests[:-3])
    assert not client.frames_of(RstStreamFrame, requests[0])
