"""The fault catalogue: what breaks, and what the client sees of it. Cleartext rows; each is shown by the named tests.

| fault | the client sees | shown by |
|---|---|---|
| connect refused | another endpoint serves; without one UNAVAILABLE that names it | test_failures: backend_down, one_of_two_backends_down |
| connect timed out | the same, within connect_timeout | connect_times_out, another_serves_while_a_connect_hangs |
| accepts and says nothing (stopped process) | the same | stopped_before_the_connect; wire test_upstream: mute_backend |
| killed, no response headers yet | UNAVAILABLE, not sent again | test_faults_processes: killed_in_turn; test_failures: backend_killed_while_a_call_waits |
| killed at a message boundary | trailers with UNAVAILABLE | test_failures: backend_ends_between_messages |
| killed inside a message | RST_STREAM(INTERNAL_ERROR), INTERNAL | test_failures: backend_ends_inside_a_message |
| RST_STREAM, each code | the same code; the status that gRPC gives it; never OK | test_failures: reset_*; unit reset_codes |
| REFUSED_STREAM, GOAWAY below the id | success by one further attempt, else UNAVAILABLE | test_failures: refused_stream_*, *_goaway_*; unit retry |
| GOAWAY after each call | success; few connections a second | goaway_storm; unit endpoint_loss: GoawayStorm |
| SIGTERM of each backend in turn | nothing | test_faults_processes: restarted_in_turn |
| kill -9 of each backend in turn | UNAVAILABLE for calls in flight on it, nothing else | test_faults_processes: killed_in_turn |
| hang (SIGSTOP) with grpc-timeout | DEADLINE_EXCEEDED | stopped_with_a_call |
| hang, half-open | UNAVAILABLE that names the PING without answer; another endpoint serves | stopped_process_is_given_up, mute_backend_is_given_up, slow_backend_*; unit liveness: Keepalive |
| HEADERS an octet at a time | UNAVAILABLE that names limits.header_timeout | test_hostile_endpoints: dripped_frame; unit liveness: DrippedFrame |
| slow backend | back-pressure to the client, others unharmed | wire test_flow_control: upload_runs_into_* |
| slow client | back-pressure to the backend, others unharmed | wire test_flow_control: download_runs_into_*, stalled_client_* |
| one stream a connection | success | wire test_upstream: backend_with_one_stream_at_a_time |
| no stream at all | UNAVAILABLE that names it | backend_grants_no_stream |
| wrong SETTINGS, at first or later | UNAVAILABLE; the connection is closed with the code | wrong_settings_* |
| SETTINGS or PING flood | UNAVAILABLE for what is on it; the connection is closed | flood_of_a_backend |
| header list, or a field of it, too large | the call alone ends, never OK | huge_response_headers, huge_trailers, large_response_field |
| endless CONTINUATION | UNAVAILABLE for what is on it; the connection is closed | endless_continuation_of_a_backend |
| client gone | the backend's stream is cancelled | wire test_streams: closed_client_connection_cancels_its_calls |
| out of descriptors | accepting pauses and resumes; open streams go on; no spin | test_faults_processes: out_of_descriptors |
| log disk full | nothing; drops are counted | test_faults_processes: log_disk_full; test_access_log: full_disk_does_not_disturb_calls |
| wall clock jumps | nothing | test_faults_processes: wall_clock_* |
"""

import re
import signal
import socket
import time
from urllib.parse import unquote

import pytest
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

from rawh2 import RESPONSE_HEADERS, TRAILERS_OK, answer_and_go, echo, grpc_message, raw_frame
from tool_fixtures import tool  # noqa: F401

GIVES_UP = 300  # ms: every time-out that a test waits for
PATIENT = 10_000  # ms: those that must not be over on a slow machine either


def config_for(*addresses, connect_timeout=PATIENT, **more):
    """One shard, one listener, one cluster of these endpoints."""
    return {"shards": {"count": 1}, "listeners": [{"address": "127.0.0.1:0", "routes": [{"cluster": "c"}]}],
            "clusters": [{"name": "c", "endpoints": [{"address": address} for address in addresses],
                          "connections": {"connect_timeout": f"{connect_timeout}ms"}}],
            "drain": {"timeout": "3s"}, **more}


def message_of(request):
    return unquote(request.trailer("grpc-message") or "")


def ended(loop, request, what="the end of the call"):
    loop.until(lambda: request.is_over, what)
    return request


