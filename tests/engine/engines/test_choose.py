"""The engine that a user names: on the command line, in Python, and in what `augforge status` says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import augforge
from augforge.engine.engines.choose import engine_of
from augforge.engine.engines.local import Local
from augforge.engine.engines.processes import Processes
from augforge.errors import RecipeError
from tests.conftest import write_images

ROOT = Path(__file__).parents[3]


def test_one_worker_is_this_process_and_several_are_processes() -> None:
    assert isinstance(engine_of(), Local) and isinstance(engine_of(workers=1), Local)
    several, named = engine_of(workers=3), engine_of("processes")
    assert isinstance(several, Processes) and several.workers == 3
    assert isinstance(named, Processes) and named.workers >= 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "rya"}, "there is no engine 'rya'"),
        ({"workers": 0}, "0 is no number of workers"),
        ({"name": "ray", "gpus_per_worker": 0.0}, "is no share of a GPU"),
        ({"address": "auto"}, "address is a setting of the engine ray, not of local"),
        ({"name": "processes", "mixed": True}, "mixed is a setting of the engine ray"),
        ({"name": "slurm"}, "SLURM_ARRAY_TASK_ID is not set"),
    ],
)
def test_what_is_no_engine_or_no_setting_of_it_is_refused(given: dict, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        engine_of(**given)
    assert caught.value.hint


def test_a_run_by_processes_is_the_run_of_one_and_says_where_it_ran(tmp_path: Path) -> None:
    source = write_images(tmp_path / "set", {"cat": 14, "dog": 11})
    command = [sys.executable, "-m", "augforge", "filter", "sharpness", str(source), "--keep", "0.5", "--json"]
    for name, options in (("one", []), ("two", ["--workers", "2"])):
        done = subprocess.run(
            [*command, "--out", str(tmp_path / name), *options], cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["work"][0]["read"] == 25
    files = [(tmp_path / name / "samples.parquet").read_bytes() for name in ("one", "two")]
    assert files[0] == files[1]
    assert [augforge.status(tmp_path / name).engine for name in ("one", "two")] == ["local", "processes"]
    again = subprocess.run([*command, "--out", str(tmp_path / "two")], cwd=ROOT, capture_output=True, text=True)
    assert json.loads(again.stdout)["up_to_date"], "the number of workers is in a key"
