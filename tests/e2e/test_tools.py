"""The tools against peers that nobody here wrote: h2load and nghttp, grpcio, python3-h2, and plain sockets."""

import contextlib
import hashlib
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import threading

import grpc
import hpack
import pytest
from hyperframe import frame as frames

from harness import BUILD, Process, wait_until
from rawh2 import Backend, echo as echo_handler

PATH = "/test.Service/Method"
RUN_LIMIT_S = 60


class Tool(Process):
    """A listening tool. As a context manager it is stopped by SIGTERM and must end with code 0."""

    def __init__(self, name, *arguments):
        super().__init__([str(BUILD / name), "--listen", "127.0.0.1:0", *arguments])
        self.address = self.await_line(self.stderr, rf"^{name} ready: listening on ([0-9.]+:\d+)").group(1)
        self.port = int(self.address.rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.signal(signal.SIGTERM)
        code = self.wait(20)
        assert kind is not None or code == 0, self.output()


@pytest.fixture
def tool():
    """Starts listening tools: tool("ringway-echo", ...)."""
    with contextlib.ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(Tool(*arguments))


@pytest.fixture
def echo(tool):
    return tool("ringway-echo")


def run(name, *arguments):
    return subprocess.run([str(BUILD / name), *map(str, arguments)], capture_output=True, text=True,
                          timeout=RUN_LIMIT_S, check=False)


def load(target, *arguments, path=PATH):
    """Runs ringway-load; returns its exit code and its report."""
    done = run("ringway-load", "--target", getattr(target, "address", target), "--path", path, "--json", *arguments)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def raw_call(open_channel, kind="unary_unary", path=PATH):
    """A method of a channel that takes and gives bytes."""
    return getattr(open_channel, kind)(path, lambda request: request, lambda response: response)


# ringway-echo


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


# ringway-relay


@pytest.fixture
def mirror():
    """A plain TCP server that sends every byte back and ends when the client does; yields its address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection):
        with connection:
            try:
                while received := connection.recv(1 << 16):
                    connection.sendall(received)
            except ConnectionError:
                pass

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    # Wakes the accepting thread, which close() alone does not.
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def exchange(port, payload, start_reading):
    """Sends `payload`, ends that direction, and returns the digest of all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=RUN_LIMIT_S) as connection:
        def send():
            connection.sendall(payload)
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        start_reading.wait(RUN_LIMIT_S)
        digest = hashlib.sha256()
        while received := connection.recv(1 << 18):
            digest.update(received)
        sender.join()
        return digest.hexdigest()


@pytest.mark.parametrize("buffers", [[], ["--recv-buffers", "8", "--recv-buffer-bytes", "4096"]], ids=["default", "few-buffers"])
def test_relay_carries_every_byte_both_ways(tool, mirror, buffers):
    relay = tool("ringway-relay", "--upstream", mirror, *buffers)
    payload = random.Random(1).randbytes(12_000_000)
    results = {}
    now, later = threading.Event(), threading.Event()
    now.set()

    def one(number, start):
        results[number] = exchange(relay.port, payload, start)

    # Two clients read at once, two only after the others are through: those fill every buffer on the way.
    clients = [threading.Thread(target=one, args=(number, now if number < 2 else later)) for number in range(4)]
    for client in clients:
        client.start()
    for client in clients[:2]:
        client.join()
    later.set()
    for client in clients[2:]:
        client.join()
    assert results == dict.fromkeys(range(4), hashlib.sha256(payload).hexdigest())


def test_relay_passes_a_half_close_on(tool):
    with socket.create_server(("127.0.0.1", 0)) as server:
        relay = tool("ringway-relay", "--upstream", f"127.0.0.1:{server.getsockname()[1]}")
        with socket.create_connection(("127.0.0.1", relay.port), timeout=20) as client:
            upstream, _ = server.accept()
            with upstream:
                upstream.settimeout(20)
                client.sendall(b"request")
                client.shutdown(socket.SHUT_WR)
                assert upstream.recv(100) == b"request"
                assert upstream.recv(100) == b""
                upstream.sendall(b"answer")
                assert client.recv(100) == b"answer"
                upstream.close()
                assert client.recv(100) == b""


@pytest.mark.parametrize("dying", ["client", "upstream"])
def test_relay_passes_a_reset_on(tool, dying):
    with socket.create_server(("127.0.0.1", 0)) as server:
        relay = tool("ringway-relay", "--upstream", f"127.0.0.1:{server.getsockname()[1]}")
        with socket.create_connection(("127.0.0.1", relay.port), timeout=20) as client:
            upstream, _ = server.accept()
            with upstream:
                upstream.settimeout(20)
                client.sendall(b"x")
                assert upstream.recv(10) == b"x"
                first, other = (client, upstream) if dying == "client" else (upstream, client)
                first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                first.close()
                with pytest.raises(ConnectionResetError):
                    other.recv(10)


