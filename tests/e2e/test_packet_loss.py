"""A network that loses packets, on both sides of the proxy: every call succeeds, and nothing is reset.

In a network namespace of its own the kernel drops packets at random, while they come in; TCP sends them again.
"""

import json
import re
import subprocess

import pytest

from harness import BUILD

LIMIT_S = 90

SCRIPT = r"""
set -euo pipefail
ip link set lo up
nft add table ip lossy
nft add chain ip lossy arriving '{ type filter hook input priority 0; }'
nft add rule ip lossy arriving numgen random mod 100 '<' LOSS counter drop
start() {
  exec {out}< <(exec "$@" 2>&1 >"$folder/${1##*/}.out")
  read -r -u "$out" ready
  case "$ready" in *ready:*) ;; *) echo "$ready" >&2; exit 1 ;; esac
}
folder=$1
start BUILD/ringway-echo --listen 127.0.0.1:50051
start BUILD/ringway --config "$folder/config" --shards 1 --stats-at-exit
proxy=$!
BUILD/ringway-load --target 127.0.0.1:8080 --path /a.B/C --connections 4 --streams 1 --requests CALLS --json >"$folder/load"
nft list ruleset >"$folder/rules"
kill -TERM "$proxy"
while kill -0 "$proxy" 2>/dev/null; do read -r -t 0.1 -u "$out" line || true; done
pkill -s 0 ringway-echo || true
"""


# A connect whose first packet is lost takes more than a second: TCP waits that long, then two seconds, then four.
CONFIG = {
    "limits": {"preface_timeout": "1m", "header_timeout": "1m"},
    "listeners": [{"address": "127.0.0.1:8080", "routes": [{"cluster": "far"}]}],
    "clusters": [{"name": "far", "endpoints": [{"address": "127.0.0.1:50051"}], "connections": {"connect_timeout": "1m"}}],
}


# Some four packets a call: dozens are lost.
@pytest.mark.parametrize("percent, calls", [(1, 1500), (5, 400)])
def test_calls_survive_lost_packets(tmp_path, percent, calls):
    script = SCRIPT.replace("LOSS", str(percent)).replace("BUILD", str(BUILD)).replace("CALLS", str(calls))
    (tmp_path / "config").write_text(json.dumps(CONFIG))
    ended = subprocess.run(["unshare", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", script, "bash", str(tmp_path)],
                           capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert ended.returncode == 0, ended.stderr
    load = json.loads((tmp_path / "load").read_text())
    assert load["errors"] == {} and load["succeeded"] == calls
    dropped = int(re.search(r"counter packets (\d+)", (tmp_path / "rules").read_text()).group(1))
    assert dropped > 0, "nothing was lost"
    statistics = json.loads((tmp_path / "ringway.out").read_text())
    assert statistics["resets"] == 0 and statistics["retries"] == 0
    assert statistics["connect_failures"] == 0 and statistics["upstream_connections"] == 1
