"""kill -9 at any instant: the resumed run ends with what an uninterrupted one has."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import pytest

from tests.conftest import write_images
from tests.test_laws import pixels, rows

RECIPE = """
source: {{folder: {pictures}}}
stages:
  - generate: augmented-conditioning
    model: {unclip}
    per-class: 12
    batch: 4
    steps: 2
  - filter: clip
    model: {clip}
    keep: 0.7
  - select: facility-location
    model: {clip}
    share: 0.7
"""


def command(tmp_path, out):
    return [sys.executable, "-m", "augforge.cli", "run", str(tmp_path / "r.yaml"), "--out", str(tmp_path / out)]


def kill_and_resume(tmp_path, tiny_clip, tiny_unclip, kills):
    pictures = write_images(tmp_path / "pictures", {"cat": 8, "dog": 5})
    recipe = RECIPE.format(pictures=pictures, clip=tiny_clip, unclip=tiny_unclip)
    (tmp_path / "r.yaml").write_text(recipe)
    started = time.monotonic()
    subprocess.run(command(tmp_path, "whole"), check=True, capture_output=True)
    length = time.monotonic() - started
    instants = random.Random(0)
    killed = 0
    while killed < kills:
        started = time.monotonic()
        running = subprocess.Popen(command(tmp_path, "killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            running.wait(instants.uniform(0.1, 0.9) * length)
            length = time.monotonic() - started  # it was done before its time: aim earlier
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
            killed += 1
    subprocess.run(command(tmp_path, "killed"), check=True, capture_output=True)
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")
    one, other = pixels(tmp_path / "killed"), pixels(tmp_path / "whole")
    assert one.keys() == other.keys() and all((one[i] == other[i]).all() for i in one)


def test_a_killed_run_goes_on(tmp_path, tiny_clip, tiny_unclip):
    kill_and_resume(tmp_path, tiny_clip, tiny_unclip, kills=1)


@pytest.mark.slow
def test_a_run_killed_again_and_again_goes_on(tmp_path, tiny_clip, tiny_unclip):
    kill_and_resume(tmp_path, tiny_clip, tiny_unclip, kills=10)
