"""Backends that are down, die, come back, break off or refuse: what the client is told."""

import socket
import uuid

import grpc
import interop_pb2
import interop_pb2_grpc
import pytest
from h2.errors import ErrorCodes
from interop_pb2 import Request

from harness import wait_until
from rawh2 import RESPONSE_HEADERS, answer_and_go, echo, grpc_message

LIMIT_S = 20


@pytest.fixture
def refusing_address():
    """An address that refuses connections: its port is bound, so that nobody else gets it, but nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


def interop(channel, proxy):
    return interop_pb2_grpc.InteropStub(channel(proxy.address))


def status_of(call):
    """The error that ended a grpcio call; fails when it succeeded."""
    error = call.exception(timeout=LIMIT_S)
    assert error is not None, "the call succeeded"
    return error


def await_started(stub, call_id):
    request = interop_pb2.ReportRequest(call_id=call_id)
    wait_until(lambda: stub.Report(request, timeout=LIMIT_S).started, "the server has begun the call")


def test_backend_down(proxy, channel, refusing_address):
    stub = interop(channel, proxy(refusing_address))
    for _ in range(3):
        error = status_of(stub.Unary.future(Request(), timeout=LIMIT_S))
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert refusing_address in error.details()
        assert "connection refused" in error.details().lower()


def test_one_of_two_backends_down(proxy, channel, grpc_server, refusing_address):
    """No byte of a call went to the endpoint that refuses, so every call goes to the other one."""
    stub = interop(channel, proxy(refusing_address, grpc_server()))
    for number in range(10):
        assert stub.Unary(Request(body=b"%d" % number), timeout=LIMIT_S).body == b"%d" % number


def test_backend_killed_while_a_call_waits(proxy, channel, grpc_server):
    server = grpc_server()
    stub = interop(channel, proxy(server))
    call_id = str(uuid.uuid4())
    call = stub.Unary.future(Request(call_id=call_id, wait_for_cancel=True), timeout=LIMIT_S)
    await_started(stub, call_id)
    server.kill()
    assert status_of(call).code() == grpc.StatusCode.UNAVAILABLE


def test_backend_comes_back(proxy, channel, grpc_server):
    server = grpc_server()
    stub = interop(channel, proxy(server))
    stub.Unary(Request(), timeout=LIMIT_S)
    server.kill()
    assert status_of(stub.Unary.future(Request(), timeout=LIMIT_S)).code() == grpc.StatusCode.UNAVAILABLE
    grpc_server(port=server.port)

    def succeeds():
        try:
            return stub.Unary(Request(body=b"back"), timeout=LIMIT_S).body == b"back"
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE
            return False

    wait_until(succeeds, "calls succeed after the backend's return", limit_s=20)
    for _ in range(20):
        stub.Unary(Request(), timeout=LIMIT_S)


def streaming_call(channel, started):
    """A server stream with raw messages; what arrives is gathered by the returned list."""
    received = []
    call = channel(started.address).unary_stream("/test.Service/Stream")(b"request", timeout=LIMIT_S)
    return call, received


def ended_status(loop, call, received):
    """Reads the stream to its end beside the raw backend's loop, and returns the status."""
    def read():
        try:
            received.extend(call)
        except grpc.RpcError:
            pass
        return call.code()

    return read()


@pytest.mark.parametrize("end", ["close", "abort"])
def test_backend_ends_between_messages(proxy, channel, loop, backend, end):
    call, received = streaming_call(channel, proxy(backend, shards=1))
    peer, stream = backend.await_request()
    peer.send_headers(stream)
    peer.send_body(stream, grpc_message(b"whole") * 2)
    loop.until(lambda: not peer.wants_write(), "the messages are sent")
    received.append(next(call))
    getattr(peer, end)()
    assert ended_status(loop, call, received) == grpc.StatusCode.UNAVAILABLE
    assert received == [b"whole", b"whole"]


@pytest.mark.parametrize("end", ["close", "abort"])
def test_backend_ends_inside_a_message(proxy, channel, loop, backend, end):
    call, received = streaming_call(channel, proxy(backend, shards=1))
    peer, stream = backend.await_request()
    peer.send_headers(stream)
    peer.send_body(stream, grpc_message(b"whole") + grpc_message(b"cut off")[:8])
    loop.until(lambda: not peer.wants_write(), "the messages are sent")
    received.append(next(call))
    getattr(peer, end)()
    assert ended_status(loop, call, received) == grpc.StatusCode.INTERNAL
    assert received == [b"whole"]


def test_backend_ends_the_stream_without_trailers(proxy, loop, backend):
    """END_STREAM on DATA is no gRPC ending; it must not look like success."""
    client = loop.client(proxy(backend, shards=1))
    request = client.call()
    peer, stream = backend.await_request(complete=True)
    peer.send_headers(stream)
    peer.send_body(stream, grpc_message(b"pong"), end_stream=True)
    loop.until(lambda: request.is_over, "the end of the response")
    assert request.reset_code is not None or request.trailers is None or request.trailer("grpc-status") != "0"


