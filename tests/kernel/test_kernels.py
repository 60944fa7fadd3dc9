"""ringway on other kernels than this machine's: one of them, or with RINGWAY_KERNELS=all each that it is for."""

import os
import subprocess

import kernels
import pytest
from test_parts import SCRIPT

BUILD = os.environ.get("RINGWAY_BUILD", "build")
CHOSEN = kernels.SERIES if os.environ.get("RINGWAY_KERNELS") == "all" else kernels.SERIES[-1:]


@pytest.mark.parametrize("series", CHOSEN)
def test_kernel(series):
    done = subprocess.run([SCRIPT, "--kernel", series, "--build", BUILD], capture_output=True, text=True, timeout=900, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed (" in done.stdout
