"""The access log: both formats to the letter, rotation, and a disk that takes nothing."""

import json
import re
import signal

import grpc
import interop_pb2_grpc
import pcbook_pb2
import pcbook_pb2_grpc
import pytest
from interop_pb2 import Request

from harness import wait_until
from rawh2 import RESPONSE_HEADERS, echo, grpc_message, request_headers

LIMIT_S = 20
TIME = r"\d\d/(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)/\d{4}:\d\d:\d\d:\d\d \+0000"
JSON_KEYS = {"time", "client", "method", "path", "status", "grpc_status", "bytes_sent", "bytes_received", "user_agent",
             "cluster", "endpoint", "attempts", "duration_us", "hop_us"}


def await_lines(path, count):
    def read():
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return lines if len(lines) >= count else None

    lines = wait_until(read, f"{count} lines in {path.name}")
    assert len(lines) == count
    return lines


def call(loop, client, payload=b"x", headers=None):
    request = client.start_request(headers or request_headers(), grpc_message(payload))
    loop.until(lambda: request.is_over, "the response")
    return request


@pytest.fixture
def log(tmp_path):
    return tmp_path / "access.log"


@pytest.fixture
def echoing(backend):
    backend.handler = echo
    return backend


def test_combined_line_of_a_grpc_client(proxy, channel, grpc_server, log):
    started = proxy(grpc_server(), args=["--access-log", str(log)])
    stub = pcbook_pb2_grpc.AuthServiceStub(channel(started.address, ("grpc.primary_user_agent", "course/1.0")))
    response = stub.Login(pcbook_pb2.LoginRequest(username="admin1", password="secret"), timeout=LIMIT_S)
    line, = await_lines(log, 1)
    size = 5 + response.ByteSize()
    assert re.fullmatch(rf'127\.0\.0\.1 - - \[{TIME}\] "POST /techschool_pcbook\.AuthService/Login HTTP/2\.0" '
                        rf'200 {size} "-" "course/1\.0 grpc-python/[^"]+"', line), line


def test_combined_line_of_a_raw_client(proxy, loop, echoing, log):
    client = loop.client(proxy(echoing, args=["--access-log", str(log)], shards=1))
    call(loop, client, bytes(1000), request_headers("/svc/Method", [("user-agent", "grpc-go/1.37.0")]))
    call(loop, client, b"")
    with_agent, without = await_lines(log, 2)
    assert re.fullmatch(rf'127\.0\.0\.1 - - \[{TIME}\] "POST /svc/Method HTTP/2\.0" 200 1005 "-" "grpc-go/1\.37\.0"',
                        with_agent), with_agent
    assert without.endswith('"POST /test.Service/Method HTTP/2.0" 200 5 "-" "-"')


def test_quotes_are_escaped(proxy, loop, echoing, log):
    client = loop.client(proxy(echoing, args=["--access-log", str(log)], shards=1))
    call(loop, client, b"", request_headers("/svc/M", [("user-agent", 'a" 200 0 "forged\\')]))
    line, = await_lines(log, 1)
    assert line.endswith(r'"a\x22 200 0 \x22forged\x5C"'), line


def test_json_line(proxy, loop, echoing, log):
    started = proxy(echoing, args=["--access-log", str(log), "--access-log-format", "json"], shards=1)
    client = loop.client(started)
    call(loop, client, bytes(100), request_headers("/svc/Method", [("user-agent", 'grpc "quoted" ✓')]))
    entry = json.loads(await_lines(log, 1)[0])
    assert JSON_KEYS <= set(entry)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", entry["time"])
    expected = {"client": "127.0.0.1", "method": "POST", "path": "/svc/Method", "status": 200, "grpc_status": 0,
                "bytes_sent": 105, "bytes_received": 105, "endpoint": echoing.address, "attempts": 1}
    assert {key: entry[key] for key in expected} == expected
    assert entry["user_agent"].startswith('grpc "quoted" ')
    assert entry["cluster"] == "default"
    assert 0 <= entry["hop_us"] <= entry["duration_us"] < 60_000_000


