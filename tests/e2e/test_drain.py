"""Stopping: GOAWAY in two steps, streams that finish, streams that do not, and the exit code."""

import signal
import socket

import grpc
import interop_pb2_grpc
from hyperframe.frame import GoAwayFrame, PingFrame
from interop_pb2 import Request

from harness import wait_until
from rawh2 import grpc_message

LIMIT_S = 20
LAST_ID_MAX = 2**31 - 1


def refuses_connections(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return False
    except ConnectionError:
        return True


def answer_pings(peer):
    """Ends hold_pings: answers what was held."""
    peer.hold_pings = False
    for data in peer.pings_received:
        peer.send_frame(PingFrame(0, opaque_data=data, flags=["ACK"]))


def test_idle_proxy_ends_at_once(proxy, backend):
    started = proxy(backend)
    started.signal(signal.SIGTERM)
    started.check_end(limit_s=5)


def test_sigint_drains_as_well(proxy, backend):
    started = proxy(backend)
    started.signal(signal.SIGINT)
    started.check_end(limit_s=5)


def test_idle_client_gets_goaway(proxy, loop, backend):
    started = proxy(backend)
    client = loop.client(started)
    loop.settle(client)
    started.signal(signal.SIGTERM)
    loop.until(lambda: client.closed, "the end of the idle connection")
    assert client.goaways and client.goaways[0].error_code == 0
    started.check_end(limit_s=5)


def test_goaway_comes_in_two_steps_and_the_stream_finishes(proxy, loop, backend):
    started = proxy(backend, args=["--drain-timeout", "20s"], shards=1)
    client = loop.client(started)
    client.hold_pings = True
    first = client.call(payload=b"first")
    peer, first_stream = backend.await_request(complete=True)
    started.signal(signal.SIGTERM)
    loop.until(lambda: client.goaways, "the first GOAWAY")
    assert client.goaways[0].last_stream_id == LAST_ID_MAX
    assert client.goaways[0].error_code == 0
    loop.until(lambda: client.pings_received, "the PING behind it")
    assert len(client.goaways) == 1, "the second GOAWAY awaits the answer to the PING"
    # A stream that crosses the first GOAWAY on the wire is still accepted.
    second = client.call(payload=b"second")
    other, second_stream = backend.await_request(2, complete=True)
    answer_pings(client)
    loop.until(lambda: len(client.goaways) == 2, "the second GOAWAY")
    assert client.goaways[1].last_stream_id == second.id
    assert client.goaways[1].error_code == 0
    wait_until(lambda: refuses_connections(started.port), "the listener is closed")
    peer.respond(first_stream, b"to first")
    other.respond(second_stream, b"to second")
    loop.until(lambda: first.is_over and second.is_over, "both responses")
    assert bytes(first.data) == grpc_message(b"to first") and first.trailer("grpc-status") == "0"
    assert bytes(second.data) == grpc_message(b"to second") and second.trailer("grpc-status") == "0"
    loop.until(lambda: client.closed, "the end of the connection")
    started.check_end(limit_s=5)


def test_client_that_never_answers_the_ping_gets_the_real_id(proxy, loop, backend):
    started = proxy(backend, args=["--drain-timeout", "20s"], shards=1)
    client = loop.client(started)
    client.hold_pings = True
    request = client.call()
    peer, stream = backend.await_request(complete=True)
    started.signal(signal.SIGTERM)
    loop.until(lambda: len(client.goaways) == 2, "the second GOAWAY, after a second without an answer", limit_s=5)
    assert client.goaways[1].last_stream_id == request.id
    peer.respond(stream)
    loop.until(lambda: request.is_over, "the response")
    assert request.trailer("grpc-status") == "0"
    started.check_end(limit_s=5)


def test_grpc_stream_finishes_during_drain(proxy, channel, grpc_server):
    started = proxy(grpc_server(), args=["--drain-timeout", "20s"])
    stub = interop_pb2_grpc.InteropStub(channel(started.address))
    call = stub.ServerStream(Request(body=b"x", response_count=10, sleep_ms=50), timeout=LIMIT_S)
    next(call)
    started.signal(signal.SIGTERM)
    assert len(list(call)) == 9
    assert call.code() == grpc.StatusCode.OK
    started.check_end(limit_s=5)


def test_stream_that_outlives_the_drain_ends_unavailable(proxy, channel, grpc_server):
    started = proxy(grpc_server(), args=["--drain-timeout", "300ms"])
    stub = interop_pb2_grpc.InteropStub(channel(started.address))
    call = stub.ServerStream(Request(body=b"x", response_count=1, wait_after_responses=True), timeout=LIMIT_S)
    next(call)
    started.signal(signal.SIGTERM)
    try:
        list(call)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
    else:
        raise AssertionError("a stream cut by the drain must not look like success")
    started.check_end(limit_s=5)


def test_message_cut_by_the_drain_ends_internal(proxy, loop, backend):
    """Inside a message no trailers may follow: the client has to see an error of the stream itself."""
    started = proxy(backend, args=["--drain-timeout", "300ms"], shards=1)
    client = loop.client(started)
    request = client.call()
    peer, stream = backend.await_request(complete=True)
    peer.send_headers(stream)
    peer.send_body(stream, grpc_message(b"half of a message")[:10])
    loop.until(lambda: len(request.data) == 10, "the half message")
    started.signal(signal.SIGTERM)
    loop.until(lambda: request.is_over, "the end of the stream")
    assert request.reset_code == 2
    started.check_end(limit_s=5)


def test_second_signal_ends_at_once(proxy, loop, backend):
    started = proxy(backend, args=["--drain-timeout", "1h"], shards=1)
    client = loop.client(started)
    request = client.call()
    backend.await_request(complete=True)
    started.signal(signal.SIGTERM)
    loop.until(lambda: client.goaways, "the first GOAWAY")
    assert started.is_running() and not request.is_over
    started.signal(signal.SIGTERM)
    started.check_end(limit_s=5)


def test_upstream_connections_are_closed_in_order(proxy, loop, backend):
    """The backend sees an orderly end of the connection, not a reset."""
    started = proxy(backend, shards=1)
    client = loop.client(started)
    request = client.call()
    peer, stream = backend.await_request(complete=True)
    peer.respond(stream)
    loop.until(lambda: request.is_over, "the response")
    client.close()
    started.signal(signal.SIGTERM)
    loop.until(lambda: peer.closed, "the end of the upstream connection")
    assert all(isinstance(frame, GoAwayFrame) and frame.error_code == 0 for frame in peer.goaways)
    started.check_end(limit_s=5)
