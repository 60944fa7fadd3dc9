"""Backends with limits of their own, and backends that break the protocol."""

from urllib.parse import unquote

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

from rawh2 import Backend, echo, grpc_message, raw_frame, request_headers


def test_backend_with_one_stream_at_a_time(proxy, loop, backend):
    """Calls wait or go to a second connection; h2 checks that no connection ever has two. None fails."""
    backend.settings = {SettingCodes.MAX_CONCURRENT_STREAMS: 1}
    backend.handler = echo
    client = loop.client(proxy(backend, shards=1))
    requests = [client.call(payload=b"%d" % number) for number in range(10)]
    loop.until(lambda: all(request.is_over for request in requests), "all responses")
    for number, request in enumerate(requests):
        assert request.trailer("grpc-status") == "0", request
        assert bytes(request.data) == grpc_message(b"%d" % number)


def test_refused_calls_are_tried_again(proxy, loop, backend):
    """A backend at its limit refuses two of three calls; none was processed, so none fails."""
    def refuse_two(peer, stream):
        if not stream.ended or getattr(stream, "answered", False):
            return
        stream.answered = True
        if peer is backend.connections[0] and stream.id in (3, 5):
            peer.reset(stream, ErrorCodes.REFUSED_STREAM)
        else:
            peer.respond(stream, bytes(stream.data[5:]))

    backend.handler = refuse_two
    client = loop.client(proxy(backend, shards=1))
    requests = [client.call(payload=b"%d" % number) for number in range(3)]
    loop.until(lambda: all(request.is_over for request in requests), "all responses")
    assert [request.trailer("grpc-status") for request in requests] == ["0"] * 3
    assert [bytes(request.data[5:]) for request in requests] == [b"0", b"1", b"2"]


def test_backend_raises_its_limit(proxy, loop, backend):
    backend.settings = {SettingCodes.MAX_CONCURRENT_STREAMS: 1}
    client = loop.client(proxy(backend, shards=1, args=["--upstream-connections", "1"]))
    first = client.call()
    peer, stream = backend.await_request(complete=True)
    loop.settle(peer)
    waiting = [client.call() for _ in range(3)]
    loop.settle(client)
    peer.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 10})
    peer.flush()
    backend.await_request(4, complete=True)
    for connection, held in backend.requests():
        connection.respond(held)
    loop.until(lambda: all(request.is_over for request in [first, *waiting]), "all responses")
    assert all(request.trailer("grpc-status") == "0" for request in [first, *waiting])


BROKEN = {
    "data on stream 0": raw_frame(0, 0, 0, b"data"),
    "settings of five bytes": raw_frame(4, 0, 0, b"12345"),
    "ping of seven bytes": raw_frame(6, 0, 0, b"1234567"),
    "oversized frame": raw_frame(0, 0, 1, bytes(70_000)),
    "header block of garbage": raw_frame(1, 4, 1, b"\xff\xff\xff\xff\xff\xff"),
    "continuation out of place": raw_frame(9, 4, 1, b"\x88"),
    "push promise": raw_frame(5, 4, 1, b"\x00\x00\x00\x02\x88"),
    "window overflow": raw_frame(8, 0, 0, b"\x7f\xff\xff\xff"),
    "not http/2 at all": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN.keys())
def test_broken_backend_fails_its_calls_only(proxy, loop, backend, sent):
    """The client's connection outlives the backend's, and the next call gets a new one."""
    client = loop.client(proxy(backend, shards=1))
    request = client.call()
    peer, _ = backend.await_request(complete=True)
    peer.send_raw(sent)
    loop.until(lambda: request.is_over, "the end of the call")
    assert request.trailer("grpc-status") in ("13", "14") or request.reset_code == ErrorCodes.INTERNAL_ERROR
    loop.until(lambda: peer.closed, "the end of the broken connection")
    backend.handler = echo
    later = client.call(payload=b"later")

    def answered():
        nonlocal later
        if later.is_over and later.trailer("grpc-status") == "14":
            later = client.call(payload=b"later")
        return later.is_over

    loop.until(answered, "a call on a new connection")
    assert bytes(later.data) == grpc_message(b"later")
    assert not client.goaways


BAD_RESPONSES = {
    "no status": [("content-type", "application/grpc")],
    "status of two digits": [(":status", "20"), ("content-type", "application/grpc")],
    "request pseudo-header": [(":status", "200"), (":path", "/")],
    "upper case name": [(":status", "200"), ("X-Upper", "1")],
    "line feed in a value": [(":status", "200"), ("x-bad", "a\nb")],
}