def test_relay_closes_a_client_whose_upstream_is_not_there(tool):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    relay = tool("ringway-relay", "--upstream", address)
    with socket.create_connection(("127.0.0.1", relay.port), timeout=20) as client:
        with pytest.raises(ConnectionResetError):
            client.recv(10)


def test_relay_frees_its_connections(tool, mirror):
    relay = tool("ringway-relay", "--upstream", mirror)
    sockets = [socket.create_connection(("127.0.0.1", relay.port), timeout=20) for _ in range(20)]
    for connection in sockets:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"

    def descriptors():
        return len(os.listdir(f"/proc/{relay.child.pid}/fd"))

    open_count = descriptors()
    for connection in sockets:
        connection.close()
    wait_until(lambda: descriptors() <= open_count - 40, "the descriptors of closed connections")


def test_relay_carries_grpc(tool, echo, channel):
    relay = tool("ringway-relay", "--upstream", echo.address)
    payload = random.Random(2).randbytes(1_000_000)
    assert raw_call(channel(relay.address))(payload, timeout=20) == payload


# ringway-load


def test_load_counts_what_it_was_told_to_do(echo):
    code, report = load(echo, "--requests", 5000, "--connections", 7, "--streams", 3, "--threads", 2)
    assert code == 0
    assert (report["requests"], report["succeeded"], report["errors"]) == (5000, 5000, {})
    assert (report["connections"], report["streams"], report["threads"]) == (7, 3, 2)
    assert report["rate_offered"] is None
    assert report["rate_achieved"] == pytest.approx(5000 / report["duration_s"], rel=0.01)
    # 37 bytes of message each way and the frames around them.
    assert report["bytes_sent"] > 5000 * (37 + 18)
    assert report["bytes_received"] > 5000 * (37 + 18)
    latency = report["latency_us"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99.9"] <= latency["max"]
    assert report["latency_us"] == report["latency_from_send_us"]


def test_load_opens_the_connections_and_streams_it_was_told_to(loop):
    backend = Backend(loop)
    started = subprocess.Popen([BUILD / "ringway-load", "--target", backend.address, "--path", PATH, "--connections", "3",
                                "--streams", "4", "--requests", "24"], stdout=subprocess.PIPE)
    backend.await_request(12, complete=True)
    # Nothing was answered, so no more may come.
    for peer in backend.connections:
        loop.settle(peer)
    assert [len(peer.streams) for peer in backend.connections] == [4, 4, 4]
    backend.handler = echo_handler
    for peer, stream in backend.requests():
        echo_handler(peer, stream)
    loop.until(lambda: started.poll() is not None, "the end of the run")
    started.stdout.close()
    assert started.returncode == 0
    assert len(backend.requests()) == 24


def drive(loop, backend, *arguments):
    """Runs ringway-load against a raw backend; returns its exit code and report."""
    process = Process([str(BUILD / "ringway-load"), "--target", backend.address, "--path", PATH, "--json", *map(str, arguments)])
    loop.until(lambda: not process.is_running(), "the end of the run", limit_s=RUN_LIMIT_S)
    code = process.wait(10)
    return code, json.loads("\n".join(process.stdout))


def test_load_sends_what_grpc_clients_send(loop):
    backend = Backend(loop, handler=echo_handler)
    code, _ = drive(loop, backend, "--requests", 3, "--message-bytes", 100, "--header", "x-key: some value", "--paths", 2)
    assert code == 0
    _, stream = backend.requests()[0]
    assert stream.headers[:3] == [(":method", "POST"), (":scheme", "http"), (":path", PATH + "0")]
    fields = dict(stream.headers)
    assert fields[":authority"] == backend.address
    assert fields["content-type"] == "application/grpc"
    assert fields["te"] == "trailers"
    assert re.fullmatch(r"ringway-load/\d+\.\d+\.\d+", fields["user-agent"])
    assert fields["x-key"] == "some value"
    assert bytes(stream.data[:5]) == b"\0\0\0\0\x64" and len(stream.data) == 105
    assert [stream.header(":path")[-1] for _, stream in backend.requests()] == ["0", "1", "0"]
    settings = backend.connections[0].frames_of(frames.SettingsFrame)[0].settings
    assert settings[frames.SettingsFrame.INITIAL_WINDOW_SIZE] == 1 << 20
    assert settings[frames.SettingsFrame.ENABLE_PUSH] == 0


def representations(block):
    """The kinds of the field representations of a header block, in order (RFC 7541 section 6)."""
    def integer(at, bits):
        value = block[at] & (1 << bits) - 1
        at += 1
        if value == (1 << bits) - 1:
            shift = 0
            while True:
                value += (block[at] & 127) << shift
                shift += 7
                at += 1
                if not block[at - 1] & 128:
                    break
        return value, at

    def string(at):
        size, at = integer(at, 7)
        return at + size

    at, kinds = 0, []
    while at < len(block):
        first = block[at]
        if first & 0x80:
            kinds.append("indexed")
            _, at = integer(at, 7)
            continue
        if first & 0xe0 == 0x20:
            kinds.append("size update")
            _, at = integer(at, 5)
            continue
        kinds.append("inserted" if first & 0x40 else "never" if first & 0x10 else "literal")
        index, at = integer(at, 6 if first & 0x40 else 4)
        at = string(at if index else string(at))
    return kinds


def header_blocks(peer):
    return [frame.data for frame in peer.frames_of(frames.HeadersFrame)]


def test_load_varies_metadata_and_inserts_it_as_grpc_go_does(loop):
    backend = Backend(loop, handler=echo_handler)
    code, _ = drive(loop, backend, "--requests", 40, "--vary-metadata")
    assert code == 0
    lists = [dict(stream.headers) for _, stream in backend.requests()]
    assert len(lists) == 40
    for fields in lists:
        assert re.fullmatch(r"9[5-9]\d{5}u|10[0-4]\d{5}u", fields["grpc-timeout"])
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", fields["traceparent"])
        assert re.fullmatch(r"Bearer [\w-]{54}", fields["authorization"])
    for name in ("grpc-timeout", "traceparent", "authorization"):
        assert len({fields[name] for fields in lists}) == 40
    blocks = [representations(block) for block in header_blocks(backend.connections[0])]
    # Everything but the two fields of the static table is inserted once, the varying ones in every request.
    assert blocks[0] == ["indexed"] * 2 + ["inserted"] * 8
    assert blocks[1] == ["indexed"] * 7 + ["inserted"] * 3
    # The table is small for that many inserts: the steady fields are pushed out and inserted again.
    assert {kind for block in blocks for kind in block} == {"indexed", "inserted"}
    assert any(block.count("inserted") > 3 for block in blocks[2:])


def test_load_sends_indexes_alone_when_nothing_varies(loop):
    backend = Backend(loop, handler=echo_handler)
    code, _ = drive(loop, backend, "--requests", 10)
    assert code == 0
    blocks = header_blocks(backend.connections[0])
    assert all(representations(block) == ["indexed"] * 7 for block in blocks[1:])
    assert all(len(block) == 7 for block in blocks[1:])


@pytest.mark.parametrize("size", [0, 100, 300, 1000])
def test_load_keeps_to_the_peers_header_table(loop, size):
    # h2 fails the connection when the announced table is exceeded or an index is wrong.
    backend = Backend(loop, settings={1: size}, handler=echo_handler)
    code, report = drive(loop, backend, "--requests", 60, "--vary-metadata", "--paths", 3)
    assert code == 0, report
    blocks = [representations(block) for block in header_blocks(backend.connections[0])]
    assert any("size update" in block for block in blocks)


def test_load_header_values_survive_any_byte_a_field_may_have(loop):
    backend = Backend(loop, handler=echo_handler)
    value = "".join(chr(code) for code in range(33, 127))
    code, _ = drive(loop, backend, "--requests", 2, "--header", f"x-all:{value}")
    assert code == 0
    assert [stream.header("x-all") for _, stream in backend.requests()] == [value, value]
    # A value that Huffman makes shorter goes that way, as the decoder of another project can tell.
    decoder = hpack.Decoder()
    fields = decoder.decode(header_blocks(backend.connections[0])[0])
    assert ("x-all", value) in fields


def test_load_ping_pong_waits_for_each_echo(loop):
    backend = Backend(loop)
    most = []

    def answer(peer, stream):
        if stream.headers and not getattr(stream, "answered", False):
            stream.answered = True
            peer.send_headers(stream)
        most.append(len(stream.data))
        if stream.data:
            payload = bytes(stream.data)
            stream.data.clear()
            peer.send_body(stream, payload)
        if stream.ended and not getattr(stream, "finished", False):
            stream.finished = True
            peer.send_body(stream, b"", trailers=[("grpc-status", "0")])

    backend.handler = answer
    code, report = drive(loop, backend, "--requests", 2, "--stream-messages", 5, "--message-bytes", 20)
    assert code == 0
    assert report["succeeded"] == 2
    assert max(most) == 25
    assert sum(most) == 2 * 5 * 25


def test_load_pipelined_streams_do_not_wait(loop):
    backend = Backend(loop)
    process = Process([str(BUILD / "ringway-load"), "--target", backend.address, "--path", PATH, "--requests", "1",
                       "--stream-messages", "6", "--pipelined", "--message-bytes", "1000"])
    peer, stream = backend.await_request(1, complete=True)
    assert len(stream.data) == 6 * 1005
    echo_handler(peer, stream)
    loop.until(lambda: not process.is_running(), "the end of the run")
    assert process.wait(10) == 0


def test_load_streams_in_bulk(echo):
    code, report = load(echo, "--requests", 4, "--connections", 2, "--stream-messages", 50, "--pipelined", "--message-bytes", 65536)
    assert (code, report["succeeded"]) == (0, 4)
    expected = 4 * 50 * 65541
    assert report["message_bytes_per_s"] * report["duration_s"] == pytest.approx(2 * expected, rel=0.01)
    assert report["bytes_received"] > expected


@pytest.mark.parametrize("headers, kind", [
    (["x-echo-status:5"], "grpc-status 5"),
    (["x-echo-status:13", "x-echo-trailers-only:1"], "grpc-status 13"),
    (["x-echo-reset-code:8"], "reset: CANCEL"),
    (["x-echo-reset-code:7"], "reset: REFUSED_STREAM"),
], ids=["status", "trailers-only", "cancel", "refused"])
def test_load_counts_failures_by_kind(echo, headers, kind):
    arguments = [word for header in headers for word in ("--header", header)]
    code, report = load(echo, "--requests", 30, "--streams", 4, *arguments)
    assert code == 1
    assert report["errors"] == {kind: 30}
    assert (report["requests"], report["succeeded"], report["rate_achieved"]) == (30, 0, 0)


@pytest.mark.parametrize("headers, trailers, kind", [
    ([(":status", "200")], [("other", "1")], "no grpc-status"),
    ([(":status", "503")], [("grpc-status", "0")], "http status 503"),
    ([(":status", "200")], [("grpc-status", "none")], "grpc-status is not a number"),
])
def test_load_judges_incomplete_answers(loop, headers, trailers, kind):
    def answer(peer, stream):
        if stream.ended and not stream.pending and not getattr(stream, "answered", False):
            stream.answered = True
            peer.send_headers(stream, headers)
            peer.send_body(stream, b"", trailers=trailers)

    backend = Backend(loop, handler=answer)
    code, report = drive(loop, backend, "--requests", 3)
    assert (code, report["errors"]) == (1, {kind: 3})


def test_load_counts_a_connection_that_breaks_and_goes_on(loop):
    backend = Backend(loop)

    def answer(peer, stream):
        if peer is backend.connections[0]:
            if not peer.closed and stream.ended:
                peer.abort()
        else:
            echo_handler(peer, stream)

    backend.handler = answer
    code, report = drive(loop, backend, "--requests", 10)
    assert code == 1
    assert report["errors"] == {"call lost with its connection": 1, "connection lost: connection reset by peer": 1}
    assert (report["requests"], report["succeeded"]) == (10, 9)


def test_load_moves_to_a_new_connection_after_goaway(loop):
    backend = Backend(loop)

    def answer(peer, stream):
        if not stream.ended or getattr(stream, "answered", False):
            return
        if peer is backend.connections[0] and stream.id == 3:
            # The first call was answered, the second is refused.
            stream.answered = True
            peer.goaway(1)
            return
        echo_handler(peer, stream)

    backend.handler = answer
    code, report = drive(loop, backend, "--requests", 10)
    assert code == 1
    assert report["errors"] == {"refused by GOAWAY": 1}
    assert (report["requests"], report["succeeded"]) == (10, 9)
    assert len(backend.connections) == 2


def test_load_says_that_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    code, report = load(address, "--requests", 10, "--connections", 2)
    assert code == 1
    assert report["errors"] == {"connect: connection refused": 2}
    assert report["requests"] == 0


def test_load_open_loop_keeps_the_rate(echo):
    code, report = load(echo, "--rate", 2000, "--duration", "500ms", "--connections", 4, "--streams", 50, "--threads", 2)
    assert code == 0
    assert report["requests"] == pytest.approx(1000, abs=2)
    assert report["rate_offered"] == 2000
    assert report["duration_s"] == pytest.approx(0.5)


def test_load_open_loop_counts_latency_from_the_intended_start(echo):
    # One call at a time, each 50 ms, and 100 wanted in a second: later calls wait for the ones before.
    code, report = load(echo, "--rate", 100, "--requests", 20, "--header", "x-echo-delay-ms:50")
    assert code == 0
    # The last of 20 calls is intended at 190 ms and starts after 19 x 50 ms.
    assert report["latency_us"]["max"] >= 780_000
    assert report["schedule_lag_us"]["max"] >= 730_000
    assert 50_000 <= report["latency_from_send_us"]["p50"] < report["latency_us"]["p50"]
    assert report["waited_for_slot"] >= 15
    assert report["bottleneck"] is False


def test_load_open_loop_counts_calls_that_never_started(echo):
    code, report = load(echo, "--rate", 200, "--duration", "300ms", "--header", "x-echo-delay-ms:150")
    assert code == 1
    assert report["requests"] == 60
    assert report["errors"] == {"not started in time": 60 - report["succeeded"]}
    assert report["succeeded"] <= 3


def test_load_does_not_record_the_warm_up(loop):
    backend = Backend(loop, handler=echo_handler)
    code, report = drive(loop, backend, "--rate", 200, "--warmup", "100ms", "--requests", 10)
    assert (code, report["requests"]) == (0, 10)
    assert len(backend.requests()) == 30


def test_load_ends_early_and_orderly_on_a_signal(echo):
    process = Process([str(BUILD / "ringway-load"), "--target", echo.address, "--path", PATH, "--duration", "10m", "--json",
                       "--header", "x-echo-delay-ms:1"])

    def descriptors_of_sockets():
        return subprocess.run(["ss", "-Htn", f"dst {echo.address}"], capture_output=True, text=True, check=True).stdout

    wait_until(descriptors_of_sockets, "a connection")
    process.signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert json.loads("\n".join(process.stdout))["errors"] == {}


def test_load_prints_a_table_for_people(echo):
    done = run("ringway-load", "--target", echo.address, "--path", PATH, "--requests", 10)
    assert done.returncode == 0
    assert re.search(r"^10 calls in [\d.]+ s, 10 succeeded, 0 errors$", done.stdout, re.MULTILINE)
    assert "from send" in done.stdout


# All of them


@pytest.mark.parametrize("name", ["ringway-echo", "ringway-load", "ringway-relay"])
def test_tools_say_version_and_help(name):
    version = run(name, "--version")
    assert version.returncode == 0 and re.fullmatch(rf"{name} \d+\.\d+\.\d+\n", version.stdout)
    usage = run(name, "--help")
    assert usage.returncode == 0 and "--listen" in usage.stdout or "--target" in usage.stdout


LOAD = ["ringway-load", "--target", "127.0.0.1:1", "--path", PATH]


@pytest.mark.parametrize("arguments, complaint", [
    (["ringway-echo"], "--listen is required"),
    (["ringway-echo", "--listen", "127.0.0.1:0", "--threads", "0"], "'0' is not a whole number from 1 to 256"),
    (["ringway-echo", "--listen", "127.0.0.1:0", "--threads", "many"], "'many' is not a whole number from 1 to 256"),
    (["ringway-echo", "--listen", "nowhere.example:80"], "nowhere.example:80"),
    (["ringway-relay", "--listen", "127.0.0.1:0", "--upstream", "x"], "--upstream: 'x'"),
    (["ringway-relay", "--listn", "127.0.0.1:0"], "'--listn' is not an option; allowed are --help, --listen"),
    ([*LOAD, "--requests", "-1"], "'-1' is not a whole number"),
    ([*LOAD, "--duration", "soon"], "'soon' is not a duration such as 250us"),
    ([*LOAD], "one of --requests and --duration"),
    ([*LOAD, "--requests", "1", "--duration", "1s"], "--requests excludes --duration"),
    ([*LOAD, "--requests", "9", "--threads", "2"], "--threads: 2 is more than --connections (1)"),
    ([*LOAD, "--requests", "9", "--header", "Upper: x"], "'Upper: x' is not a lower-case name"),
    (["ringway-load", "--target", "127.0.0.1:1", "--path", "Method", "--requests", "1"], "'Method' is not of the form"),
])
def test_tools_refuse_bad_flags(arguments, complaint):
    done = run(*arguments)
    assert done.returncode == 2
    assert complaint.lower() in done.stderr.lower()
    assert done.stdout == ""


@pytest.mark.parametrize("name, rest", [("ringway-echo", []), ("ringway-relay", ["--upstream", "127.0.0.1:1"])])
def test_tools_say_that_an_address_is_taken(name, rest):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run(name, "--listen", address, *rest)
    assert done.returncode == 1
    assert f"cannot listen on {address}: address already in use" in done.stderr
