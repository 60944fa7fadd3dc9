"""The options of the shards in the whole binary: calls succeed with each, and where it can be seen it has an effect."""

import os
import re
import subprocess

import pytest

from harness import BUILD, wait_until
from tool_fixtures import echo, load, tool  # noqa: F401


@pytest.fixture
def counted(proxy):
    """Runs ringway with options, makes calls through it, ends it, and returns the report of the calls and the counters."""
    def run(upstreams, *options, calls, shards=1, while_running=None):
        started = proxy(*upstreams, args=["--stats-at-exit", *options], shards=shards)
        code, report = load(started, *calls)
        assert (code, report["errors"]) == (0, {}), report
        assert report["succeeded"] == report["requests"]
        if while_running:
            while_running(started)
        counters = started.end_with_counters()
        assert counters["requests"] == counters["responses"] == report["requests"]
        assert (counters["local_replies"], counters["resets"], counters["overflows"]) == (0, 0, 0)
        return report, counters

    return run


def requests(count, connections=1, streams=1, *more):
    return ["--requests", count, "--connections", connections, "--streams", streams, *more]


def test_busy_poll_looks_more_often(counted, echo):
    """A spinning shard takes turns in which nothing has come; a sleeping one takes one for what it was woken for."""
    _, asleep = counted([echo], calls=requests(500))
    _, spinning = counted([echo], "--busy-poll-us", "50", calls=requests(500))
    assert asleep["turns"] < 4 * 500
    assert spinning["turns"] > 2 * asleep["turns"]


def test_busy_poll_ends_when_nothing_comes(counted, echo):
    """The time to spin is over soon after the last call; from then on every thread sleeps in the kernel."""
    def states(started):
        folder = f"/proc/{started.child.pid}/task"
        for task in os.listdir(folder):
            with open(f"{folder}/{task}/stat", encoding="ascii") as stat:
                yield stat.read().rsplit(")", 1)[1].split()[0]

    def expect_sleep(started):
        # A thread that spins is running or wants to run whenever one looks.
        wait_until(lambda: all(state == "S" for state in states(started)), "the shard sleeps")

    counted([echo], "--busy-poll-us", "50", calls=requests(100), while_running=expect_sleep)


def has_feature(name):
    doctor = subprocess.run([str(BUILD / "ringway"), "--doctor"], capture_output=True, text=True, check=True)
    return re.search(rf"^ok +{name} +works", doctor.stdout, re.MULTILINE) is not None


def test_min_wait_gathers(counted, echo):
    """The kernel wakes the shard after that time, not at the first completion: a lone call pays it on both its ways."""
    report, _ = counted([echo], "--min-wait-us", "2000", calls=requests(50))
    if not has_feature("min-wait time-outs"):
        pytest.skip("this kernel has no min-wait time-outs; the calls succeeded without")
    assert report["latency_us"]["p50"] >= 2000


def test_min_wait_with_many_calls(counted, echo):
    """Many calls at once are taken together: fewer turns than calls."""
    _, counters = counted([echo], "--min-wait-us", "200", calls=requests(4000, 16, 16))
    assert counters["turns"] < 4000


def test_napi_does_no_harm(counted, echo):
    """Loopback has no queue to poll, and --doctor says whether the kernel could: the calls are served either way."""
    counted([echo], "--napi-us", "50", calls=requests(500, 4, 4))
    doctor = subprocess.run([str(BUILD / "ringway"), "--doctor"], capture_output=True, text=True, check=True)
    assert re.search(r"^(ok|advice) +NAPI busy poll +(works|no .*--napi-us does nothing here)", doctor.stdout, re.MULTILINE)


@pytest.mark.parametrize("mode", ["balanced", "reuseport"])
def test_both_shards_serve(counted, echo, mode):
    """Each shard that serves has a connection of its own to the endpoint. By hash, that all of 32 connections meet one
    of two shards happens once in 2^31."""
    _, counters = counted([echo], "--accept", mode, calls=requests(2000, 32, 2), shards=2)
    assert counters["shards"] == 2
    assert counters["accepts"] == counters["downstream_connections"] == 32
    assert counters["upstream_connections"] == 2


