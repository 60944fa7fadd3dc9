"""ringway-bench from outside: what a user sees on the terminal, in the JSON file and in the exit code."""

import json
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from tool_certificates import certificates  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("RINGWAY_BUILD", "build")).resolve()
TIME_LIMIT_S = 120


def program(name):
    assert (BUILD / name).is_file(), f"{name} is not in {BUILD}; scripts/build makes it"
    return str(BUILD / name)


def bench(*arguments, env=None):
    return subprocess.run([program("ringway-bench"), *map(str, arguments)], capture_output=True, text=True,
                          timeout=TIME_LIMIT_S, env=env, check=False)


@pytest.fixture
def scenario(tmp_path):
    def write(text, name="scenario.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path
    return write


def small(arms, limits="{}", generators="ringway-load", rounds=2, more=""):
    return (f"name: small\narms: {arms}\ngenerators: [{generators}]\nrounds: {rounds}\n{more}"
            f"shapes:\n  - {{connections: 2, streams: 2, requests: 200, limits: {limits}}}\n")


def test_bad_scenario_is_reported_with_its_place(scenario):
    path = scenario("name: x\narms: [direct, envoy]\nshapes: [{connections: 1, streams: 1, duration: 1s}]\n")
    result = bench(path)
    assert result.returncode == 2
    assert result.stderr.startswith(f"{path}:2:16: arms: 'envoy' is not known (allowed: direct, relay, ringway")
    assert result.stdout == ""


@pytest.mark.parametrize("arguments, expected", [
    (["/nowhere.yaml"], "cannot be read"),
    ([], "a scenario file is needed"),
    (["--rounds", "0", "x.yaml"], "--rounds"),
    (["--only", "nobody", ROOT / "bench/scenarios/quick.yaml"], "has no arm 'nobody' (allowed: direct, relay"),
])
def test_bad_flags_exit_with_2(arguments, expected):
    result = bench(*arguments)
    assert result.returncode == 2
    assert expected in result.stderr


@pytest.mark.parametrize("generator", ["ringway-load", "h2load"])
def test_table_and_json_hold_every_round(scenario, tmp_path, generator):
    result = bench(scenario(small("[direct, relay]", generators=generator)), "--out", tmp_path / "out")
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"2 connections x 2 streams, 32-byte messages, {generator}, closed loop, 2 rounds" in result.stdout
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line.startswith(("direct ", "relay "))}
    assert set(lines) == {"direct", "relay"}
    data = json.loads((tmp_path / "out" / "small.json").read_text())
    (group,) = data["groups"]
    assert [(cell["round"], cell["position"], cell["arm"]) for cell in group["cells"]] == [
        (0, 0, "direct"), (0, 1, "relay"), (1, 0, "relay"), (1, 1, "direct")]
    for cell in group["cells"]:
        assert cell["requests"] == 200
        assert cell["errors"] == {}
        assert cell["rate_achieved"] > 0
        assert cell["latency_us"]["mean"] > 0
        assert (cell["proxy_cpu_s"] > 0) == (cell["arm"] == "relay")
    relay = next(row for row in group["summary"] if row["arm"] == "relay")
    assert relay["added_mean_us"]["rounds"] == 2
    manifest = data["manifest"]
    assert manifest["kernel"].startswith("Linux")
    assert {"ringway-relay", "ringway-echo", generator} <= set(manifest["versions"])
    assert all(manifest["versions"].values())
    assert "--out" in manifest["arguments"]


