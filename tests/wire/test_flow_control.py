"""Credit: windows of 0 and 1, changed windows, both levels run dry, and what a stalled stream may not hold up."""

import random

import pytest
from h2.settings import SettingCodes
from hyperframe.frame import DataFrame

from rawh2 import echo, grpc_message

MEGABYTE = 1 << 20
# What ringway advertises per stream downstream, and the default window of the backend played here.
DOWNSTREAM_WINDOW = 64 << 10
UPSTREAM_WINDOW = 256 << 10
DEFAULT_WINDOW = 65_535


def response_to_a_reader(loop, backend, client, body):
    """Starts a call and answers it with `body`; returns the client's stream."""
    known = len(backend.requests())
    request = client.call()
    peer, stream = backend.await_request(known + 1, complete=True)
    peer.send_headers(stream)
    peer.send_body(stream, body, trailers=[("grpc-status", "0")])
    return request


def grant(client, stream, size):
    """Credit for `size` bytes on the stream alone."""
    client.h2.increment_flow_control_window(size, stream.id)
    client.flush()


def open_connection_window(peer, size=16 * MEGABYTE):
    peer.h2.increment_flow_control_window(size)
    peer.flush()


def test_stream_window_of_one_byte(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1), settings={SettingCodes.INITIAL_WINDOW_SIZE: 1}, auto_window=False)
    body = grpc_message(b"one at a time")
    request = response_to_a_reader(loop, backend, client, body)
    for size in range(1, len(body) + 1):
        loop.until(lambda: len(request.data) == size, f"byte {size}")
        loop.settle(client)
        assert len(request.data) == size, "no byte is sent without credit"
        if size < len(body):
            grant(client, request, 1)
    loop.until(lambda: request.ended, "the trailers, which need no credit")
    assert bytes(request.data) == body
    assert request.trailer("grpc-status") == "0"


def test_stream_window_of_zero_and_then_a_window_update(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1), settings={SettingCodes.INITIAL_WINDOW_SIZE: 0}, auto_window=False)
    body = grpc_message(bytes(range(256)) * 10)
    request = response_to_a_reader(loop, backend, client, body)
    loop.until(lambda: request.headers, "the response's header fields, which need no credit")
    loop.settle(client)
    assert not request.data and not request.ended
    grant(client, request, 1000)
    loop.until(lambda: len(request.data) == 1000, "1000 bytes")
    grant(client, request, 100_000)
    loop.until(lambda: request.ended, "the rest")
    assert bytes(request.data) == body


def test_stream_window_of_zero_and_then_settings(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1), settings={SettingCodes.INITIAL_WINDOW_SIZE: 0})
    body = grpc_message(bytes(5000))
    requests = [response_to_a_reader(loop, backend, client, body) for _ in range(3)]
    loop.until(lambda: all(request.headers for request in requests), "header fields")
    loop.settle(client)
    assert not any(request.data for request in requests)
    client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 10_000})
    client.flush()
    loop.until(lambda: all(request.ended for request in requests), "the rest of all three")
    assert all(bytes(request.data) == body for request in requests)


def test_window_shrinks_below_zero(proxy, loop, backend):
    """A window of 1000 that is used up and then set to 100 stands at -900 (RFC 9113 section 6.9.2)."""
    client = loop.client(proxy(backend, shards=1), settings={SettingCodes.INITIAL_WINDOW_SIZE: 1000}, auto_window=False)
    body = grpc_message(bytes(3000))
    request = response_to_a_reader(loop, backend, client, body)
    loop.until(lambda: len(request.data) == 1000, "the first 1000 bytes")
    client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 100})
    client.flush()
    loop.settle(client)
    grant(client, request, 900)
    loop.settle(client)
    assert len(request.data) == 1000
    grant(client, request, 50)
    loop.until(lambda: len(request.data) == 1050, "50 bytes more")
    loop.settle(client)
    assert len(request.data) == 1050
    grant(client, request, 10_000)
    loop.until(lambda: request.ended, "the rest")
    assert bytes(request.data) == body