def test_two_connections_are_enough_for_two_balanced_shards(counted, echo):
    _, counters = counted([echo], "--accept", "balanced", calls=requests(100, 2), shards=2)
    assert counters["upstream_connections"] == 2


def allowed_cpus(started):
    """The CPUs of each thread, the shards' among them."""
    folder = f"/proc/{started.child.pid}/task"
    allowed = []
    for task in os.listdir(folder):
        with open(f"{folder}/{task}/status", encoding="ascii") as status:
            allowed.append(re.search(r"^Cpus_allowed_list:\s*(\S+)$", status.read(), re.MULTILINE).group(1))
    return allowed


def own_cpus():
    with open("/proc/self/status", encoding="ascii") as status:
        return re.search(r"^Cpus_allowed_list:\s*(\S+)$", status.read(), re.MULTILINE).group(1)


def test_cpus_none_pins_nobody(counted, echo):
    def expect_unpinned(started):
        assert set(allowed_cpus(started)) == {own_cpus()}

    counted([echo], "--cpus", "none", calls=requests(200, 4), shards=2, while_running=expect_unpinned)


def test_cpus_pins_each_shard(counted, echo):
    cpus = sorted(os.sched_getaffinity(0))[:2]
    if len(cpus) < 2:
        pytest.skip("one CPU alone")

    def expect_pinned(started):
        allowed = allowed_cpus(started)
        for cpu in cpus:
            assert allowed.count(str(cpu)) == 1

    counted([echo], "--cpus", ",".join(map(str, cpus)), calls=requests(200, 4), shards=2, while_running=expect_pinned)


def test_few_ring_entries(counted, echo):
    """The fewest there may be: a turn that queues more enters the kernel once more, and loses nothing."""
    counted([echo], "--ring-entries", "64", calls=requests(20_000, 200, 4))


@pytest.mark.parametrize("message_bytes", [32, 65536])
def test_few_receive_buffers(counted, echo, message_bytes):
    """The fewest there may be, which a burst or a large message uses up: what is left waits in the sockets."""
    _, counters = counted([echo], "--recv-buffers", "16",
                          calls=requests(2000, 50, 4, "--message-bytes", message_bytes))
    if message_bytes > 16 * 1024:
        assert counters["no_buffers"] > 0
        assert counters["recv_bytes"] > 2 * 2000 * message_bytes


def test_upstream_connections_per_endpoint_and_shard(counted, tool):
    endpoints = [tool("ringway-echo") for _ in range(2)]
    _, counters = counted(endpoints, "--upstream-connections", "2", calls=requests(2000, 8, 4), shards=2)
    assert counters["upstream_connections"] == 2 * 2 * 2


def test_upstream_connections_default_to_one(counted, tool):
    endpoints = [tool("ringway-echo") for _ in range(2)]
    _, counters = counted(endpoints, calls=requests(2000, 8, 4))
    assert counters["upstream_connections"] == 2


def test_more_upstream_connections_where_the_endpoint_grants_few_streams(counted, tool):
    """Calls in flight are more than the endpoint grants a connection: the rest get connections of their own."""
    endpoint = tool("ringway-echo", "--max-streams", "100")
    _, counters = counted([endpoint], calls=requests(2000, 4, 60, "--header", "x-echo-delay-ms:5"))
    assert counters["upstream_connections"] >= 3
    assert counters["retries_denied"] == 0


def test_all_at_once(counted, tool):
    endpoints = [tool("ringway-echo") for _ in range(2)]
    _, counters = counted(endpoints, "--busy-poll-us", "20", "--min-wait-us", "100", "--napi-us", "20", "--accept",
                          "reuseport", "--cpus", "none", "--ring-entries", "64", "--recv-buffers", "16",
                          "--upstream-connections", "2", calls=requests(5000, 32, 8), shards=2)
    assert counters["upstream_connections"] == 8