def counters_of(started, *clients):
    """Stops ringway, which was started with --stats-at-exit, after these clients have gone."""
    for client in clients:
        client.close()
    return started.end_with_counters()


def await_log(started, pattern):
    """The line that the log thread writes, or is about to."""
    return started.await_line(started.stderr, pattern, 5)


@pytest.fixture
def silent_address():
    """An address whose connects are neither accepted nor refused: the queue of its socket is full."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        queued = []
        while True:
            attempt = socket.socket()
            queued.append(attempt)
            attempt.settimeout(0.1)
            try:
                attempt.connect(full.getsockname())
            except TimeoutError:
                break
        yield f"127.0.0.1:{full.getsockname()[1]}"
        for attempt in queued:
            attempt.close()


def test_connect_times_out(proxy, loop, silent_address):
    client = loop.client(proxy(config=config_for(silent_address, connect_timeout=GIVES_UP)))
    begun = time.monotonic()
    request = ended(loop, client.call())
    assert request.trailer("grpc-status") == "14"
    assert message_of(request) == (f"no endpoint of cluster c can be reached: endpoint {silent_address} did not answer "
                                   f"the connect (connect_timeout {GIVES_UP}ms)")
    assert time.monotonic() - begun >= GIVES_UP / 1000


def test_another_serves_while_a_connect_hangs(proxy, loop, backend, silent_address):
    """The call that waited for the endpoint moves on when it fails; those that come later never wait for it."""
    backend.handler = echo
    client = loop.client(proxy(config=config_for(silent_address, backend.address, connect_timeout=GIVES_UP)))
    for request in [client.call() for _ in range(4)]:
        assert ended(loop, request).trailer("grpc-status") == "0"
    begun = time.monotonic()
    for _ in range(40):
        assert ended(loop, client.call()).trailer("grpc-status") == "0"
    assert time.monotonic() - begun < 20 * GIVES_UP / 1000, "half of them waited for the connect"


@pytest.fixture
def stopped_echo(tool):
    """An echo server that hangs; the kernel still accepts for it."""
    server = tool("ringway-echo")
    server.signal(signal.SIGSTOP)
    yield server
    server.signal(signal.SIGCONT)


def test_stopped_before_the_connect(proxy, loop, stopped_echo):
    started = proxy(config=config_for(stopped_echo.address, connect_timeout=GIVES_UP))
    request = ended(loop, loop.client(started).call())
    assert request.trailer("grpc-status") == "14"
    told = f"endpoint {stopped_echo.address} accepted the connection and said nothing (connect_timeout {GIVES_UP}ms)"
    assert told in message_of(request)
    await_log(started, re.escape(told))


def test_stopped_with_a_call(proxy, loop, tool):
    server = tool("ringway-echo")
    client = loop.client(proxy(config=config_for(server.address)))
    assert ended(loop, client.call()).trailer("grpc-status") == "0"
    server.signal(signal.SIGSTOP)
    request = ended(loop, client.call(extra=[("grpc-timeout", f"{GIVES_UP}m")]))
    server.signal(signal.SIGCONT)
    assert request.trailer("grpc-status") == "4"
    assert ended(loop, client.call()).trailer("grpc-status") == "0"


SILENCE = {"silence": f"{GIVES_UP}ms", "interval": f"{GIVES_UP}ms", "timeout": f"{GIVES_UP}ms"}


def half_open_config(*addresses):
    config = config_for(*addresses, connect_timeout=GIVES_UP)
    config["clusters"][0]["connections"]["keepalive"] = SILENCE
    return config


def check_half_open(started, loop, client, gone_address, begun, waiting):
    """One of `waiting` is on the endpoint that says nothing any more; so it ends, and no later call is sent there."""
    for request in waiting:
        ended(loop, request)
    assert time.monotonic() - begun >= 2 * GIVES_UP / 1000
    lost = [request for request in waiting if request.trailer("grpc-status") != "0"]
    told = f"no answer to a PING within {GIVES_UP}ms (keepalive.timeout)"
    assert [request.trailer("grpc-status") for request in lost] == ["14"]
    assert message_of(lost[0]) == f"endpoint {gone_address}: {told} before the response"
    await_log(started, rf"endpoint {re.escape(gone_address)}: {re.escape(told)} with 1 calls in flight")
    begun = time.monotonic()
    for _ in range(40):
        assert ended(loop, client.call()).trailer("grpc-status") == "0"
    assert time.monotonic() - begun < 10 * GIVES_UP / 1000, "calls waited for the endpoint that is gone"


def test_stopped_process_is_given_up(proxy, loop, backend, tool):
    """The kernel still takes what is sent to it."""
    backend.handler = echo
    server = tool("ringway-echo")
    started = proxy(config=half_open_config(server.address, backend.address))
    client = loop.client(started)
    for _ in range(2):
        assert ended(loop, client.call()).trailer("grpc-status") == "0"
    server.signal(signal.SIGSTOP)
    check_half_open(started, loop, client, server.address, time.monotonic(), [client.call() for _ in range(2)])
    server.signal(signal.SIGCONT)


def test_mute_backend_is_given_up(proxy, loop, backend, tool):
    """It reads, and answers neither calls nor PINGs."""
    server = tool("ringway-echo")
    started = proxy(config=half_open_config(backend.address, server.address))
    client = loop.client(started)
    begun = time.monotonic()
    waiting = [client.call() for _ in range(2)]
    peer, _ = backend.await_request(complete=True)
    peer.hold_pings = True
    backend.is_mute = True
    check_half_open(started, loop, client, backend.address, begun, waiting)
    assert len(peer.pings_received) == 1
    loop.until(lambda: peer.closed, "the end of the connection")


def test_slow_backend_is_not_given_up(proxy, loop, backend):
    """It answers PINGs: however long a call takes, it is not lost."""
    client = loop.client(proxy(config=half_open_config(backend.address)))
    request = client.call()
    peer, stream = backend.await_request(complete=True)
    loop.until(lambda: len(peer.pings_received) == 2, "a second PING")
    assert not request.is_over
    peer.respond(stream)
    assert ended(loop, request).trailer("grpc-status") == "0"


def test_backend_grants_no_stream(proxy, loop, backend):
    backend.settings = {SettingCodes.MAX_CONCURRENT_STREAMS: 0}
    client = loop.client(proxy(config=config_for(backend.address, connect_timeout=GIVES_UP)))
    request = ended(loop, client.call())
    assert request.trailer("grpc-status") == "14"
    assert message_of(request).endswith("accepted the connection and grants no stream (connect_timeout 300ms)")


def settings_frame(identifier, value):
    return raw_frame(4, 0, 0, identifier.to_bytes(2, "big") + value.to_bytes(4, "big"))


WRONG_SETTINGS = {
    "max frame size 0": (settings_frame(5, 0), 1),
    "max frame size beyond 2^24": (settings_frame(5, 1 << 24), 1),
    "initial window beyond 2^31": (settings_frame(4, 1 << 31), 3),
    "settings on a stream": (raw_frame(4, 0, 1), 1),
}


@pytest.mark.parametrize("sent, code", WRONG_SETTINGS.values(), ids=WRONG_SETTINGS.keys())
def test_wrong_settings_at_first(proxy, loop, backend, sent, code):
    backend.is_mute = True
    started = proxy(config=config_for(backend.address))
    request = loop.client(started).call()
    loop.until(lambda: backend.connections, "the connection")
    peer = backend.connections[0]
    peer.send_raw(sent)
    assert ended(loop, request).trailer("grpc-status") == "14"
    assert message_of(request).startswith(f"no endpoint of cluster c can be reached: endpoint {backend.address}")
    loop.until(lambda: peer.closed, "the end of the connection")
    assert [frame.error_code for frame in peer.frames_of(GoAwayFrame)] == [code]
    await_log(started, re.escape(backend.address))


@pytest.mark.parametrize("sent, code", WRONG_SETTINGS.values(), ids=WRONG_SETTINGS.keys())
def test_wrong_settings_later(proxy, loop, backend, sent, code):
    started = proxy(config=config_for(backend.address))
    client = loop.client(started)
    request = client.call()
    peer, _ = backend.await_request(complete=True)
    peer.send_raw(sent)
    assert ended(loop, request).trailer("grpc-status") == "14"
    loop.until(lambda: peer.closed, "the end of the connection")
    assert [frame.error_code for frame in peer.goaways] == [code]
    await_log(started, f"{re.escape(backend.address)}: closed with")
    backend.handler = echo
    assert ended(loop, client.call()).trailer("grpc-status") == "0", "a new connection serves"


FLOODS = {
    "settings": raw_frame(4, 0, 0),
    "ping": raw_frame(6, 0, 0, b"12345678"),
}


@pytest.mark.parametrize("frame", FLOODS.values(), ids=FLOODS.keys())
def test_flood_of_a_backend(proxy, loop, backend, frame):
    """Each frame asks for an answer, and nobody reads them: the connection ends before they fill the memory."""
    started = proxy(config=config_for(backend.address))
    client = loop.client(started)
    request = client.call()
    peer, _ = backend.await_request(complete=True)
    peer.reads = False
    flood = frame * 50_000

    def has_ended():
        # As much as the socket takes; what is over goes with the next pass.
        if not peer.wants_write():
            peer.send_raw(flood)
        return request.is_over

    loop.until(has_ended, "the end of the call")
    assert request.trailer("grpc-status") == "14"
    await_log(started, f"{re.escape(backend.address)}: closed with ENHANCE_YOUR_CALM")
    peer.close()
    backend.handler = echo
    assert ended(loop, client.call()).trailer("grpc-status") == "0"


HUGE = [(f"x-huge-{number}", "v" * 8000) for number in range(10)]


def test_huge_response_headers(proxy, loop, backend):
    """80,000 octets where limits.header_list is 64 KiB."""
    client = loop.client(proxy(config=config_for(backend.address)))
    beside, request = client.call(payload=b"beside"), client.call()
    peer, stream = backend.await_request(2, complete=True)
    peer.send_headers(stream, [*RESPONSE_HEADERS, *HUGE])
    assert ended(loop, request).trailer("grpc-status") in ("8", "13")
    _, other = backend.await_request(1, complete=True)
    peer.respond(other, b"unharmed")
    assert bytes(ended(loop, beside).data) == grpc_message(b"unharmed")


def test_large_response_field(proxy, loop, backend):
    """20,000 octets where limits.field is 16 KiB; the connection to the endpoint stays."""
    started = proxy(config=config_for(backend.address), args=["--stats-at-exit"])
    client = loop.client(started)
    request = client.call()
    peer, stream = backend.await_request(complete=True)
    peer.send_headers(stream, [*RESPONSE_HEADERS, ("x-large", "v" * 20_000)])
    assert ended(loop, request).trailer("grpc-status") == "13"
    assert message_of(request) == (
        f"endpoint {backend.address}: response field 'x-large' of 20039 bytes, limits.field is 16384")
    backend.handler = echo
    assert ended(loop, client.call()).trailer("grpc-status") == "0"
    counters = counters_of(started, client)
    assert counters["limits"]["limits.field"] == 1 and counters["upstream_connections"] == 1


def test_huge_trailers(proxy, loop, backend):
    client = loop.client(proxy(config=config_for(backend.address)))
    beside, request = client.call(payload=b"beside"), client.call()
    peer, stream = backend.await_request(2, complete=True)
    peer.respond(stream, b"pong", trailers=[*TRAILERS_OK, *HUGE])
    ended(loop, request)
    assert request.reset_code is not None or request.trailer("grpc-status") in ("8", "13")
    _, other = backend.await_request(1, complete=True)
    peer.respond(other, b"unharmed")
    assert bytes(ended(loop, beside).data) == grpc_message(b"unharmed")


@pytest.mark.parametrize("is_trailer", [False, True], ids=["headers", "trailers"])
def test_endless_continuation_of_a_backend(proxy, loop, backend, is_trailer):
    started = proxy(config=config_for(backend.address))
    client = loop.client(started)
    request = client.call()
    peer, stream = backend.await_request(complete=True)
    if is_trailer:
        peer.send_headers(stream)
        peer.send_body(stream, grpc_message(b"pong"))
    peer.send_raw(raw_frame(1, int(is_trailer), stream.id) + raw_frame(9, 0, stream.id) * 100)
    assert ended(loop, request).trailer("grpc-status") == "14"
    loop.until(lambda: peer.closed, "the end of the connection")
    assert [frame.error_code for frame in peer.goaways] == [11]
    await_log(started, f"{re.escape(backend.address)}: closed with ENHANCE_YOUR_CALM")


def test_goaway_storm(proxy, loop, backend):
    """A call, GOAWAY, the end: calls succeed at the pace at which connections are made, and these become few."""
    backend.handler = answer_and_go
    started = proxy(config=config_for(backend.address), args=["--stats-at-exit"])
    client = loop.client(started)
    begun = time.monotonic()
    for _ in range(15):
        assert ended(loop, client.call()).trailer("grpc-status") == "0"
    # The twelfth connection and those behind it come after 50, 100, 200 and 400 ms, each a fifth less at least.
    assert time.monotonic() - begun >= 0.8 * 0.75
    assert counters_of(started, client)["upstream_connections"] <= 16
