"""scripts/soak for a few seconds: that it works, and that what it looks at comes back."""

import subprocess
import sys

from harness import ROOT


def test_a_short_soak():
    run = subprocess.run([sys.executable, str(ROOT / "scripts" / "soak"), "--seconds", "4", "--seed", "7"],
                         capture_output=True, text=True, timeout=90, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "nothing left over" in run.stdout