def test_a_limit_that_fails_is_named_and_exits_with_1(scenario, tmp_path):
    arms = "[relay, {name: twin, kind: relay}]"
    path = scenario(small(arms, limits="{twin: {cpu_vs_relay: 0.001, mean_latency_vs_relay: 1000}}", rounds=6))
    result = bench(path, "--out", tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    (failure,) = [line for line in result.stdout.splitlines() if line.startswith("FAIL")]
    assert "2x2 ringway-load" in failure and "twin" in failure and "cpu_vs_relay" in failure and "limit 0.001" in failure
    assert "limits: 1 hold, 1 fail, 0 not judged" in result.stdout
    data = json.loads((tmp_path / "small.json").read_text())
    assert data["all_limits_hold"] is False
    assert [limit["outcome"] for limit in data["groups"][0]["limits"]] == ["fails", "holds"]


def test_a_proxy_that_is_not_installed_is_skipped_and_said_so(scenario, tmp_path):
    # A PATH that names an sbin folder is taken as it is, so with this one nothing is installed.
    result = bench(scenario(small("[direct, nghttpx]", rounds=1)), env=os.environ | {"PATH": str(tmp_path / "sbin")})
    assert "nghttpx: skipped, nghttpx is not installed (scripts/setup --peers installs it)" in result.stdout
    assert any(line.startswith("direct ") for line in result.stdout.splitlines())


@pytest.mark.parametrize("peer", ["nghttpx", "haproxy", "nginx"])
def test_peers_carry_grpc_calls_without_an_error(scenario, tmp_path, peer):
    result = bench(scenario(small(f"[direct, {peer}]", rounds=1)), "--out", tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    cells = {cell["arm"]: cell for cell in json.loads((tmp_path / "small.json").read_text())["groups"][0]["cells"]}
    if shutil.which(peer, path=os.environ["PATH"] + ":/usr/sbin") is None:
        assert f"{peer}: skipped" in result.stdout
        assert set(cells) == {"direct"}
        return
    cell = cells[peer]
    assert "failure" not in cell, cell
    assert cell["errors"] == {}
    assert cell["requests"] == 200
    assert cell["proxy_cpu_s"] > 0


@pytest.fixture
def certs(certificates, tmp_path):
    """As scripts/make-certs names them."""
    for name, path in {"ca-cert": certificates.ca, "server-cert": certificates.server, "server-key": certificates.server_key}.items():
        shutil.copy(path, tmp_path / f"{name}.pem")
    return tmp_path


@pytest.mark.parametrize("peer", ["nghttpx", "haproxy", "nginx"])
def test_peers_end_tls_with_the_one_cipher(scenario, certs, peer):
    arms = f"[direct, {peer}, {{name: again, kind: {peer}, handshakes: resumed}}]"
    text = small(arms, rounds=1, more="tls: true\n").replace("streams: 2", "streams: 1")
    result = bench(scenario(text), "--out", certs, "--certs", certs)
    assert result.returncode == 0, result.stdout + result.stderr
    cells = {cell["arm"]: cell for cell in json.loads((certs / "small.json").read_text())["groups"][0]["cells"]}
    assert "tls" not in cells["direct"]
    if shutil.which(peer, path=os.environ["PATH"] + ":/usr/sbin") is None:
        assert f"{peer}: skipped" in result.stdout
        return
    for arm, resumed in ((peer, 0), ("again", 200)):
        assert "failure" not in cells[arm], cells[arm]
        assert cells[arm]["errors"] == {}
        assert cells[arm]["tls"]["kind"] == "TLSv1.3 AES-128-GCM X25519"
        assert cells[arm]["tls"]["resumed"] == resumed
    assert cells["again"]["tls"]["handshakes"] == 200
    assert "handshakes per CPU second of the proxy" in result.stdout


def test_a_kernel_without_tls_gives_a_row_without_figures(scenario, certs):
    if "tls" in pathlib.Path("/proc/sys/net/ipv4/tcp_available_ulp").read_text().split():
        expected = None
    else:
        expected = "no figures: this kernel has no TLS (no 'tls' in /proc/sys/net/ipv4/tcp_available_ulp"
    result = bench(scenario(small("[direct, {name: kernel, kind: ringway, tls: true, ktls: rxtx}]", rounds=1)), "--certs", certs)
    row = next(line for line in result.stdout.splitlines() if line.startswith("kernel "))
    assert (expected or "kernel") in row


def test_missing_certificates_are_named(scenario, tmp_path):
    result = bench(scenario(small("[direct, {kind: ringway, tls: true}]", rounds=1)), "--certs", tmp_path / "nowhere")
    assert result.returncode == 1
    assert f"{tmp_path}/nowhere/ca-cert.pem cannot be read, which a run with TLS needs" in result.stderr


def test_memory_of_idle_tls_connections(certs):
    result = bench("--memory", "--tls", "--connections", "50", "--only", "nginx", "--certs", certs)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "50 idle downstream connections in TLS" in result.stdout
    row = next(line for line in result.stdout.splitlines() if line.startswith("nginx "))
    assert "skipped" in row or float(row.split()[-1]) > 0


def test_ringway_reports_its_own_counters(scenario, tmp_path):
    result = bench(scenario(small("[relay, ringway]", rounds=1, more="endpoints: 3\n")), "--out", tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    cells = json.loads((tmp_path / "small.json").read_text())["groups"][0]["cells"]
    ringway = next(cell for cell in cells if cell["arm"] == "ringway")
    assert ringway["counters"]["requests"] >= 200
    assert ringway["counters"]["enters"] > 0
    assert ringway["counters"]["sends"] > 0


def test_open_loop_pairs_each_arm_with_direct_at_its_rate(scenario, tmp_path):
    text = ("name: small\narms: [direct, relay]\nrounds: 1\nrates: [20%]\n"
            "shapes: [{connections: 2, streams: 2, duration: 100ms}]\n")
    result = bench(scenario(text), "--out", tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    (group,) = json.loads((tmp_path / "small.json").read_text())["groups"]
    assert group["rate"] == "20%"
    assert sorted(cell["arm"] for cell in group["cells"]) == ["direct", "relay"]
    offered = {cell["generator_command"].split("--rate ")[1].split()[0] for cell in group["cells"]}
    assert len(offered) == 1


def test_an_arm_that_cannot_start_is_shown_and_does_not_stop_the_others(scenario, tmp_path):
    arms = "[relay, {name: broken, kind: relay, arguments: [--no-such-flag]}]"
    result = bench(scenario(small(arms, limits="{broken: {cpu_vs_relay: 1}}")), "--out", tmp_path)
    assert result.returncode == 1
    assert "no figures: ringway-relay: exit code 2" in result.stdout
    assert any(line.startswith("relay ") and "no figures" not in line for line in result.stdout.splitlines())


def children_of(pid):
    """Every process below `pid`."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
        for child in (task / "children").read_text().split():
            found += [int(child), *children_of(child)]
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_everything_that_was_started(scenario, tmp_path, number):
    text = "name: long\narms: [relay]\ngenerators: [h2load]\nshapes: [{connections: 1, streams: 1, duration: 10m}]\n"
    process = subprocess.Popen([program("ringway-bench"), str(scenario(text))], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, env=os.environ | {"TMPDIR": str(tmp_path)})
    assert process.stdout.readline().startswith("long:")  # after this line servers and generators are started
    children = []
    while len(children) < 3:  # the origin, the relay, a generator
        children = children_of(process.pid)
        assert process.poll() is None
    process.send_signal(number)
    _, errors = process.communicate(timeout=TIME_LIMIT_S)
    assert process.returncode == 128 + number
    assert "everything that was started has ended" in errors
    assert not [pid for pid in children if pathlib.Path(f"/proc/{pid}").exists()]
    assert not list(tmp_path.glob("ringway-bench-*"))


def test_memory_is_reported_per_idle_connection():
    result = bench("--memory", "--connections", "300", "--only", "ringway")
    assert result.returncode == 0, result.stdout + result.stderr
    line = next(line for line in result.stdout.splitlines() if line.startswith("ringway "))
    assert 0 <= float(line.split()[3]) <= 6


def test_the_script_lists_the_scenarios_and_refuses_others():
    listed = subprocess.run([ROOT / "scripts/bench", "--list"], capture_output=True, text=True, check=True).stdout
    names = {line.split()[0] for line in listed.splitlines()}
    assert names == {path.stem for path in (ROOT / "bench/scenarios").glob("*.yaml")}
    refused = subprocess.run([ROOT / "scripts/bench", "no-such"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "there is no scenario 'no-such'" in refused.stderr