def test_json_line_of_failures(proxy, loop, backend, log):
    """A status of the backend's trailers, one of a Trailers-Only response, and a client's cancellation."""
    started = proxy(backend, args=["--access-log", str(log), "--access-log-format", "json"], shards=1)
    client = loop.client(started)
    in_trailers = client.call("/svc/Trailers")
    peer, stream = backend.await_request(1, complete=True)
    peer.respond(stream, trailers=[("grpc-status", "9")])
    loop.until(lambda: in_trailers.is_over, "the first response")
    trailers_only = client.call("/svc/TrailersOnly")
    peer, stream = backend.await_request(2, complete=True)
    peer.send_headers(stream, [*RESPONSE_HEADERS, ("grpc-status", "5")], end_stream=True)
    loop.until(lambda: trailers_only.is_over, "the second response")
    cancelled = client.call("/svc/Cancelled")
    backend.await_request(3, complete=True)
    client.reset(cancelled)
    entries = {entry["path"]: entry for entry in map(json.loads, await_lines(log, 3))}
    assert entries["/svc/Trailers"]["grpc_status"] == 9
    assert entries["/svc/TrailersOnly"]["grpc_status"] == 5
    assert entries["/svc/TrailersOnly"]["bytes_sent"] == 0
    assert entries["/svc/Cancelled"]["bytes_received"] == len(grpc_message(b"ping"))
    assert entries["/svc/Cancelled"]["bytes_sent"] == 0


def test_compressed_messages_stay_compressed(proxy, channel, grpc_server, log):
    """A megabyte of zeros is a few kilobytes on the wire, on both sides of ringway."""
    started = proxy(grpc_server(), args=["--access-log", str(log), "--access-log-format", "json"])
    stub = interop_pb2_grpc.InteropStub(channel(started.address))
    request = Request(body=bytes(1_000_000), compress_response=True)
    response = stub.Unary(request, timeout=LIMIT_S, compression=grpc.Compression.Gzip)
    assert len(response.body) == 1_000_000
    entry = json.loads(await_lines(log, 1)[0])
    assert entry["bytes_received"] < 20_000 and entry["bytes_sent"] < 20_000


def test_sigusr1_reopens_after_a_rename(proxy, loop, echoing, log):
    started = proxy(echoing, args=["--access-log", str(log)], shards=1)
    client = loop.client(started)
    call(loop, client, headers=request_headers("/before/Rename"))
    await_lines(log, 1)
    rotated = log.with_suffix(".1")
    log.rename(rotated)
    started.signal(signal.SIGUSR1)
    wait_until(log.exists, "the new log file")
    call(loop, client, headers=request_headers("/after/Rename"))
    assert "/after/Rename" in await_lines(log, 1)[0]
    assert "/before/Rename" in await_lines(rotated, 1)[0]


def test_full_disk_does_not_disturb_calls(proxy, loop, echoing):
    client = loop.client(proxy(echoing, args=["--access-log", "/dev/full"], shards=1))
    for number in range(200):
        request = call(loop, client, b"%d" % number)
        assert bytes(request.data) == grpc_message(b"%d" % number)
        assert request.trailer("grpc-status") == "0"


def test_log_is_complete_at_the_end(proxy, loop, echoing, log):
    """Lines that were gathered when the signal came are written before the process ends."""
    started = proxy(echoing, args=["--access-log", str(log)])
    clients = [loop.client(started) for _ in range(4)]
    requests = [client.call() for client in clients for _ in range(25)]
    loop.until(lambda: all(request.is_over for request in requests), "all responses")
    started.signal(signal.SIGTERM)
    loop.until(lambda: all(client.closed for client in clients), "the end of the connections")
    started.check_end()
    assert len(log.read_text(encoding="utf-8").splitlines()) == 100