@pytest.mark.parametrize("headers", BAD_RESPONSES.values(), ids=BAD_RESPONSES.keys())
def test_malformed_response_fails_its_call_only(proxy, loop, backend, headers):
    client = loop.client(proxy(backend, shards=1))
    beside = client.call(payload=b"beside")
    peer, beside_stream = backend.await_request(complete=True)
    request = client.call()
    other, stream = backend.await_request(2, complete=True)
    other.send_headers(stream, headers, end_stream=True)
    loop.until(lambda: request.is_over, "the end of the call")
    assert request.trailer("grpc-status") in ("13", "14", "2") or request.reset_code is not None
    peer.respond(beside_stream, b"unharmed")
    loop.until(lambda: beside.is_over, "the call beside it")
    assert bytes(beside.data) == grpc_message(b"unharmed")


def test_mute_backend(proxy, loop, backend):
    """A backend that accepts and never says a word is named; a deadline before that still ends the call."""
    backend.is_mute = True
    client = loop.client(proxy(backend, shards=1))
    hasty = client.call(extra=[("grpc-timeout", "300m")])
    patient = client.call()
    loop.until(lambda: hasty.is_over, "the deadline")
    assert hasty.trailer("grpc-status") == "4"
    loop.until(lambda: patient.is_over, "the end of the connect time-out")
    assert patient.trailer("grpc-status") == "14"
    assert unquote(patient.trailer("grpc-message")).endswith(
        f"endpoint {backend.address} accepted the connection and said nothing (connect_timeout 1s)")


def test_ringway_never_sends_goaway_to_a_healthy_backend(proxy, loop, backend):
    backend.handler = echo
    client = loop.client(proxy(backend, shards=1))
    requests = [client.call() for _ in range(50)]
    loop.until(lambda: all(request.is_over for request in requests), "all responses")
    assert not any(peer.frames_of(GoAwayFrame) for peer in backend.connections)
    assert len(backend.connections) == 1


def config_for(*addresses):
    return {"shards": {"count": 1}, "listeners": [{"address": "127.0.0.1:0", "routes": [{"cluster": "c"}]}],
            "clusters": [{"name": "c", "endpoints": [{"address": address} for address in addresses],
                          "connections": {"connect_timeout": "200ms"}}],
            "drain": {"timeout": "1s"}}


def test_backend_that_is_full_and_refuses_connections(proxy, loop, backend):
    """One grants a stream, holds it, and takes no further connection: calls go to the other, those that wait too."""
    other = Backend(loop, handler=echo)
    backend.settings = {SettingCodes.MAX_CONCURRENT_STREAMS: 1}
    client = loop.client(proxy(config=config_for(backend.address, other.address)))
    held = [client.call(), client.call()]
    backend.await_request(complete=True)
    backend.close()
    requests = [client.call() for _ in range(20)]
    loop.until(lambda: all(request.is_over for request in requests), "the calls of one moment")
    for _ in range(10):
        later = client.call()
        loop.until(lambda: later.is_over, "a later call")
        requests.append(later)
    assert [request.trailer("grpc-status") for request in requests] == ["0"] * 30
    assert sum(request.is_over for request in held) == 1
    assert len(backend.connections) == 1


def test_backend_that_is_full_and_alone(proxy, loop, backend):
    backend.settings = {SettingCodes.MAX_CONCURRENT_STREAMS: 1}
    client = loop.client(proxy(config=config_for(backend.address)))
    client.call()
    backend.await_request(complete=True)
    backend.close()
    request = client.call()
    loop.until(lambda: request.is_over, "the end of the call that waits")
    assert request.trailer("grpc-status") == "14"
    assert unquote(request.trailer("grpc-message")) == (
        f"all streams of endpoint {backend.address} are in use for 400ms (twice connect_timeout), and no further "
        f"connection: endpoint {backend.address}: connection refused")


def test_stalled_upload_stops_nobody_else(proxy, loop, backend):
    """A handler that does not read, and a backend that gives no credit for what it has not read."""
    backend.auto_window = False
    backend.handler = lambda peer, stream: echo(peer, stream) if stream.ended else None
    started = proxy(backend, shards=1)
    uploader = loop.client(started)
    upload = uploader.start_request(request_headers(), bytes(65_535), end_stream=False)
    loop.until(lambda: any(len(stream.data) == 65_535 for _, stream in backend.requests()), "the upload's octets")
    client = loop.client(started)
    requests = [client.call(payload=b"%d" % number) for number in range(10)]
    loop.until(lambda: all(request.is_over for request in requests), "the calls of the other client")
    assert [request.trailer("grpc-status") for request in requests] == ["0"] * 10
    assert not upload.is_over
    assert len(backend.connections) == 2