RESETS = [
    (ErrorCodes.NO_ERROR, grpc.StatusCode.INTERNAL),
    (ErrorCodes.PROTOCOL_ERROR, grpc.StatusCode.INTERNAL),
    (ErrorCodes.INTERNAL_ERROR, grpc.StatusCode.INTERNAL),
    (ErrorCodes.FLOW_CONTROL_ERROR, grpc.StatusCode.INTERNAL),
    (ErrorCodes.SETTINGS_TIMEOUT, grpc.StatusCode.INTERNAL),
    (ErrorCodes.STREAM_CLOSED, grpc.StatusCode.INTERNAL),
    (ErrorCodes.FRAME_SIZE_ERROR, grpc.StatusCode.INTERNAL),
    (ErrorCodes.REFUSED_STREAM, grpc.StatusCode.UNAVAILABLE),
    (ErrorCodes.CANCEL, grpc.StatusCode.CANCELLED),
    (ErrorCodes.COMPRESSION_ERROR, grpc.StatusCode.INTERNAL),
    (ErrorCodes.CONNECT_ERROR, grpc.StatusCode.INTERNAL),
    (ErrorCodes.ENHANCE_YOUR_CALM, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (ErrorCodes.INADEQUATE_SECURITY, grpc.StatusCode.PERMISSION_DENIED),
    (ErrorCodes.HTTP_1_1_REQUIRED, grpc.StatusCode.INTERNAL),
]


@pytest.mark.parametrize("code, status", RESETS)
def test_reset_before_the_response(proxy, channel, loop, backend, code, status):
    def reset_each(peer, stream):
        if stream.ended and not getattr(stream, "answered", False):
            stream.answered = True
            peer.reset(stream, code)

    backend.handler = reset_each
    call = channel(proxy(backend, shards=1).address).unary_unary("/test.Service/Unary").future(b"", timeout=LIMIT_S)
    loop.until(call.done, "the end of the call")
    assert status_of(call).code() == status
    if code != ErrorCodes.REFUSED_STREAM:
        assert len(backend.requests()) == 1, "a call that may have been processed is not sent again"


# Behind a part of the answer it is no refusal, and the client must not take it for one.
RESETS_OF_AN_ANSWER = [(code, status) if code != ErrorCodes.REFUSED_STREAM else (code, grpc.StatusCode.INTERNAL)
                       for code, status in RESETS]


@pytest.mark.parametrize("code, status", RESETS_OF_AN_ANSWER)
def test_reset_after_a_message(proxy, channel, loop, backend, code, status):
    call, received = streaming_call(channel, proxy(backend, shards=1))
    peer, stream = backend.await_request()
    peer.send_headers(stream)
    peer.send_body(stream, grpc_message(b"one"))
    loop.until(lambda: not peer.wants_write(), "the message is sent")
    received.append(next(call))
    peer.reset(stream, code)
    assert ended_status(loop, call, received) == status
    assert received == [b"one"]


def test_refused_stream_is_tried_once_more(proxy, loop, backend):
    """REFUSED_STREAM says that nothing was processed, so the client never learns of the first refusal."""
    def refuse_first(peer, stream):
        if not stream.ended or getattr(stream, "answered", False):
            return
        stream.answered = True
        if len(backend.requests()) == 1:
            peer.reset(stream, ErrorCodes.REFUSED_STREAM)
        else:
            peer.respond(stream, bytes(stream.data[5:]))

    backend.handler = refuse_first
    client = loop.client(proxy(backend, shards=1))
    request = client.call(payload=b"again")
    loop.until(lambda: request.is_over, "the response")
    assert request.trailer("grpc-status") == "0"
    assert bytes(request.data) == grpc_message(b"again")
    assert len(backend.requests()) == 2


def test_accepted_stream_finishes_after_goaway(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1))
    first = client.call(payload=b"first")
    peer, stream = backend.await_request(complete=True)
    peer.goaway(stream.id)
    second = client.call(payload=b"second")
    loop.until(lambda: len(backend.connections) == 2, "a second connection after GOAWAY")
    other, second_stream = backend.await_request(2, complete=True)
    assert other is not peer
    other.respond(second_stream, b"to second")
    peer.respond(stream, b"to first")
    loop.until(lambda: first.is_over and second.is_over, "both responses")
    assert bytes(first.data) == grpc_message(b"to first") and first.trailer("grpc-status") == "0"
    assert bytes(second.data) == grpc_message(b"to second") and second.trailer("grpc-status") == "0"


