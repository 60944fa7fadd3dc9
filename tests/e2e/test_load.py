"""Many requests by h2load, many connections at once, many backends' worth of both."""

import re
import subprocess

import pytest

from rawh2 import grpc_message


def run_h2load(address, tmp_path, *options):
    """POSTs gRPC messages with h2load and returns its counts of requests and of status classes."""
    body = tmp_path / "request.bin"
    # An interop.Request with a body of 32 bytes.
    body.write_bytes(grpc_message(b"\x0a\x20" + bytes(32)))
    run = subprocess.run(["h2load", *options, "-d", str(body), "-H", "content-type: application/grpc",
                          "-H", "te: trailers", f"http://{address}/ringway.e2e.Interop/Unary"],
                         capture_output=True, text=True, timeout=60, check=True)
    requests = re.search(r"requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, (\d+) failed, "
                         r"(\d+) errored, (\d+) timeout", run.stdout)
    statuses = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", run.stdout)
    assert requests and statuses, run.stdout + run.stderr
    names = ("total", "started", "done", "succeeded", "failed", "errored", "timeout")
    return dict(zip(names, map(int, requests.groups()))), [int(count) for count in statuses.groups()]


@pytest.mark.parametrize("shards", [1, 2])
def test_h2load(proxy, grpc_server, tmp_path, shards):
    servers = [grpc_server("cpp", name) for name in ("a", "b")]
    started = proxy(*servers, shards=shards)
    requests, statuses = run_h2load(started.address, tmp_path, "-n2000", "-c10", "-m10")
    assert requests["succeeded"] == 2000 and requests["failed"] == 0
    assert statuses == [2000, 0, 0, 0]


def test_h2load_with_small_windows(proxy, grpc_server, tmp_path):
    started = proxy(grpc_server("cpp"))
    requests, statuses = run_h2load(started.address, tmp_path, "-n500", "-c5", "-m10", "-w10", "-W12")
    assert requests["succeeded"] == 500
    assert statuses == [500, 0, 0, 0]


def test_five_hundred_idle_connections(proxy, loop, backend):
    started = proxy(backend)
    clients = [loop.client(started) for _ in range(500)]
    for client in clients[::50]:
        loop.settle(client)
    request = clients[250].call(payload=b"among many")
    peer, stream = backend.await_request(complete=True)
    peer.respond(stream, b"found you")
    loop.until(lambda: request.is_over, "the response")
    assert bytes(request.data) == grpc_message(b"found you")
    assert len(backend.connections) <= 2, "many client connections share the upstream ones"


def test_every_one_of_many_connections_is_served(proxy, loop, backend):
    """One call on each of 200 connections, all at once, answered in reverse order."""
    started = proxy(backend, shards=2)
    clients = [loop.client(started) for _ in range(200)]
    requests = [client.call(payload=b"%d" % number) for number, client in enumerate(clients)]
    backend.await_request(200, complete=True)
    for peer, stream in reversed(backend.requests()):
        peer.respond(stream, bytes(stream.data[5:]))
    loop.until(lambda: all(request.is_over for request in requests), "all responses")
    for number, request in enumerate(requests):
        assert bytes(request.data) == grpc_message(b"%d" % number)
        assert request.trailer("grpc-status") == "0"
