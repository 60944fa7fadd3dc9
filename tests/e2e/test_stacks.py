"""Every client stack calls every server stack through ringway; each runs the same named cases."""

import os
import subprocess

import pytest

from harness import BUILD, E2E, GrpcServer, Ringway, ringway_arguments

CLIENTS = {
    "python": ["/usr/bin/python3", str(E2E / "python" / "client.py")],
    "node": ["node", str(E2E / "node" / "client.js")],
    "cpp": [str(BUILD / "tests" / "e2e" / "cpp" / "e2e_cpp_client")],
}
SERVERS = ("python", "node", "cpp")
CASES = """
    empty_unary unary large_unary status_codes trailers_only deadline_seen_by_server deadline_exceeded
    cancel_before_response unimplemented_method unimplemented_service concurrent_100 compressed_request
    compressed_response keepalive_pings server_stream client_stream bidi_stream empty_stream large_stream_messages
    half_close early_response status_after_stream deadline_exceeded_on_stream cancel_during_stream cancel_during_upload
    metadata_text metadata_binary metadata_repeated metadata_empty metadata_4k metadata_large metadata_on_streams
    course_login course_laptops
""".split()
RUN_LIMIT_S = 180


def run_client(command, address, environment=None):
    """Runs all cases of a client; returns {case: "" or why it failed}."""
    try:
        run = subprocess.run([*command, address], capture_output=True, text=True, timeout=RUN_LIMIT_S, check=False,
                             env={**os.environ, **(environment or {})})
        output, end = run.stdout, f"exit code {run.returncode}: {run.stderr[-2000:]}"
    except subprocess.TimeoutExpired as expired:
        output, end = (expired.stdout or b"").decode(), f"stopped after {RUN_LIMIT_S} s"
    outcome = dict.fromkeys(CASES, f"the client never reported this case ({end})")
    for line in output.splitlines():
        if line.startswith("ok "):
            outcome[line[3:]] = ""
        elif line.startswith("not ok "):
            name, _, why = line[7:].partition(": ")
            outcome[name] = why or "no reason given"
    return outcome


@pytest.fixture(scope="module", params=[f"{client}-to-{server}" for server in SERVERS for client in CLIENTS])
def outcome(request):
    client, server = request.param.split("-to-")
    with GrpcServer(server, server) as backend, Ringway(ringway_arguments([backend.address])) as proxy:
        yield run_client(CLIENTS[client], proxy.address)


@pytest.mark.parametrize("case", CASES)
def test_case(outcome, case):
    assert not outcome[case], outcome[case]


def test_cases_are_known(outcome):
    assert sorted(outcome) == sorted(CASES)
