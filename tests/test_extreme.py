"""A picture of 4x6000 px goes through every stage in bounded memory: it is used, or it has its own reason."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from augforge.stages.catalog import STAGES

SPARE = 2 << 30
"""Bytes that a stage may take beyond what its libraries do."""


@pytest.fixture(scope="module")
def became(tiny_models, tmp_path_factory):
    """What became of the picture, by stage; all in one process, whose imports are paid for once."""
    work = tmp_path_factory.mktemp("extreme")
    task = {"models": tiny_models, "stages": list(STAGES), "size": (4, 6000), "spare": SPARE}
    (work / "task.json").write_text(json.dumps(task))
    done = subprocess.run(
        [sys.executable, "-m", "tests.extreme", str(work)], capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((work / "result.json").read_text())


@pytest.mark.parametrize("stage", STAGES, ids="-".join)
def test_a_strip_goes_through_or_has_its_reason(became, stage):
    found = became["-".join(stage)]
    assert "failed" not in found, found["failed"]
    assert found["rows"] >= 10 and found["seconds"] < 120


def test_shifts_of_the_strip_say_why_there_are_none(became):
    made = became["generate-shifts"]["made"]
    assert made and all("227" in reason for reason in made)
