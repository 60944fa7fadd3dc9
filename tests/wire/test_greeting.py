"""First bytes that are not HTTP/2's, PROXY headers and lists of sources, on real sockets."""

import socket
import ssl
import struct

import pytest

from rawh2 import PREFACE, echo, grpc_message, raw_frame

LIMIT_S = 10
TLS_ALERT = bytes.fromhex("15030300020246")
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
VERSION_1 = b"PROXY TCP4 198.51.100.9 10.0.0.1 40000 8080\r\n"
VERSION_2 = SIGNATURE + b"\x21\x11" + struct.pack(">H", 12 + 5) + socket.inet_aton("198.51.100.9") + \
    socket.inet_aton("10.0.0.1") + struct.pack(">HH", 40000, 8080) + b"\x04\x00\x02ab"
VERSION_2_V6 = SIGNATURE + b"\x21\x21" + struct.pack(">H", 36) + socket.inet_pton(socket.AF_INET6, "2001:db8::9") + \
    bytes(16) + struct.pack(">HH", 40000, 8080)
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


def exchange(port, pieces):
    """Sends each piece when the one before has left; returns all that comes until ringway's end."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            client.sendall(piece)
        received = b""
        while True:
            try:
                part = client.recv(65536)
            except ConnectionResetError:
                return received
            if not part:
                return received
            received += part


def octets(data):
    return [data[index:index + 1] for index in range(len(data))]


def configured(backend, **listener):
    return {"shards": {"count": 1},
            "listeners": [{"address": "127.0.0.1:0", "forwarded": {"x_forwarded_for": "append"},
                           "routes": [{"cluster": "a"}], **listener}],
            "clusters": [{"name": "a", "endpoints": [{"address": backend.address}]}],
            "drain": {"timeout": "3s"}}


@pytest.mark.parametrize("cut", [lambda data: [data], octets], ids=["whole", "octets"])
def test_http1(proxy, backend, cut):
    started = proxy(backend, shards=1)
    answer = exchange(started.port, cut(b"GET /shop HTTP/1.1\r\nHost: a\r\n\r\n"))
    head, body = answer.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 505 ")
    assert b"\r\nConnection: close" in head
    assert b"\r\nContent-Length: %d" % len(body) in head
    assert b"HTTP/2 without TLS (gRPC)" in body and b"--http2-prior-knowledge" in body and b"-plaintext" in body
    started.await_line(started.stderr, r"client 127\.0\.0\.1 speaks HTTP/1 \('GET /shop'\), "
                                       rf"listener 127\.0\.0\.1:{started.port} speaks HTTP/2 without TLS")


def test_http1_upload_gets_its_answer(proxy, backend):
    """Ringway closes without having read all: the answer arrives nevertheless."""
    started = proxy(backend, shards=1)
    request = b"POST / HTTP/1.1\r\nContent-Length: 200000\r\n\r\n" + bytes(200_000)
    assert exchange(started.port, [request]).startswith(b"HTTP/1.1 505 ")


@pytest.mark.parametrize("cut", [lambda data: [data], octets], ids=["whole", "octets"])
def test_health_check(proxy, backend, cut):
    answer = exchange(proxy(backend, shards=1).port, cut(b"GET /healthz HTTP/1.0\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"\r\n\r\nok\n")


def test_tls_client(proxy, backend):
    started = proxy(backend, shards=1)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", started.port), timeout=LIMIT_S) as plain:
        with pytest.raises(ssl.SSLError, match="(?i)alert protocol version"):
            context.wrap_socket(plain)
    started.await_line(started.stderr, r"client 127\.0\.0\.1 speaks TLS, "
                                       rf"listener 127\.0\.0\.1:{started.port} speaks HTTP/2 without")


@pytest.mark.parametrize("sent", [b"SSH-2.0-x\r\n", b"\0" * 64, PREFACE[:-1] + b"X", b"GET /\r\n"])
def test_something_else(proxy, backend, sent):
    started = proxy(backend, shards=1)
    assert exchange(started.port, octets(sent)) == b""
    started.await_line(started.stderr, r"client 127\.0\.0\.1 speaks neither HTTP nor TLS, its first bytes are")


def test_preface_octet_by_octet(proxy, loop, backend):
    backend.handler = echo
    client = loop.client(proxy(backend, shards=1), auto_start=False)
    for octet in octets(PREFACE + raw_frame(4, 0, 0)):
        client.socket.setblocking(True)
        client.socket.sendall(octet)
    client.socket.setblocking(False)
    client.h2.initiate_connection()
    client.h2.data_to_send()
    request = client.call(payload=b"slow")
    loop.until(lambda: request.is_over, "the response")
    assert bytes(request.data) == grpc_message(b"slow")


HEADERS = {"version 1": (VERSION_1, "198.51.100.9"), "version 2": (VERSION_2, "198.51.100.9"),
           "version 2, IPv6": (VERSION_2_V6, "2001:db8::9"), "LOCAL": (LOCAL, "127.0.0.1"),
           "UNKNOWN": (b"PROXY UNKNOWN\r\n", "127.0.0.1")}


@pytest.mark.parametrize("mode", ["optional", "require"])
@pytest.mark.parametrize("header, announced", HEADERS.values(), ids=HEADERS.keys())
def test_proxy_header(proxy, loop, backend, header, announced, mode, tmp_path):
    backend.handler = echo
    log = tmp_path / "access.log"
    started = proxy(config={**configured(backend, proxy_protocol=mode), "access_log": {"path": str(log)}})
    for cut in (1, 7, len(header) - 1, len(header)):
        client = loop.client(started, auto_start=False)
        client.socket.setblocking(True)
        client.socket.sendall(header[:cut])
        client.socket.sendall(header[cut:])
        client.socket.setblocking(False)
        client.h2.initiate_connection()
        client.flush()
        request = client.call(payload=b"whose")
        loop.until(lambda: request.is_over, "the response")
        assert bytes(request.data) == grpc_message(b"whose")
    assert [stream.header("x-forwarded-for") for _, stream in backend.requests()] == [announced] * 4
    loop.until(lambda: log.exists() and len(log.read_text().splitlines()) == 4, "the lines of the access log")
    assert {line.split()[0] for line in log.read_text().splitlines()} == {announced}


BAD_HEADERS = {"no header": (PREFACE, r"no PROXY header, which listener 127\.0\.0\.1:[1-9]\d* requires; its first "
                                      r"bytes are 'PRI \* HTTP/2\.0"),
               "address": (b"PROXY TCP4 1.2.3.400 10.0.0.1 1 2\r\n", r"the address is none of its protocol: '1\.2\.3\.400'"),
               "endless": (b"PROXY UNKNOWN " + b"x" * 100, "it is longer than 107 octets: 'PROXY UNKNOWN xxx"),
               "version": (SIGNATURE + b"\x41", "its version is not 2: 'A'"),
               "length": (SIGNATURE + b"\x21\x11\xff\xff", r"it is longer than 4,112 octets: '\\xFF\\xFF'")}


@pytest.mark.parametrize("sent, logged", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_bad_proxy_header(proxy, backend, sent, logged):
    started = proxy(config=configured(backend, proxy_protocol="require"))
    assert exchange(started.port, [sent]) == b""
    started.await_line(started.stderr, r"client 127\.0\.0\.1: .*" + logged)


def test_sources(proxy, loop, backend):
    backend.handler = echo
    refused = proxy(config=configured(backend, deny=["127.0.0.0/8"]))
    assert exchange(refused.port, []) == b""
    refused.await_line(refused.stderr, r"client 127\.0\.0\.1: refused, it is in 'deny' of "
                                       rf"listener 127\.0\.0\.1:{refused.port}$")
    others = proxy(config=configured(backend, allow=["10.0.0.0/8"]))
    assert exchange(others.port, []) == b""
    others.await_line(others.stderr, r"client 127\.0\.0\.1: refused, it is not in 'allow' of listener")
    request = loop.client(proxy(config=configured(backend, allow=["127.0.0.1"]))).call()
    loop.until(lambda: request.is_over, "the response")
    assert request.trailer("grpc-status") == "0"


def test_sources_that_are_announced(proxy, backend):
    started = proxy(config=configured(backend, proxy_protocol="require", deny=["198.51.100.0/24"], allow=["127.0.0.1"]))
    check = b"GET /healthz HTTP/1.1\r\n\r\n"
    assert exchange(started.port, [VERSION_1 + check]) == b""
    started.await_line(started.stderr, r"client 198\.51\.100\.9: refused, it is in 'deny'")
    assert exchange(started.port, [LOCAL + check]).endswith(b"ok\n")


SPEECHES = {"TLS": (TLS_ALERT, "speaks TLS, the cluster has no tls:"),
            "HTTP/1": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks HTTP/1.1, not HTTP/2"),
            "SSH": (b"SSH-2.0-x\r\n", "does not speak HTTP/2: its first bytes were 'SSH-2.0-x\\x0D\\x0A'")}


@pytest.mark.parametrize("said, sentence", SPEECHES.values(), ids=SPEECHES.keys())
def test_endpoint_that_speaks_something_else(proxy, loop, backend, said, sentence):
    backend.is_mute = True
    started = proxy(backend, shards=1)
    request = loop.client(started).call()
    loop.until(lambda: backend.connections and backend.connections[0].frames, "what ringway sends first")
    backend.connections[0].send_raw(said)
    loop.until(lambda: request.is_over, "the answer")
    assert request.trailer("grpc-status") == "14"
    assert f"endpoint {backend.address} {sentence}" in request.trailer("grpc-message")
    words = sentence.replace("\\", "\\\\").replace(".", r"\.")
    assert started.await_line(started.stderr, rf"cluster default: connect failed: endpoint 127\.0\.0\.1:\d+ {words[:40]}")


def test_each_outcome_is_counted(proxy, loop, backend):
    backend.handler = echo
    started = proxy(config={**configured(backend, proxy_protocol="optional", deny=["198.51.100.9"]),
                            "limits": {"message": 100}}, args=["--stats-at-exit"])
    for sent, times in ((bytes.fromhex("160301020001"), 1), (b"GET / HTTP/1.1\r\n\r\n", 2),
                        (b"GET /healthz HTTP/1.1\r\n\r\n", 3), (b"SSH-2.0-x\r\n", 4), (VERSION_1, 5), (LOCAL + b"\0", 6),
                        (b"PROXY x\r\n", 7)):
        for _ in range(times):
            exchange(started.port, [sent])
    request = loop.client(started).call(payload=bytes(101))
    loop.until(lambda: request.is_over, "the refusal")
    counters = started.end_with_counters()
    names = ("tls_clients", "http1_clients", "health_checks", "unknown_clients", "sources_refused", "proxy_headers",
             "bad_proxy_headers", "messages_too_large", "foreign_endpoints")
    assert [counters[name] for name in names] == [1, 2, 3, 4 + 6, 5, 5 + 6, 7, 1, 0]


def test_message_limit(proxy, loop, backend):
    backend.handler = echo
    started = proxy(config={**configured(backend), "limits": {"message": 100}})
    client = loop.client(started)
    for size in (99, 100, 101):
        request = client.call(payload=bytes(size))
        loop.until(lambda: request.is_over, f"the answer to {size} bytes")
        if size <= 100:
            assert request.trailer("grpc-status") == "0" and bytes(request.data) == grpc_message(bytes(size))
            continue
        assert request.trailer("grpc-status") == "8"
        assert request.trailer("grpc-message") == \
            "request message of 101 bytes exceeds the limit of 100 bytes (limits.message)"