def test_stream_above_the_goaway_id_moves_to_a_new_connection(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1))
    first = client.call(payload=b"first")
    second = client.call(payload=b"second")
    peer, stream = backend.await_request(2, complete=True)
    accepted = peer.streams[min(peer.streams)]
    assert stream.id > accepted.id
    backend.handler = echo
    peer.goaway(accepted.id)
    loop.until(lambda: second.is_over, "the response to the call that was not accepted")
    assert bytes(second.data) == grpc_message(b"second") and second.trailer("grpc-status") == "0"
    peer.respond(accepted, b"to first")
    loop.until(lambda: first.is_over, "the response to the call that was accepted")
    assert first.trailer("grpc-status") == "0"


def test_goaway_after_every_call_fails_none(proxy, loop, backend):
    """A backend that ends every connection after one call: no client ever sees it."""
    backend.handler = answer_and_go
    client = loop.client(proxy(backend, shards=1))
    for number in range(10):
        request = client.call(payload=b"%d" % number)
        loop.until(lambda: request.is_over, f"response {number}")
        assert request.trailer("grpc-status") == "0", request
        assert bytes(request.data) == grpc_message(b"%d" % number)


def test_early_trailers_then_reset_no_error(proxy, loop, backend):
    """The backend answers before the upload ends and resets with NO_ERROR: the answer counts, the upload stops."""
    client = loop.client(proxy(backend, shards=1))
    upload = client.start_request(body=grpc_message(bytes(1000)), end_stream=False)
    peer, stream = backend.await_request()
    peer.respond(stream, b"enough")
    loop.until(lambda: not stream.pending and stream.pending_trailers is None, "the answer is sent")
    peer.reset(stream, ErrorCodes.NO_ERROR)
    loop.until(lambda: upload.ended, "the early answer")
    assert upload.trailer("grpc-status") == "0"
    assert bytes(upload.data) == grpc_message(b"enough")
    loop.settle(client)
    assert upload.reset_code in (None, int(ErrorCodes.NO_ERROR))
    backend.handler = echo
    follower = client.call()
    loop.until(lambda: follower.is_over, "a later call on the same connection")
    assert follower.trailer("grpc-status") == "0"


def test_informational_responses_pass_or_vanish(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1))
    request = client.call()
    peer, stream = backend.await_request(complete=True)
    peer.h2.send_headers(stream.id, [(":status", "103"), ("link", "</style.css>; rel=preload")])
    peer.respond(stream, b"after the hint")
    loop.until(lambda: request.is_over, "the response")
    assert request.header(":status") == "200"
    assert bytes(request.data) == grpc_message(b"after the hint")
    assert request.trailer("grpc-status") == "0"


def test_trailers_only_stays_one_frame(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1))
    request = client.call()
    peer, stream = backend.await_request(complete=True)
    fields = [*RESPONSE_HEADERS, ("grpc-status", "7"), ("grpc-message", "no%20entry"), ("x-reason-bin", "AAEC")]
    peer.send_headers(stream, fields, end_stream=True)
    loop.until(lambda: request.is_over, "the response")
    assert request.headers == fields or set(request.headers) == set(fields)
    assert request.trailers is None and not request.data
    kinds = [type(frame).__name__ for frame in client.frames if frame.stream_id == request.id]
    assert kinds == ["HeadersFrame"]


def test_calls_in_flight_end_when_their_connection_dies(proxy, loop, backend):
    """Calls in flight on a dying connection end; the next call opens a new one at once."""
    client = loop.client(proxy(backend, shards=1))
    doomed = [client.call(payload=b"%d" % number) for number in range(5)]
    peer, _ = backend.await_request(5, complete=True)
    peer.abort()
    loop.until(lambda: all(request.is_over for request in doomed), "the end of the calls in flight")
    assert [request.trailer("grpc-status") for request in doomed] == ["14"] * 5
    backend.handler = echo
    later = client.call(payload=b"later")

    def answered():
        nonlocal later
        if later.is_over and later.trailer("grpc-status") == "14":
            later = client.call(payload=b"later")
        return later.is_over

    loop.until(answered, "a call on a new connection")
    assert bytes(later.data) == grpc_message(b"later")


@pytest.mark.parametrize("content_type, status", [("text/html", "502"), ("application/json", "404")])
def test_plain_http_response_passes_unchanged(proxy, loop, backend, content_type, status):
    """Any HTTP/2 response is forwarded as it is; what it means to gRPC is the client's to say."""
    client = loop.client(proxy(backend, shards=1))
    request = client.start_request([(":method", "GET"), (":scheme", "http"), (":path", "/page"), (":authority", "a")])
    peer, stream = backend.await_request(complete=True)
    peer.send_headers(stream, [(":status", status), ("content-type", content_type)])
    peer.send_body(stream, b"<p>page</p>", end_stream=True)
    loop.until(lambda: request.is_over, "the response")
    assert (request.header(":status"), request.header("content-type")) == (status, content_type)
    assert bytes(request.data) == b"<p>page</p>" and request.ended
