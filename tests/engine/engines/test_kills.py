"""Workers, machines, drivers and the store killed at random instants: the result is that of a calm local run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.parametrize("options", [["processes"], ["ray"], ["ray", "--bucket"]], ids=" ".join)
def test_what_is_killed_is_made_again(options: list[str]) -> None:
    """`python -m tests.faults.cluster_kills` with more kills is what the figures in docs/scale.md are from."""
    if options[0] == "ray":
        pytest.importorskip("ray")
    command = [sys.executable, "-m", "tests.faults.cluster_kills", "--kills", "6", "--engine", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "RESULT|6|" in done.stdout
