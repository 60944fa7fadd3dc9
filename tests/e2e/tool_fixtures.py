"""Starts the tools for their tests; the test modules take the fixtures from here."""

import contextlib
import json
import signal
import subprocess

import pytest

from harness import BUILD, Process

PATH = "/test.Service/Method"
RUN_LIMIT_S = 60


class Tool(Process):
    """A listening tool. As a context manager it is stopped by SIGTERM and must end with code 0."""

    def __init__(self, name, *arguments, listen="127.0.0.1:0"):
        super().__init__([str(BUILD / name), "--listen", listen, *arguments])
        self.address = self.await_line(self.stderr, rf"^{name} ready: listening on ([0-9.]+:\d+)").group(1)
        self.port = int(self.address.rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.signal(signal.SIGTERM)
        code = self.wait(20)
        assert kind is not None or code == 0, self.output()


@pytest.fixture
def tool():
    """Starts listening tools: tool("ringway-echo", ...)."""
    with contextlib.ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(Tool(*arguments))


@pytest.fixture
def echo(tool):
    return tool("ringway-echo")


def run(name, *arguments):
    return subprocess.run([str(BUILD / name), *map(str, arguments)], capture_output=True, text=True,
                          timeout=RUN_LIMIT_S, check=False)


def load(target, *arguments, path=PATH):
    """Runs ringway-load; returns its exit code and its report."""
    done = run("ringway-load", "--target", getattr(target, "address", target), "--path", path, "--json", *arguments)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def raw_call(open_channel, kind="unary_unary", path=PATH):
    """A method of a channel that takes and gives bytes."""
    return getattr(open_channel, kind)(path, lambda request: request, lambda response: response)
