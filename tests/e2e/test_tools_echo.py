"""ringway-echo against peers that nobody here wrote: h2load and nghttp, grpcio, python3-h2."""

import random
import signal
import socket
import subprocess
import threading

import grpc
import pytest
from hyperframe import frame as frames

from tool_fixtures import PATH, RUN_LIMIT_S, echo, raw_call, tool  # noqa: F401


@pytest.mark.parametrize("size", [0, 1, 1000, 16384, 5_000_000])
def test_echo_returns_unary_messages(echo, channel, size):
    payload = random.Random(size).randbytes(size)
    answer, call = raw_call(channel(echo.address)).with_call(payload, timeout=20)
    assert answer == payload
    assert call.code() == grpc.StatusCode.OK


def test_echo_returns_each_message_of_a_stream_as_it_comes(echo, channel):
    received = threading.Semaphore(0)
    messages = [b"first", b"second" * 1000, b"", b"fourth"]

    def requests():
        yield messages[0]
        for message in messages[1:]:
            # The next message is sent only after the echo of the one before has been seen.
            assert received.acquire(timeout=20)
            yield message

    answers = []
    for answer in raw_call(channel(echo.address), "stream_stream")(requests(), timeout=20):
        answers.append(answer)
        received.release()
    assert answers == messages


def test_echo_returns_a_client_stream(echo, loop):
    peer = loop.client(echo)
    stream = peer.start_request(end_stream=False)
    for part in (b"abc", b"defg", b"h"):
        peer.send_body(stream, part)
    peer.send_body(stream, b"end", end_stream=True)
    loop.until(lambda: stream.is_over, "the end of the answer")
    assert bytes(stream.data) == b"abcdefghend"
    assert stream.trailer("grpc-status") == "0"
    assert stream.header("content-type") == "application/grpc"


def test_echo_answers_a_request_without_data(echo, loop):
    peer = loop.client(echo)
    stream = peer.start_request(end_stream=True)
    loop.until(lambda: stream.is_over, "the end of the answer")
    assert stream.header(":status") == "200"
    assert stream.trailer("grpc-status") == "0"
    assert peer.frames_of(frames.DataFrame, stream) == []


def test_echo_gives_credit_only_for_what_was_echoed(echo, loop):
    peer = loop.client(echo, auto_window=False)
    loop.until(lambda: peer.frames_of(frames.SettingsFrame), "settings")
    stream = peer.start_request(end_stream=False)
    window = 65535
    peer.send_body(stream, b"x" * 3_000_000)
    # Nothing is acknowledged by us, so that much comes back and then all stands still.
    loop.until(lambda: len(stream.data) == window, "a window of echoed bytes")
    loop.settle(peer)
    updates = [frame for frame in peer.frames_of(frames.WindowUpdateFrame) if frame.stream_id == stream.id]
    assert sum(frame.window_increment for frame in updates) <= window
    assert stream.pending, "the origin took more than its window"
    # It goes on when the credit comes.
    peer.auto_window = True
    peer.acknowledge(stream)
    loop.until(lambda: len(stream.data) == 3_000_000, "all echoed bytes", limit_s=30)


def status_of(call, metadata, payload=b"x"):
    with pytest.raises(grpc.RpcError) as caught:
        call(payload, metadata=metadata, timeout=20)
    return caught.value.code(), caught.value.details()


@pytest.mark.parametrize("extra", [(), (("x-echo-trailers-only", "1"),)], ids=["trailers", "trailers-only"])
@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK], ids=lambda code: code.name)
def test_echo_answers_the_status_it_is_asked_for(echo, channel, code, extra):
    metadata = (("x-echo-status", str(code.value[0])), ("x-echo-message", "a%20reason"), *extra)
    assert status_of(raw_call(channel(echo.address)), metadata) == (code, "a reason")


def test_echo_trailers_only_is_one_headers_frame_and_ends_an_unfinished_request(echo, loop):
    peer = loop.client(echo)
    stream = peer.start_request([*request_fields(), ("x-echo-trailers-only", "1"), ("x-echo-status", "9")], end_stream=False)
    peer.send_body(stream, b"some")
    loop.until(lambda: stream.reset_code is not None, "the reset")
    assert stream.reset_code == 0
    assert len(peer.frames_of(frames.HeadersFrame, stream)) == 1
    assert stream.header("grpc-status") == "9"
    assert stream.ended


def request_fields():
    return [(":method", "POST"), (":scheme", "http"), (":path", PATH), (":authority", "test.example"),
            ("content-type", "application/grpc"), ("te", "trailers")]


