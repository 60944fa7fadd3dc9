"""While a client attacks, others are served as if it attacked somebody else; it gets RST_STREAM, GOAWAY or the end of
its connection, memory does not grow, and log and counters name the limit. hostile.py is the attacker."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

import hostile
from harness import BUILD, E2E, Process

SECONDS = 0.6
# What makes an endpoint end connections again and again shows when the pauses between them have grown.
SECONDS_OF = {"rapid_reset": 2, "later_resets": 2, "window_update_of_zero": 2}
CALLS_PER_SECOND = 100
# The longest that a call may take, and as many as were due in that time may wait for their turn at the end.
STALL_US = 500_000
# Kept at a time for what attackers have sent and are sent.
GROWTH_MIB = 24

DISCARD = """
import selectors, socket
listener = socket.create_server(("127.0.0.1", 0), backlog=128)
print("listening", listener.getsockname()[1], flush=True)
chosen = selectors.DefaultSelector()
chosen.register(listener, selectors.EVENT_READ)
while True:
    for key, _ in chosen.select():
        if key.fileobj is listener:
            chosen.register(listener.accept()[0], selectors.EVENT_READ)
            continue
        try:
            data = key.fileobj.recv(1 << 18)
        except ConnectionError:
            data = b""
        if not data:
            chosen.unregister(key.fileobj)
            key.fileobj.close()
"""

# What the attack is stopped by: a limit with its counter, or a rule of the protocol with its code.
STOPPED_BY = {
    "rapid_reset": "limits.early_resets",
    "later_resets": "limits.early_resets",
    "window_update_of_zero": "limits.early_resets",
    "data_behind_the_end": "limits.early_resets",
    "priority_of_wrong_length": "limits.early_resets",
    "continuation_flood": "limits.continuations",
    "empty_continuations": "limits.continuations",
    "block_without_end": "limits.header_timeout",
    "hpack_bomb": "limits.header_list",
    "hpack_bomb_below_limits": "limits.connection_headers",
    "trailer_bomb": "limits.connection_headers",
    "credential_bomb": "limits.header_list",
    "many_cheap_fields": "limits.header_fields",
    "large_fields": "limits.field",
    "integer_without_end": "COMPRESSION_ERROR",
    "table_churn": "limits.settings",
    "no_window": "limits.stall_timeout",
    "dripped_window": "limits.stall_timeout",
    "ping_flood": "limits.pings",
    "ping_flood_with_a_call": "limits.replies",
    "settings_flood": "limits.settings",
    "many_settings": "limits.settings_entries",
    "priority_flood": "limits.priorities",
    "empty_data": "limits.empty_frames",
    "data_in_octets": "limits.small_data",
    "window_overflow": "FLOW_CONTROL_ERROR",
    "overshoot": "limits.streams",
    "half_a_preface": "limits.preface_timeout",
    "smuggled_lines": "limits.early_resets",
    "path_without_slash": "limits.early_resets",
    "trailers_without_end": "limits.early_resets",
    "unknown_frames": "limits.glitches",
    "late_empty_data": "limits.empty_frames",
    "late_octets": "limits.small_data",
    "late_data": "limits.glitches",
    "late_headers": "limits.glitches",
    "late_bombs": "limits.glitches",
}


@pytest.fixture
def echo():
    with_echo = Process([str(BUILD / "ringway-echo"), "--listen", "127.0.0.1:0"])
    try:
        yield with_echo.await_line(with_echo.stderr, r"listening on (\S+),").group(1)
    finally:
        with_echo.kill()


@pytest.fixture
def discard():
    server = Process([sys.executable, "-c", DISCARD])
    try:
        yield int(server.await_line(server.stdout, r"^listening (\d+)$").group(1))
    finally:
        server.kill()


def begin_load(address, seconds, *arguments, path="/a.B/C"):
    return subprocess.Popen([str(BUILD / "ringway-load"), "--target", address, "--path", path, "--json", "--streams",
                             "1", "--duration", f"{seconds}s", *arguments], stdout=subprocess.PIPE)


def report_of(process):
    output, _ = process.communicate(timeout=30)
    return json.loads(output)


def serve_others(address, attack, port):
    """Calls of clients that mean well while `attack` runs against `port`: two reports, and the attacker's.

    One client makes call after call, as many as it can, of which few show a pause. The calls of the other start on a
    schedule: a pause in which nobody is served shows in the number of those that never do.
    """
    seconds = SECONDS_OF.get(attack, SECONDS)
    attacker = subprocess.Popen([sys.executable, str(E2E / "hostile.py"), attack, str(port), str(seconds)],
                                stdout=subprocess.PIPE)
    loads = [begin_load(address, seconds, "--connections", "1"),
             begin_load(address, seconds, "--connections", "4", "--rate", str(CALLS_PER_SECOND))]
    reports = [report_of(process) for process in [*loads, attacker]]
    assert attacker.returncode == 0
    return reports


def resident_mib(process):
    status = pathlib.Path(f"/proc/{process.child.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024


def test_each_attack_has_its_row():
    assert list(STOPPED_BY) == list(hostile.ATTACKS)


@pytest.mark.parametrize("attack", STOPPED_BY)
def test_attack(proxy, echo, discard, attack):
    config = {"shards": {"count": 1, "cpus": "none"},
              "limits": {"preface_timeout": "200ms", "header_timeout": "200ms", "stall_timeout": "200ms"},
              "listeners": [{"address": "127.0.0.1:0", "routes": [{"cluster": "a"}]}],
              "clusters": [{"name": "a", "endpoints": [{"address": echo}]}], "drain": {"timeout": "200ms"}}
    started = proxy(config=config, args=["--stats-at-exit"])
    before_mib = resident_mib(started)
    undisturbed, _, _ = serve_others(started.address, attack, discard)
    disturbed, scheduled, gained = serve_others(started.address, attack, started.port)
    missed = scheduled["errors"].pop("not started in time", 0)
    for report in (disturbed, scheduled):
        assert report["errors"] == {} and report["succeeded"] > 0, report
        assert report["latency_from_send_us"]["max"] < STALL_US, report
    assert disturbed["succeeded"] == disturbed["requests"]
    assert scheduled["succeeded"] == scheduled["requests"] - missed
    assert missed <= CALLS_PER_SECOND * STALL_US / 1e6, scheduled
    # Beyond what a scheduler of two CPUs does to one call in a hundred while four programs run.
    noise_us = 10_000
    assert disturbed["latency_us"]["p99"] <= max(2 * undisturbed["latency_us"]["p99"], noise_us), (undisturbed, disturbed)
    assert resident_mib(started) - before_mib < GROWTH_MIB
    assert gained["resets"] + sum(gained["goaways"].values()) + gained["ends"] > 0, gained
    counters = started.end_with_counters()
    # What the attacker does to its own connection is not done to the one to the endpoint, which all clients share.
    assert not any(f"endpoint {echo}: " in line and "takes its place" not in line for line in started.stderr), \
        started.output()
    assert counters["retries"] == counters["retries_denied"] == counters["connect_failures"] == 0, counters
    stop = STOPPED_BY[attack]
    if stop.startswith("limits."):
        assert counters["limits"][stop] > 0, counters["limits"]
        assert any(f"({stop})" in line for line in started.stderr), started.output()
    else:
        assert gained["goaways"].get(stop, 0) > 0, gained
