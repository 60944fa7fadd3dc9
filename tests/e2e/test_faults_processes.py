"""Faults of whole processes and of the machine: backends that are stopped and killed, descriptors, disk and clock.

The table of all faults is in test_faults.py.
"""

import collections
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

from harness import ROOT, Process, wait_until
from rawh2 import TRAILERS_OK, echo, grpc_message
from test_faults import GIVES_UP, config_for, counters_of, ended, await_log, message_of
from tool_fixtures import PATH, Tool

HERE = pathlib.Path(__file__).resolve().parent


class EchoAt(Tool):
    def __init__(self, address="127.0.0.1:0"):
        super().__init__("ringway-echo", listen=address)


def has_connection(port):
    """Somebody is connected to this port of the loopback interface."""
    rows = pathlib.Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return any(row.split()[1] == f"0100007F:{port:04X}" and row.split()[3] == "01" for row in rows)


def test_restarted_in_turn(proxy):
    """SIGTERM: the backend says GOAWAY and finishes. Three of them, one after the other, twice; no call fails."""
    servers = [EchoAt() for _ in range(3)]
    started = proxy(config=config_for(*[server.address for server in servers]), args=["--stats-at-exit"])
    with subprocess.Popen([sys.executable, HERE / "python" / "load_until_told.py", started.address, PATH],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as calls:
        for number in list(range(3)) * 2:
            wait_until(lambda: all(has_connection(server.port) for server in servers), "every backend is connected")
            address = servers[number].address
            servers[number].signal(signal.SIGTERM)
            assert servers[number].wait(10) == 0
            servers[number] = EchoAt(address)
        report = json.loads(calls.communicate("stop\n", timeout=20)[0])
    for server in servers:
        server.kill()
    assert report["statuses"].keys() == {"0"}, report
    assert report["statuses"]["0"] > 100
    assert counters_of(started)["upstream_connections"] >= 3 + 6


class Recording(Process):
    """A raw backend as a process that can be killed; it writes the name of each call that arrives to a file."""

    def __init__(self, record, port=0):
        super().__init__([sys.executable, str(HERE / "python" / "recording_server.py"), str(record), str(port)])

    def await_ready(self):
        self.port = int(self.await_line(self.stdout, r"^listening (\d+)$").group(1))
        self.address = f"127.0.0.1:{self.port}"
        return self


def test_killed_in_turn(proxy, loop, tmp_path):
    """kill -9 of three backends in turn under 12 calls at a time: those on the killed one fail, none is sent twice."""
    record = tmp_path / "record"
    servers = [server.await_ready() for server in [Recording(record) for _ in range(3)]]
    started = proxy(config=config_for(*[server.address for server in servers]), args=["--stats-at-exit"])
    client = loop.client(started)
    open_calls, outcomes, met = {}, {}, []
    count = 0

    def keep_calling():
        nonlocal count
        for name, request in list(open_calls.items()):
            if request.is_over:
                outcomes[name] = open_calls.pop(name).trailer("grpc-status")
                if outcomes[name] != "0":
                    met.append((name, message_of(request)))
        while len(open_calls) < 12:
            open_calls[f"call-{count}"] = client.call(extra=[("x-call", f"call-{count}")])
            count += 1

    def call_until(condition, what):
        loop.until(lambda: keep_calling() or condition(), what)

    for killed in range(3):
        call_until(lambda: all(has_connection(server.port) for server in servers), "every backend is connected")
        target = len(outcomes) + 60
        call_until(lambda: len(outcomes) >= target, "calls")
        met.clear()
        in_flight = set(open_calls)
        servers[killed].kill()
        target = len(outcomes) + 120
        call_until(lambda: len(outcomes) >= target, "calls after the kill")
        assert len(met) <= 12
        for name, message in met:
            assert outcomes[name] == "14"
            assert message.startswith(f"endpoint {servers[killed].address}: "), message
            assert message.endswith((" before the response", " in the middle of the response")), message
        # A call that began after the loss was noticed has met no dead endpoint: nothing failed in the later half.
        late = {f"call-{number}" for number in range(count - 60, count)}
        assert not late & {name for name, _ in met}
        assert in_flight
        if killed < 2:
            servers[killed] = Recording(record, servers[killed].port).await_ready()
    while open_calls:
        loop.turn(0.02)
        for name, request in list(open_calls.items()):
            if request.is_over:
                outcomes[name] = open_calls.pop(name).trailer("grpc-status")
    assert set(outcomes.values()) <= {"0", "14"}
    arrivals = collections.Counter(record.read_text(encoding="ascii").split())
    assert set(arrivals.values()) == {1}, "a call was sent twice"
    assert all(arrivals[name] for name, status in outcomes.items() if status == "0")
    for server in servers:
        server.kill()


def cpu_ms(process):
    fields = pathlib.Path(f"/proc/{process.child.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def test_out_of_descriptors(proxy, loop, backend):
    """64 descriptors: accepting pauses, what is open goes on, nothing spins; and it resumes when some are free."""
    started = proxy(config=config_for(backend.address), args=["--stats-at-exit"],
                    within=["sh", "-c", "ulimit -n 64 && exec \"$@\"", "sh"])
    client = loop.client(started)
    streaming = client.call(payload=b"streams")
    peer, stream = backend.await_request(complete=True)
    peer.send_headers(stream)
    crowd = [socket.create_connection(("127.0.0.1", started.port)) for _ in range(80)]
    await_log(started, r"48 connections are open: no further clients are accepted until some have gone "
                       r"\(limits.descriptors\)")
    spent_ms, begun = cpu_ms(started), time.monotonic()
    sent = 0
    while time.monotonic() < begun + 0.6:
        peer.send_body(stream, grpc_message(b"on"))
        sent += len(grpc_message(b"on"))
        loop.until(lambda: len(streaming.data) == sent, "the open stream goes on")
        loop.turn(0.02)
    elapsed_ms = (time.monotonic() - begun) * 1000
    assert cpu_ms(started) - spent_ms < elapsed_ms / 4, "it spins"
    for connection in crowd:
        connection.close()
    late = loop.client(started)
    loop.settle(late)
    peer.send_body(stream, b"", trailers=TRAILERS_OK)
    assert ended(loop, streaming).trailer("grpc-status") == "0"
    counters = counters_of(started, client, late)
    assert 5 <= counters["accept_pauses"] <= elapsed_ms / 100 + 10
    assert counters["limits"]["limits.descriptors"] >= 1


def test_log_disk_full(proxy, loop, backend, tmp_path):
    """A file system of 64 KiB: it fills, calls go on, and what found no room is counted."""
    backend.handler = echo
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=10", "tmpfs", str(folder)]
    config = config_for(backend.address, access_log={"path": str(folder / "access.log"), "format": "json"})
    started = proxy(config=config, args=["--stats-at-exit"],
                    within=["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
                            f"{' '.join(mount)} && exec \"$@\"", "sh"])
    client = loop.client(started)
    agent = [("user-agent", "a" * 900)]
    for _ in range(10):
        for request in [client.call(extra=agent) for _ in range(20)]:
            assert ended(loop, request).trailer("grpc-status") == "0"
    await_log(started, "access.log: no space left on device; lines are dropped and counted until it can be written")
    assert ended(loop, client.call()).trailer("grpc-status") == "0"
    assert counters_of(started, client)["access_lines_dropped"] > 0


JUMPING_CLOCK = r"""
#include <time.h>
#include <sys/syscall.h>
#include <unistd.h>
/* CLOCK_REALTIME is an hour ahead and an hour behind in turn. */
int clock_gettime(clockid_t id, struct timespec* time) {
  static int turn;
  const int result = (int)syscall(SYS_clock_gettime, id, time);
  if (id == CLOCK_REALTIME) time->tv_sec += __atomic_fetch_add(&turn, 1, __ATOMIC_RELAXED) % 2 ? 3600 : -3600;
  return result;
}
"""


def test_wall_clock_jumps(proxy, loop, backend, tmp_path):
    """No time-out fires early or late, and the log shows that the clock did jump."""
    source, library = tmp_path / "clock.c", tmp_path / "clock.so"
    source.write_text(JUMPING_CLOCK, encoding="ascii")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    log = tmp_path / "access.log"
    config = config_for(backend.address, access_log={"path": str(log), "format": "json"})
    started = proxy(config=config, within=["env", f"LD_PRELOAD={library}"])
    client = loop.client(started)
    waiting = client.call(extra=[("grpc-timeout", f"{GIVES_UP}m")])
    backend.await_request(complete=True)
    begun = time.monotonic()
    backend.handler = lambda peer, stream: stream.id != 1 and echo(peer, stream)
    for _ in range(10):
        assert ended(loop, client.call(extra=[("grpc-timeout", "5S")])).trailer("grpc-status") == "0"
    assert ended(loop, waiting).trailer("grpc-status") == "4"
    assert time.monotonic() - begun < 5
    wait_until(lambda: len(log.read_text(encoding="utf-8").splitlines()) == 11, "the log")
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert len({line["time"][11:13] for line in lines}) >= 2


def test_wall_clock_is_for_logs_alone():
    """Only lines that people read have it, and the days that are left of a certificate: nothing that decides reads a
    clock that jumps."""
    reads = re.compile(r"\b(wall_ns\(|CLOCK_REALTIME|system_clock|gettimeofday|utc_clock|time\((NULL|nullptr|0|&)|"
                       r"IORING_TIMEOUT_REALTIME)")
    found = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*.[ch]*")
             if reads.search(path.read_text(encoding="utf-8"))}
    assert found == {"base/units.cc", "base/units.h", "control/credentials_watch.cc", "control/error_log.cc",
                     "proxy/log_port.h", "proxy/proxy_response.cc"}
