"""Whole runs on the device: two processes on one card, and a run that was killed and goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from augforge.engine.run import run
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.conftest import write_images
from tests.faults.killing import Command, digests
from tests.test_laws import decisions, pixels

pytestmark = pytest.mark.gpu
ROOT = Path(__file__).parents[2]
CODE = (
    "import sys; from augforge.data import parts; parts.FLUSH_SECONDS = 0.0; from augforge.cli.app import main; main()"
)


def test_two_processes_on_one_card_make_what_one_makes(tmp_path, tiny_unclip, device):
    folder = write_images(tmp_path / "set", {"cat": 4, "dog": 3})
    options = {"model": str(tiny_unclip), "per-class": 6, "batch": 3, "steps": 2}
    for name, processes in (("one", 1), ("two", 2)):
        stage = build_stage("generate", "augmented-conditioning", {**options, "processes": processes})
        summary = run(Recipe("two", 0, (SourceSpec("folder", str(folder)),), (stage,)), tmp_path / name, device=device)
        assert summary.work[1]["generated"] == 12
    assert sum(1 for _ in (tmp_path / "two").glob("parts/generate-*/*.arrow")) == 4, "one part a batch"
    assert decisions(tmp_path / "one") == decisions(tmp_path / "two")
    one, two = pixels(tmp_path / "one"), pixels(tmp_path / "two")
    assert one.keys() == two.keys() and all((one[i] == two[i]).all() for i in one)


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path, tiny_unclip, device):
    """Killed when the first of six batches is committed; beside a run that nobody disturbs, in fresh processes."""
    pictures = str(write_images(tmp_path / "pictures", {"cat": 8, "dog": 5}))
    made = ("generate", "augmented-conditioning", pictures, "--model", str(tiny_unclip), "--per-class", "12")
    steps = "25" if device == "cuda" else "5"  # so that a batch lasts long enough to be killed in the next one
    command = Command("generate", (*made, "--batch", "4", "--steps", steps, "--device", device))
    whole = started(command, tmp_path / "whole")
    with started(command, tmp_path / "killed") as process:
        while process.poll() is None and not list((tmp_path / "killed").glob("parts/generate-*/*.arrow")):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "it had ended before it could be killed"
    assert started(command, tmp_path / "killed").wait() == whole.wait() == 0
    wanted = digests(tmp_path / "whole", command)
    assert digests(tmp_path / "killed", command) == wanted and len(wanted) > 3


def started(command: Command, out: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", CODE, *command.arguments, "--out", str(out)]
    return subprocess.Popen(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