def test_backend_window_of_one_byte(proxy, loop, backend):
    backend.handler = echo
    client = loop.client(proxy(backend, shards=1))
    warm_up = client.call(payload=b"")
    loop.until(lambda: warm_up.is_over, "the first call")
    peer = backend.connections[0]
    peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1})
    peer.flush()
    loop.settle(peer)
    request = client.call(payload=b"through a keyhole")
    loop.until(lambda: request.is_over, "the response")
    assert bytes(request.data) == grpc_message(b"through a keyhole")
    stream = backend.requests()[-1][1]
    assert max(frame.wire_length for frame in peer.frames_of(DataFrame, stream)) == 1


def test_upload_runs_into_a_backend_that_does_not_read(proxy, loop, backend):
    """The stall reaches the client: ringway holds no more than the windows say, and nothing is lost afterwards."""
    backend.auto_window = False
    client = loop.client(proxy(backend, shards=1))
    payload = random.Random(3).randbytes(MEGABYTE)
    body = grpc_message(payload)
    request = client.start_request(body=body)
    peer, stream = backend.await_request()
    loop.until(lambda: len(stream.data) == DEFAULT_WINDOW, "all that the backend's window allows")
    loop.settle(client)
    loop.settle(client)
    taken = len(body) - len(request.pending)
    assert taken <= DEFAULT_WINDOW + DOWNSTREAM_WINDOW, "ringway took more than it may hold"
    assert len(stream.data) == DEFAULT_WINDOW
    peer.auto_window = True
    peer.acknowledge(stream)
    loop.until(lambda: stream.ended, "the rest of the upload")
    assert bytes(stream.data) == body
    peer.respond(stream)
    loop.until(lambda: request.ended, "the response")


def test_download_runs_into_a_client_that_does_not_read(proxy, loop, backend):
    client = loop.client(proxy(backend, shards=1), auto_window=False)
    body = grpc_message(random.Random(4).randbytes(MEGABYTE))
    request = response_to_a_reader(loop, backend, client, body)
    peer, stream = backend.requests()[0]
    loop.until(lambda: len(request.data) == DEFAULT_WINDOW, "all that the client's window allows")
    loop.settle(client)
    loop.settle(peer)
    taken = len(body) - len(stream.pending)
    assert taken <= DEFAULT_WINDOW + UPSTREAM_WINDOW, "ringway took more than it may hold"
    assert len(request.data) == DEFAULT_WINDOW
    client.auto_window = True
    client.acknowledge(request)
    loop.until(lambda: request.ended, "the rest of the download")
    assert bytes(request.data) == body
    assert request.trailer("grpc-status") == "0"


def test_connection_window_is_shared_by_the_streams(proxy, loop, backend):
    """One response eats the connection's window; another goes on as soon as the connection has credit again."""
    client = loop.client(proxy(backend, shards=1), settings={SettingCodes.INITIAL_WINDOW_SIZE: MEGABYTE},
                         auto_window=False)
    big = response_to_a_reader(loop, backend, client, grpc_message(bytes(100_000)))
    loop.until(lambda: len(big.data) == DEFAULT_WINDOW, "the connection's window is used up")
    small = response_to_a_reader(loop, backend, client, grpc_message(b"small"))
    loop.until(lambda: small.headers, "header fields of the second response, which need no credit")
    loop.settle(client)
    assert not small.data
    open_connection_window(client)
    loop.until(lambda: small.ended and big.ended, "both responses")
    assert bytes(small.data) == grpc_message(b"small") and len(big.data) == 100_005


@pytest.mark.parametrize("seed", [1, 2])
def test_interleaved_streams_both_ways(proxy, loop, backend, seed):
    """Twenty bodies of all sizes at once over one connection, echoed: every byte comes back on its own stream."""
    dice = random.Random(seed)
    backend.handler = echo
    client = loop.client(proxy(backend, shards=1))
    payloads = [dice.randbytes(dice.choice([0, 1, 100, 16_379, 16_384, 70_000, 300_000])) for _ in range(20)]
    requests = [client.call(payload=payload) for payload in payloads]
    loop.until(lambda: all(request.is_over for request in requests), "all responses", limit_s=30)
    for request, payload in zip(requests, payloads):
        assert bytes(request.data) == grpc_message(payload)
        assert request.trailer("grpc-status") == "0"


