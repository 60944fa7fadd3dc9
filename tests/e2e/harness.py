"""Starts what the end-to-end and wire tests run: the ringway binary under test and the gRPC servers behind it.

Every process listens on a free port and says which; nothing here sleeps for a fixed time, it waits for a line of output
or polls for a condition with a bound.
"""

import atexit
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import yaml

E2E = pathlib.Path(__file__).resolve().parent
ROOT = E2E.parent.parent
BUILD = (ROOT / os.environ.get("RINGWAY_BUILD", "build")).resolve()
# A loaded machine with a sanitizer build may need long to start; a healthy one needs milliseconds.
START_LIMIT_S = 30
# Signs of a broken invariant on standard error, whatever the exit code.
REPORT = re.compile(r"Sanitizer|runtime error:|ASSERT|[Aa]ssertion|terminate called|SUMMARY:|pure virtual|corrupt")


def wait_until(condition, what, limit_s=10):
    """Polls until `condition()` is true and returns its value."""
    limit = time.monotonic() + limit_s
    while time.monotonic() < limit:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f"not within {limit_s} s: {what}")


def generate_stubs():
    """Generates the Python stubs into a directory that lives as long as this process, and puts it on the path."""
    directory = tempfile.mkdtemp(prefix="ringway-stubs-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    plugin = shutil.which("grpc_python_plugin")
    subprocess.run(["protoc", f"-I{E2E / 'protos'}", f"--python_out={directory}", f"--grpc_python_out={directory}",
                    f"--plugin=protoc-gen-grpc_python={plugin}", "interop.proto", "pcbook.proto"], check=True)
    sys.path.insert(0, directory)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [directory, os.environ.get("PYTHONPATH")]))


class Process:
    """A child process whose output is read by threads, so that it can never block on a full pipe."""

    def __init__(self, command, environment=None):
        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True, errors="replace",
                                      env={**os.environ, **(environment or {})})
        self.name = " ".join(str(word) for word in command)
        self.stdout = []
        self.stderr = []
        self._changed = threading.Condition()
        self._readers = [threading.Thread(target=self._read, args=pair, daemon=True)
                         for pair in ((self.child.stdout, self.stdout), (self.child.stderr, self.stderr))]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe, lines):
        for line in pipe:
            with self._changed:
                lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def await_line(self, lines, pattern, limit_s=START_LIMIT_S):
        """The match of the first line in `lines` (this process's stdout or stderr) that `pattern` is found in."""
        def found():
            return next((match for match in map(re.compile(pattern).search, lines) if match), None)

        def ended():
            return not any(reader.is_alive() for reader in self._readers)

        limit = time.monotonic() + limit_s
        with self._changed:
            while not found():
                self._changed.wait(0.05)
                if ended() and not found():
                    raise AssertionError(f"{self.name} ended without the line /{pattern}/:\n{self.output()}")
                if time.monotonic() > limit:
                    raise AssertionError(f"{self.name} wrote no line /{pattern}/ in {limit_s} s:\n{self.output()}")
            return found()

    def output(self):
        return "\n".join(self.stdout + self.stderr)

    def wait(self, limit_s):
        """Waits for the end; returns the exit code (negative: the signal)."""
        try:
            code = self.child.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} had not ended after {limit_s} s:\n{self.output()}") from None
        for reader in self._readers:
            reader.join(10)
        return code

    def is_running(self):
        return self.child.poll() is None

    def signal(self, number):
        self.child.send_signal(number)

    def kill(self):
        if self.is_running():
            self.child.kill()
        self.child.wait()


class Ringway(Process):
    """The proxy under test. As a context manager it is stopped by SIGTERM and must end with code 0 and no report.

    `within` is a command that becomes it, as env does.
    """

    def __init__(self, arguments, within=()):
        super().__init__([*within, str(BUILD / "ringway"), *arguments])
        self.expects_clean_end = True
        try:
            ready = self.await_line(self.stderr, r"ringway ready: listening on (.+), (\d+) shards?$")
        except AssertionError:
            self.kill()
            raise
        self.addresses = [address.strip() for address in ready.group(1).split(",")]
        self.shards = int(ready.group(2))

    @property
    def address(self):
        return self.addresses[0]

    @property
    def port(self):
        return int(self.address.rsplit(":", 1)[1])

    def check_end(self, limit_s=20):
        """Waits for the end, which must be an orderly one."""
        code = self.wait(limit_s)
        self.expects_clean_end = False
        assert code == 0, f"ringway ended with code {code}:\n{self.output()}"
        self.check_no_report()

    def end_with_counters(self):
        """Stops it, which was started with --stats-at-exit; returns what it has counted."""
        self.signal(signal.SIGTERM)
        self.check_end()
        return json.loads(self.stdout[-1])

    def check_no_report(self):
        report = [line for line in self.stderr if REPORT.search(line)]
        assert not report, "ringway reported on standard error:\n" + self.output()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if not self.expects_clean_end:
            self.kill()
            return
        if kind is not None:
            # The test has failed already; its own error says more than a second one.
            self.kill()
            return
        self.signal(signal.SIGTERM)
        self.check_end()


def ringway_arguments(upstreams, extra=(), shards=None):
    arguments = ["--listen", "127.0.0.1:0"]
    for upstream in upstreams:
        arguments += ["--upstream", upstream]
    if shards is not None:
        arguments += ["--shards", str(shards)]
    # A test that forgets a stream ends soon; the ones about draining set their own time.
    if "--drain-timeout" not in extra:
        arguments += ["--drain-timeout", "3s"]
    return [*arguments, *extra]


def write_config(directory, config):
    """Writes `config` (the mapping of a configuration file) to a file of its own and returns its path."""
    handle, path = tempfile.mkstemp(suffix=".yaml", dir=directory)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        yaml.safe_dump(config, file, sort_keys=False)
    return path


class GrpcServer(Process):
    """A gRPC server of one of the stacks, serving both test services. `port` 0 takes a free one."""

    COMMANDS = {
        "python": ["/usr/bin/python3", str(E2E / "python" / "server.py")],
        "node": ["node", str(E2E / "node" / "server.js")],
        "cpp": [str(BUILD / "tests" / "e2e" / "cpp" / "e2e_cpp_server")],
    }

    def __init__(self, stack, name, port=0, environment=None):
        super().__init__([*self.COMMANDS[stack], name, str(port)], environment)
        try:
            self.port = int(self.await_line(self.stdout, r"^listening (\d+)$").group(1))
        except AssertionError:
            self.kill()
            raise
        self.address = f"127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
