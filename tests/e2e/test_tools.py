"""ringway-load's counts and clocks against ringway-echo, and the command lines of all tools."""

import json
import re
import signal
import socket
import subprocess

import pytest

from harness import BUILD, Process, wait_until
from tool_fixtures import PATH, echo, load, run, tool  # noqa: F401


def test_load_counts_what_it_was_told_to_do(echo):
    code, report = load(echo, "--requests", 5000, "--connections", 7, "--streams", 3, "--threads", 2)
    assert code == 0
    assert (report["requests"], report["succeeded"], report["errors"]) == (5000, 5000, {})
    assert (report["connections"], report["streams"], report["threads"]) == (7, 3, 2)
    assert report["rate_offered"] is None
    assert report["rate_achieved"] == pytest.approx(5000 / report["duration_s"], rel=0.01)
    # 37 bytes of message each way and the frames around them.
    assert report["bytes_sent"] > 5000 * (37 + 18)
    assert report["bytes_received"] > 5000 * (37 + 18)
    latency = report["latency_us"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99.9"] <= latency["max"]
    assert report["latency_us"] == report["latency_from_send_us"]


def test_load_streams_in_bulk(echo):
    code, report = load(echo, "--requests", 4, "--connections", 2, "--stream-messages", 50, "--pipelined", "--message-bytes", 65536)
    assert (code, report["succeeded"]) == (0, 4)
    expected = 4 * 50 * 65541
    assert report["message_bytes_per_s"] * report["duration_s"] == pytest.approx(2 * expected, rel=0.01)
    assert report["bytes_received"] > expected


@pytest.mark.parametrize("headers, kind", [
    (["x-echo-status:5"], "grpc-status 5"),
    (["x-echo-status:13", "x-echo-trailers-only:1"], "grpc-status 13"),
    (["x-echo-reset-code:8"], "reset: CANCEL"),
    (["x-echo-reset-code:7"], "reset: REFUSED_STREAM"),
], ids=["status", "trailers-only", "cancel", "refused"])
def test_load_counts_failures_by_kind(echo, headers, kind):
    arguments = [word for header in headers for word in ("--header", header)]
    code, report = load(echo, "--requests", 30, "--streams", 4, *arguments)
    assert code == 1
    assert report["errors"] == {kind: 30}
    assert (report["requests"], report["succeeded"], report["rate_achieved"]) == (30, 0, 0)


def test_load_says_that_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    code, report = load(address, "--requests", 10, "--connections", 2)
    assert code == 1
    assert report["errors"] == {"connect: connection refused": 2}
    assert report["requests"] == 0


def test_load_open_loop_keeps_the_rate(echo):
    code, report = load(echo, "--rate", 2000, "--duration", "500ms", "--connections", 4, "--streams", 50, "--threads", 2)
    assert code == 0
    assert report["requests"] == pytest.approx(1000, abs=2)
    assert report["rate_offered"] == 2000
    assert report["duration_s"] == pytest.approx(0.5)


def test_load_open_loop_counts_latency_from_the_intended_start(echo):
    # One call at a time, each 50 ms, and 100 wanted in a second: later calls wait for the ones before.
    code, report = load(echo, "--rate", 100, "--requests", 20, "--header", "x-echo-delay-ms:50")
    assert code == 0
    # The last of 20 calls is intended at 190 ms and starts after 19 x 50 ms.
    assert report["latency_us"]["max"] >= 780_000
    assert report["schedule_lag_us"]["max"] >= 730_000
    assert 50_000 <= report["latency_from_send_us"]["p50"] < report["latency_us"]["p50"]
    assert report["waited_for_slot"] >= 15
    assert report["bottleneck"] is False


def test_load_open_loop_counts_calls_that_never_started(echo):
    code, report = load(echo, "--rate", 200, "--duration", "300ms", "--header", "x-echo-delay-ms:150")
    assert code == 1
    assert report["requests"] == 60
    assert report["errors"] == {"not started in time": 60 - report["succeeded"]}
    assert report["succeeded"] <= 3


def test_load_ends_early_and_orderly_on_a_signal(echo):
    process = Process([str(BUILD / "ringway-load"), "--target", echo.address, "--path", PATH, "--duration", "10m", "--json",
                       "--header", "x-echo-delay-ms:1"])

    def descriptors_of_sockets():
        return subprocess.run(["ss", "-Htn", f"dst {echo.address}"], capture_output=True, text=True, check=True).stdout

    wait_until(descriptors_of_sockets, "a connection")
    process.signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert json.loads("\n".join(process.stdout))["errors"] == {}


def test_load_prints_a_table_for_people(echo):
    done = run("ringway-load", "--target", echo.address, "--path", PATH, "--requests", 10)
    assert done.returncode == 0
    assert re.search(r"^10 calls in [\d.]+ s, 10 succeeded, 0 errors$", done.stdout, re.MULTILINE)
    assert "from send" in done.stdout


# The command lines


@pytest.mark.parametrize("name", ["ringway-echo", "ringway-load", "ringway-relay"])
def test_tools_say_version_and_help(name):
    version = run(name, "--version")
    assert version.returncode == 0 and re.fullmatch(rf"{name} \d+\.\d+\.\d+\n", version.stdout)
    usage = run(name, "--help")
    assert usage.returncode == 0 and "--listen" in usage.stdout or "--target" in usage.stdout


LOAD = ["ringway-load", "--target", "127.0.0.1:1", "--path", PATH]


@pytest.mark.parametrize("arguments, complaint", [
    (["ringway-echo"], "--listen is required"),
    (["ringway-echo", "--listen", "127.0.0.1:0", "--threads", "0"], "'0' is not a whole number from 1 to 256"),
    (["ringway-echo", "--listen", "127.0.0.1:0", "--threads", "many"], "'many' is not a whole number from 1 to 256"),
    (["ringway-echo", "--listen", "nowhere.example:80"], "nowhere.example:80"),
    (["ringway-relay", "--listen", "127.0.0.1:0", "--upstream", "x"], "--upstream: 'x'"),
    (["ringway-relay", "--listn", "127.0.0.1:0"], "'--listn' is not an option; allowed are --help, --listen"),
    ([*LOAD, "--requests", "-1"], "'-1' is not a whole number"),
    ([*LOAD, "--duration", "soon"], "'soon' is not a duration such as 250us"),
    ([*LOAD], "one of --requests and --duration"),
    ([*LOAD, "--requests", "1", "--duration", "1s"], "--requests excludes --duration"),
    ([*LOAD, "--requests", "9", "--threads", "2"], "--threads: 2 is more than --connections (1)"),
    ([*LOAD, "--requests", "9", "--header", "Upper: x"], "'Upper: x' is not a lower-case name"),
    (["ringway-load", "--target", "127.0.0.1:1", "--path", "Method", "--requests", "1"], "'Method' is not of the form"),
])
def test_tools_refuse_bad_flags(arguments, complaint):
    done = run(*arguments)
    assert done.returncode == 2
    assert complaint.lower() in done.stderr.lower()
    assert done.stdout == ""


@pytest.mark.parametrize("name, rest", [("ringway-echo", []), ("ringway-relay", ["--upstream", "127.0.0.1:1"])])
def test_tools_say_that_an_address_is_taken(name, rest):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run(name, "--listen", address, *rest)
    assert done.returncode == 1
    assert f"cannot listen on {address}: address already in use" in done.stderr
