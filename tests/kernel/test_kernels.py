"""ringway on other kernels than this machine's: one of them, or with RINGWAY_KERNELS=all each that it is for."""

import os
import re
import subprocess

import kernels
import pytest
from test_parts import SCRIPT

BUILD = os.environ.get("RINGWAY_BUILD", "build")
CHOSEN = kernels.SERIES if os.environ.get("RINGWAY_KERNELS") == "all" else kernels.SERIES[-1:]


def run(*options):
    done = subprocess.run([SCRIPT, "--build", BUILD, *options], capture_output=True, text=True, timeout=900, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed (" in done.stdout
    return done.stdout


@pytest.mark.parametrize("series", CHOSEN)
def test_kernel(series):
    run("--kernel", series)


def test_cost():
    """Cleartext costs least; the rest is for the reader."""
    said = run("--cost", "--kernel", kernels.SERIES[-1])
    costs = dict(re.findall(r"^COST (\S+) +(\d+) instructions a call", said, re.MULTILINE))
    assert list(costs) == ["cleartext", "user-space", "kernel-tx", "kernel-rxtx"]
    assert 0 < int(costs["cleartext"]) == min(map(int, costs.values()))
