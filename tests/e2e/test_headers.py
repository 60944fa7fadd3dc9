"""Fields on their way: what a hop must drop, what it must keep, and what it adds when told to."""

import re

import pytest

from rawh2 import RESPONSE_HEADERS, grpc_message, request_headers

HOP_BY_HOP = ("connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade")


def exchange(loop, backend, client, extra):
    """Sends one request with `extra` fields, answers it, and returns the fields that the backend got."""
    request = client.call(extra=extra)
    peer, stream = backend.await_request(len(backend.requests()) + 1, complete=True)
    peer.respond(stream)
    loop.until(lambda: request.is_over, "the response")
    assert request.trailer("grpc-status") == "0"
    return stream.headers


def test_request_fields_are_kept(proxy, loop, backend):
    extra = [("grpc-encoding", "gzip"), ("grpc-accept-encoding", "identity,gzip"), ("user-agent", "grpc-test/1.0"),
             ("authorization", "Bearer secret"), ("x-trace-bin", "AAECAwT/"), ("x-trace-bin", "/w"), ("x-empty", ""),
             ("grpc-previous-rpc-attempts", "1"), ("cookie", "a=b"), ("x-text", "with, comma; and \"quotes\"")]
    client = loop.client(proxy(backend, shards=1))
    for _ in range(3):
        fields = exchange(loop, backend, client, extra)
        for field in [*extra, ("te", "trailers"), ("content-type", "application/grpc")]:
            assert fields.count(field) == 1, field
        assert [value for name, value in fields if name == "x-trace-bin"] == ["AAECAwT/", "/w"]
        pseudo = {name: value for name, value in fields if name.startswith(":")}
        assert pseudo == {":method": "POST", ":scheme": "http", ":path": "/test.Service/Method",
                          ":authority": "test.example"}


def test_hop_by_hop_fields_never_reach_the_backend(proxy, loop, backend):
    """A request that has them is either malformed (RFC 9113 section 8.2.2) or loses them."""
    started = proxy(backend, shards=1)
    for name in HOP_BY_HOP:
        client = loop.client(started)
        request = client.call(extra=[(name, "close")])
        known = len(backend.requests())
        loop.until(lambda: request.is_over or len([1 for _, stream in backend.requests() if stream.ended]) > known,
                   f"a request with {name} is refused or forwarded")
        if not request.is_over:
            peer, stream = backend.requests()[-1]
            assert name not in dict(stream.headers)
            peer.respond(stream)


def test_response_fields_are_kept(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1))
    for _ in range(3):
        request = client.call()
        peer, stream = backend.await_request(len(backend.requests()) + 1, complete=True)
        headers = [*RESPONSE_HEADERS, ("grpc-encoding", "identity"), ("x-initial-bin", "AAEC"), ("x-initial", "")]
        trailers = [("grpc-status", "0"), ("grpc-message", "%E2%9C%93"), ("x-last-bin", "AA"), ("x-last-bin", "/w")]
        peer.respond(stream, headers=headers, trailers=trailers)
        loop.until(lambda: request.is_over, "the response")
        assert sorted(request.headers) == sorted(headers)
        assert request.trailers == trailers or sorted(request.trailers) == sorted(trailers)
        assert [value for name, value in request.trailers if name == "x-last-bin"] == ["AA", "/w"]


def timeout_ms(value):
    number, unit = re.fullmatch(r"(\d{1,8})([HMSmun])", value).groups()
    return int(number) * {"H": 3_600_000, "M": 60_000, "S": 1000, "m": 1, "u": 1e-3, "n": 1e-6}[unit]


@pytest.mark.parametrize("sent", ["5S", "5000m", "5000000u", "1M", "1H"])
def test_grpc_timeout_arrives_reduced(proxy, loop, backend, sent):
    fields = exchange(loop, backend, loop.client(proxy(backend, shards=1)), [("grpc-timeout", sent)])
    values = [value for name, value in fields if name == "grpc-timeout"]
    assert len(values) == 1
    assert timeout_ms(sent) - 3000 < timeout_ms(values[0]) <= timeout_ms(sent)


def test_no_grpc_timeout_is_invented(proxy, loop, backend):
    fields = exchange(loop, backend, loop.client(proxy(backend, shards=1)), [])
    assert "grpc-timeout" not in dict(fields)


def test_deadline_is_enforced_by_the_proxy(proxy, loop, backend):
    """A client that has set a deadline and does not watch it itself is told by ringway, and the backend is freed."""
    client = loop.client(proxy(backend, shards=1))
    request = client.call(extra=[("grpc-timeout", "300m")])
    _, stream = backend.await_request(complete=True)
    loop.until(lambda: request.is_over, "the end of the call past its deadline")
    assert request.trailer("grpc-status") == "4"
    loop.until(lambda: stream.reset_code is not None, "the reset of the backend's stream")
    assert stream.reset_code == 8


def test_x_forwarded_fields_are_absent_by_default(proxy, loop, backend):
    fields = dict(exchange(loop, backend, loop.client(proxy(backend, shards=1)), []))
    assert "x-forwarded-for" not in fields and "x-forwarded-proto" not in fields


@pytest.fixture
def forwarding(proxy, backend):
    return proxy(config={
        "shards": {"count": 1},
        "listeners": [{"address": "127.0.0.1:0",
                       "forwarded": {"x_forwarded_for": "append", "x_forwarded_proto": True},
                       "routes": [{"cluster": "all"}]}],
        "clusters": [{"name": "all", "endpoints": [{"address": backend.address}]}]})


def test_x_forwarded_for_is_added_when_told(forwarding, loop, backend):
    fields = exchange(loop, backend, loop.client(forwarding), [])
    assert fields.count(("x-forwarded-for", "127.0.0.1")) == 1
    assert fields.count(("x-forwarded-proto", "http")) == 1


def test_x_forwarded_for_is_appended_to(forwarding, loop, backend):
    extra = [("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "https")]
    fields = exchange(loop, backend, loop.client(forwarding), extra)
    chain = ", ".join(value for name, value in fields if name == "x-forwarded-for")
    assert chain == "192.0.2.7, 127.0.0.1"
    assert [value for name, value in fields if name == "x-forwarded-proto"] == ["http"]


def local_reply(loop, client, headers):
    request = client.start_request(headers, grpc_message(b""))
    loop.until(lambda: request.is_over, "the local reply")
    return request


@pytest.fixture
def routeless(proxy, backend):
    return proxy(config={
        "shards": {"count": 1},
        "listeners": [{"address": "127.0.0.1:0",
                       "routes": [{"match": {"path": "/known.Service/Method"}, "cluster": "all"}]}],
        "clusters": [{"name": "all", "endpoints": [{"address": backend.address}]}]})


@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto", "application/grpc;x=y"])
def test_local_reply_to_grpc_is_trailers_only(routeless, loop, content_type):
    client = loop.client(routeless)
    headers = [field if field[0] != "content-type" else ("content-type", content_type) for field in request_headers()]
    reply = local_reply(loop, client, headers)
    assert reply.header(":status") == "200"
    assert reply.header("content-type").startswith("application/grpc")
    assert reply.header("grpc-status") == "12"
    assert "no route" in reply.header("grpc-message")
    assert reply.trailers is None and not reply.data


def test_local_reply_to_plain_http_is_a_status(routeless, loop):
    client = loop.client(routeless)
    reply = client.start_request([(":method", "GET"), (":scheme", "http"), (":path", "/page"), (":authority", "a")])
    loop.until(lambda: reply.is_over, "the local reply")
    assert reply.header(":status") == "404"
    assert reply.header("grpc-status") is None
