"""The commands in README.md and docs/ do what a reader expects when she pastes them.

Each fenced block whose info string is `sh` runs as one script in a network namespace of its own, so that the ports that
the pages name are free. `sh no-test` is for what takes minutes or changes the machine: scripts of scripts/ alone.
"""

import os
import pathlib
import re
import shlex
import subprocess

import pytest

from harness import BUILD, REPORT, ROOT

LIMIT_S = 60
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "src" / "README.md"]

# What the script has around it. serve: starts a server, waits until it listens, and keeps it. serve_and_stop: the same
# for a server that the page starts in the foreground, which then has to end well on SIGTERM.
PRELUDE = r"""
set -euo pipefail
set -m
ip link set lo up
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
await_listener() {
  for _ in $(seq 1000); do
    if ! kill -0 "$1" 2>/dev/null; then wait "$1"; return; fi
    if [ -n "$(ss -Hlntp 2>/dev/null | grep "pid=$1,")" ] || [ -n "$(ss -Hlxp 2>/dev/null | grep "pid=$1,")" ]; then return 0; fi
    sleep 0.02
  done
  echo "nothing listens after: $2" >&2
  return 1
}
serve() { "$@" & await_listener $! "$*"; }
serve_and_stop() { "$@" & local pid=$!; await_listener $pid "$*"; kill -TERM $pid; wait $pid; }
"""

PROGRAM = re.compile(r"^(?:\./)?(?:build/)?(ringway(?:-\w+)?)$")
# Options with which a server's program answers and ends.
ANSWERS = {"--check", "--doctor", "--version", "--help", "-h"}


def blocks():
    for page in PAGES:
        if not page.exists():
            continue
        for match in re.finditer(r"^```sh([^\n]*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            line = page.read_text(encoding="utf-8").count("\n", 0, match.start()) + 1
            yield f"{page.relative_to(ROOT)}:{line}", match.group(1).split(), match.group(2)


BLOCKS = list(blocks())


def commands(text):
    """The block's commands, with continued lines joined."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()


def scripted(command):
    """The command as the test runs it: our programs from the build under test, servers waited for."""
    words = shlex.split(command, comments=True)
    program = PROGRAM.match(words[0])
    if program is None:
        return command
    is_background = words[-1] == "&"
    if is_background:
        words.pop()
    words[0] = str(BUILD / program.group(1))
    is_server = program.group(1) in {"ringway", "ringway-echo", "ringway-relay"} and not any(
        word in ANSWERS or word.startswith("--print-") for word in words)
    quoted = shlex.join(words)
    if not is_server:
        # A shell may be part of the command: a pipe, a redirection.
        return command.replace(shlex.split(command, comments=True)[0], str(BUILD / program.group(1)), 1)
    return f"serve {quoted}" if is_background else f"serve_and_stop {quoted}"


def test_pages_have_commands():
    assert any(not options for _, options, _ in BLOCKS)


@pytest.mark.parametrize("place, options, text", BLOCKS, ids=[place for place, _, _ in BLOCKS])
def test_commands(place, options, text, tmp_path):
    assert options in ([], ["no-test"]), "the info string is `sh` or `sh no-test`"
    if options:
        for command in commands(text):
            program = ROOT / shlex.split(command, comments=True)[0]
            assert program.parent == ROOT / "scripts", f"only scripts/ may go untested: {command}"
            assert os.access(program, os.X_OK), f"{program} cannot be run"
        return
    script = tmp_path / "block.sh"
    script.write_text(PRELUDE + "\n".join(map(scripted, commands(text))) + "\n")
    # Without privileges a user namespace makes the network namespace possible.
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    result = subprocess.run([*unshare, "bash", script], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S,
                            stdin=subprocess.DEVNULL)
    output = result.stdout + result.stderr
    assert result.returncode == 0, f"{place}\n{script.read_text()}\n{output}"
    assert not REPORT.search(output), output


def test_links_lead_somewhere():
    for page in PAGES:
        if page.exists():
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"
