"""Real clients and servers on the wrong port, and the limit of messages as real gRPC stacks meet it."""

import signal
import subprocess

import grpc
import interop_pb2_grpc
import pytest
from interop_pb2 import Request

from harness import Process, wait_until

LIMIT_S = 20


def curl(*words):
    return subprocess.run(["curl", "-sS", "-m", str(LIMIT_S), *words], capture_output=True, text=True)


def test_curl_is_told_what_to_say(proxy, grpc_server):
    started = proxy(grpc_server("python").address, shards=1)
    for version in ("--http1.1", "--http1.0", "--http2"):
        told = curl("-i", version, f"http://{started.address}/shop")
        assert told.returncode == 0, told.stderr
        assert told.stdout.startswith("HTTP/1.1 505 ")
        assert "--http2-prior-knowledge" in told.stdout
    assert curl("--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{http_version}",
                f"http://{started.address}/shop").stdout == "2"
    refused = curl("-k", f"https://{started.address}/")
    assert refused.returncode == 35 and "alert protocol version" in refused.stderr
    assert curl("-f", "--http1.1", f"http://{started.address}/healthz").stdout == "ok\n"


def test_health_check_while_draining(proxy, grpc_server, channel):
    started = proxy(grpc_server("python").address, args=["--drain-delay", "60s"], shards=1)
    stub = interop_pb2_grpc.InteropStub(channel(started.address))
    url = f"http://{started.address}/healthz"
    assert curl("-o", "/dev/null", "-w", "%{http_code}", url).stdout == "200"
    started.signal(signal.SIGTERM)
    started.await_line(started.stderr, "draining")
    # The line is written before the shards hear of it.
    answer = wait_until(lambda: (text := curl("-w", "%{http_code}", url).stdout) != "ok\n200" and text, "another answer")
    assert answer == "draining\n503"
    assert stub.Unary(Request(body=b"still"), timeout=LIMIT_S).body == b"still"
    started.signal(signal.SIGTERM)
    started.check_end()


def failing_call(channel, started):
    with pytest.raises(grpc.RpcError) as raised:
        interop_pb2_grpc.InteropStub(channel(started.address)).Unary(Request(body=b"a"), timeout=LIMIT_S)
    return raised.value


@pytest.fixture
def tls_server(tmp_path):
    """A real TLS server on a free port."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", certificate, "-subj", "/CN=localhost", "-days", "2"],
                   check=True, capture_output=True)
    server = Process(["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", certificate, "-key", key, "-alpn", "h2"])
    try:
        yield server.await_line(server.stdout, r"ACCEPT (127\.0\.0\.1:\d+)").group(1)
    finally:
        server.kill()


@pytest.fixture
def http1_server():
    server = Process(["node", "-e", "require('http').createServer().listen(0, '127.0.0.1', function() {"
                                    "console.log('listening ' + this.address().port)})"])
    try:
        yield "127.0.0.1:" + server.await_line(server.stdout, r"^listening (\d+)$").group(1)
    finally:
        server.kill()


def test_endpoint_with_tls(proxy, channel, tls_server):
    """It closes without an alert."""
    started = proxy(tls_server, shards=1)
    error = failing_call(channel, started)
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert f"endpoint {tls_server} said nothing: connection" in error.details()
    assert "it may expect TLS, the cluster has no tls:" in error.details()
    started.await_line(started.stderr, f"endpoint {tls_server} said nothing")


def test_endpoint_with_http1(proxy, channel, http1_server):
    started = proxy(http1_server, shards=1)
    error = failing_call(channel, started)
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert f"endpoint {http1_server} speaks HTTP/1.1, not HTTP/2" in error.details()
    started.await_line(started.stderr, f"endpoint {http1_server} speaks HTTP/1.1, not HTTP/2")


def test_calls_go_to_the_other_endpoint(proxy, channel, http1_server, grpc_server):
    started = proxy(http1_server, grpc_server("python").address, shards=1)
    stub = interop_pb2_grpc.InteropStub(channel(started.address))
    for number in range(20):
        assert stub.Unary(Request(body=b"%d" % number), timeout=LIMIT_S).body == b"%d" % number


LIMIT = 10_000
# Of a Request or Response with a body of more than 127 and less than 16,384 bytes: its key and its length.
OVERHEAD = 3


@pytest.fixture
def limited(proxy, grpc_server, channel):
    started = proxy(config={"limits": {"message": LIMIT},
                            "listeners": [{"address": "127.0.0.1:0", "routes": [{"cluster": "a"}]}],
                            "clusters": [{"name": "a", "endpoints": [{"address": grpc_server("python").address}]}],
                            "drain": {"timeout": "3s"}})
    return interop_pb2_grpc.InteropStub(channel(started.address))


def too_large(direction, size):
    return f"{direction} message of {size} bytes exceeds the limit of {LIMIT} bytes (limits.message)"


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1])
def test_request_at_the_limit(limited, size):
    request = Request(body=bytes(size - OVERHEAD), sleep_ms=0, end={"code": 5, "message": "seen"})
    request.body = request.body[:len(request.body) - (request.ByteSize() - size)]
    assert request.ByteSize() == size
    with pytest.raises(grpc.RpcError) as raised:
        limited.Unary(request, timeout=LIMIT_S)
    if size <= LIMIT:
        assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.NOT_FOUND, "seen")
    else:
        assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert raised.value.details() == too_large("request", size)


def test_response_beyond_the_limit(limited):
    """The messages before it arrive."""
    assert len(limited.Unary(Request(response_bytes=5000), timeout=LIMIT_S).body) == 5000
    with pytest.raises(grpc.RpcError) as raised:
        limited.Unary(Request(response_bytes=LIMIT + 1), timeout=LIMIT_S)
    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert raised.value.details().startswith("response message of 100") and "limits.message" in raised.value.details()