def test_one_megabyte_both_ways(proxy, loop, backend):
    backend.handler = echo
    client = loop.client(proxy(backend, shards=1))
    payload = random.Random(5).randbytes(MEGABYTE)
    requests = [client.call(payload=payload) for _ in range(3)]
    loop.until(lambda: all(request.is_over for request in requests), "all responses", limit_s=30)
    assert all(bytes(request.data) == grpc_message(payload) for request in requests)


def test_small_call_overtakes_a_large_one(proxy, loop, backend):
    """With credit for all of it, a large response still leaves room for a small one (fair order, not arrival order)."""
    client = loop.client(proxy(backend, shards=1), settings={SettingCodes.INITIAL_WINDOW_SIZE: 32 * MEGABYTE})
    open_connection_window(client, 64 * MEGABYTE)
    large = response_to_a_reader(loop, backend, client, grpc_message(bytes(8 * MEGABYTE)))
    loop.until(lambda: large.data, "the begin of the large response")
    small = response_to_a_reader(loop, backend, client, grpc_message(b"small"))
    loop.until(lambda: small.ended, "the small response")
    assert not large.ended, "the small response waited for the large one"
    loop.until(lambda: large.ended, "the large response", limit_s=30)
    assert len(large.data) == 8 * MEGABYTE + 5


def test_stalled_client_does_not_hold_up_others(proxy, loop, backend):
    """Two clients share the upstream connection; the one that does not read must not stop the other."""
    started = proxy(backend, shards=1)
    stalled = loop.client(started, settings={SettingCodes.INITIAL_WINDOW_SIZE: 0}, auto_window=False)
    held = [response_to_a_reader(loop, backend, stalled, grpc_message(bytes(MEGABYTE))) for _ in range(4)]
    loop.until(lambda: all(request.headers for request in held), "the stalled responses have begun")
    reader = loop.client(started)
    for number in range(20):
        request = response_to_a_reader(loop, backend, reader, grpc_message(bytes(100_000)))
        loop.until(lambda: request.ended, f"response {number} beside the stalled ones")
        assert len(request.data) == 100_005


def test_credit_returns_when_a_stalled_stream_is_cancelled(proxy, loop, backend):
    """Streams that die with bytes in ringway give their credit back: a hundred of them must not dry up the connection."""
    started = proxy(backend, shards=1)
    client = loop.client(started, settings={SettingCodes.INITIAL_WINDOW_SIZE: 0}, auto_window=False)
    for _ in range(60):
        body = grpc_message(bytes(2 * UPSTREAM_WINDOW))
        request = response_to_a_reader(loop, backend, client, body)
        peer, stream = backend.requests()[-1]
        loop.until(lambda: request.headers and len(stream.pending) <= UPSTREAM_WINDOW + 5, "all that the window allows")
        client.reset(request)
        loop.until(lambda: stream.reset_code is not None, "the reset at the backend")
    reader = loop.client(started)
    request = response_to_a_reader(loop, backend, reader, grpc_message(bytes(MEGABYTE)))
    loop.until(lambda: request.ended, "a response after many cancelled ones")
    assert len(request.data) == MEGABYTE + 5


def test_client_that_stops_reading_its_socket(proxy, loop, backend):
    """A full socket is not an error: what waits is sent once the client reads again."""
    client = loop.client(proxy(backend, shards=1), settings={SettingCodes.INITIAL_WINDOW_SIZE: 64 * MEGABYTE})
    open_connection_window(client, 128 * MEGABYTE)
    body = grpc_message(random.Random(6).randbytes(8 * MEGABYTE))
    request = response_to_a_reader(loop, backend, client, body)
    client.reads = False
    peer, stream = backend.requests()[0]
    before = -1
    # The socket buffers are full when a PING's time brings no progress at the backend.
    while before != len(stream.pending):
        before = len(stream.pending)
        loop.settle(peer)
    client.reads = True
    loop.until(lambda: request.ended, "the whole response", limit_s=30)
    assert bytes(request.data) == body