@pytest.mark.parametrize("code", [0, 2, 7, 8, 11, 0xdeadbeef])
def test_echo_resets_with_the_code_it_is_asked_for(echo, loop, code):
    peer = loop.client(echo)
    stream = peer.start_request([*request_fields(), ("x-echo-reset-code", str(code))], b"body")
    loop.until(lambda: stream.reset_code is not None, "the reset")
    assert stream.reset_code == code
    assert stream.headers is None


def test_echo_delays_the_answer_without_holding_others_up(echo, channel):
    opened = channel(echo.address)
    late = raw_call(opened).future(b"late", metadata=(("x-echo-delay-ms", "60000"),))
    assert raw_call(opened)(b"prompt", timeout=20) == b"prompt"
    assert not late.done()
    late.cancel()
    # The delay is kept: 300 ms are more than the limit that this call has.
    code, _ = status_of(lambda *args, **rest: raw_call(opened)(*args, **{**rest, "timeout": 0.1}), (("x-echo-delay-ms", "300"),))
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert raw_call(opened)(b"later", metadata=(("x-echo-delay-ms", "50"),), timeout=20) == b"later"


def test_echo_answers_as_many_bytes_as_it_is_asked_for(echo, channel):
    call = raw_call(channel(echo.address))
    for size in (0, 1, 100, 3_000_000):
        answer = call(b"request", metadata=(("x-echo-response-bytes", str(size)),), timeout=20)
        assert answer == bytes(size)


def test_echo_returns_what_metadata_it_saw(echo, channel):
    metadata = (("x-first", "1"), ("other", "2"), ("key-bin", b"\x00\xff"), ("x-echo-headers", "1"))
    _, call = raw_call(channel(echo.address)).with_call(b"", metadata=metadata, timeout=20)
    seen = dict(call.initial_metadata())
    assert seen["echo-x-first"] == "1"
    assert seen["echo-key-bin"] == b"\x00\xff"
    assert seen["echo-te"] == "trailers"
    assert seen["echo-user-agent"].startswith("grpc-python/")
    assert seen["echo-grpc-timeout"]
    assert "echo-other" not in seen


def test_echo_speaks_the_health_service(echo, channel):
    opened = channel(echo.address)
    serving = b"\x08\x01"
    assert raw_call(opened, path="/grpc.health.v1.Health/Check")(b"", timeout=20) == serving
    watch = raw_call(opened, "unary_stream", "/grpc.health.v1.Health/Watch")(b"")
    assert next(watch) == serving
    assert watch.is_active()
    # The end of the process ends the watch.
    echo.signal(signal.SIGTERM)
    assert echo.wait(20) == 0
    with pytest.raises(grpc.RpcError) as caught:
        next(watch)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_echo_finishes_calls_before_it_stops(echo, loop):
    peer = loop.client(echo)
    stream = peer.start_request(end_stream=False)
    peer.send_body(stream, b"before")
    loop.until(lambda: bytes(stream.data) == b"before", "the echo")
    echo.signal(signal.SIGTERM)
    loop.until(lambda: peer.goaways, "GOAWAY")
    assert peer.goaways[0].error_code == 0
    assert peer.goaways[0].last_stream_id == stream.id
    assert echo.is_running()
    peer.send_body(stream, b" after", end_stream=True)
    loop.until(lambda: stream.is_over, "the end of the answer")
    assert bytes(stream.data) == b"before after"
    assert echo.wait(20) == 0


def test_echo_stops_although_a_call_never_ends(tool, loop):
    origin = tool("ringway-echo", "--drain-timeout", "50ms")
    peer = loop.client(origin)
    stream = peer.start_request(end_stream=False)
    peer.send_body(stream, b"x")
    loop.until(lambda: stream.data, "the echo")
    origin.signal(signal.SIGINT)
    assert origin.wait(20) == 0


def test_echo_ends_a_connection_that_is_not_http2(echo):
    with socket.create_connection(("127.0.0.1", echo.port), timeout=20) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        while plain.recv(65536):
            pass


@pytest.mark.parametrize("threads", [1, 3])
def test_echo_serves_h2load(tool, threads, tmp_path):
    origin = tool("ringway-echo", "--threads", str(threads))
    body = tmp_path / "body"
    body.write_bytes(b"\0\0\0\0\x20" + b"x" * 32)
    done = subprocess.run(["h2load", "-c6", "-m10", "-n6000", f"-d{body}", "-H", "content-type: application/grpc",
                           f"http://{origin.address}{PATH}"], capture_output=True, text=True, timeout=RUN_LIMIT_S, check=True)
    assert "6000 succeeded, 0 failed" in done.stdout
    assert "6000 2xx" in done.stdout


def test_echo_serves_nghttp(echo, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(bytes(range(256)) * 1000)
    done = subprocess.run(["nghttp", f"-d{body}", f"http://{echo.address}{PATH}"], capture_output=True, timeout=RUN_LIMIT_S, check=True)
    assert done.stdout == body.read_bytes()
