"""Array jobs without Slurm: its variables are set, and each task is a run of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from augforge.engine.engines.choose import engine_of
from augforge.engine.run import run
from augforge.errors import RecipeError
from augforge.recipe import load_recipe
from tests.conftest import write_images
from tests.test_laws import decisions

ROOT = Path(__file__).parents[3]
RECIPE = """
name: shares
seed: 2
source: {{folder: {source}}}
stages:
  - generate: weather
    kind: fog
    per-class: 9
    processes: 1
  - filter: sharpness
    keep: 0.8
  - filter: duplicates
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    source = write_images(tmp_path / "set", {"cat": 14, "dog": 11})
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(source=source))
    return path


def task(recipe: Path, out: Path, number: int, count: int, first: int = 0) -> subprocess.CompletedProcess[str]:
    """One task of an array job."""
    told = {"ID": number + first, "MIN": first, "COUNT": count}
    given = {**os.environ, "PYTHONPATH": str(ROOT), **{f"SLURM_ARRAY_TASK_{name}": str(n) for name, n in told.items()}}
    command = [sys.executable, "-m", "augforge", "run", str(recipe), "--out", str(out), "--engine", "slurm"]
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=120)


def array(recipe: Path, out: Path, count: int, at_once: bool = True) -> list[str]:
    """What the tasks of an array job say at their end."""
    with ThreadPoolExecutor(count if at_once else 1) as pool:
        done = list(pool.map(lambda number: task(recipe, out, number, count, first=1), range(count)))
    assert all(each.returncode == 0 for each in done), [each.stderr[-400:] for each in done]
    return [each.stderr for each in done]


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [True, False])
def test_array_after_array_makes_all_and_a_plain_run_decides(tmp_path: Path, recipe: Path, at_once: bool) -> None:
    """One array for each work: reading, making, measuring, hashing. The ledger is that of a run in one process."""
    run(load_recipe(recipe), tmp_path / "local", device="cpu")
    for work in ("read", "weather", "sharpness", "hash"):
        said = array(recipe, tmp_path / "out", 3, at_once)
        assert any(f"{work}: task" in text and "has made its share" in text for text in said), (work, said)
        assert not (tmp_path / "out" / "run.json").exists()
    assert all("nothing is left for an array job" in text for text in array(recipe, tmp_path / "out", 2))
    summary = run(load_recipe(recipe), tmp_path / "out", device="cpu")
    assert summary.computed == 0
    assert decisions(tmp_path / "out") == decisions(tmp_path / "local")


def test_a_task_that_never_ran_leaves_its_share_to_the_plain_run(tmp_path: Path, recipe: Path) -> None:
    run(load_recipe(recipe), tmp_path / "local", device="cpu")
    assert task(recipe, tmp_path / "out", 0, 2).returncode == 0
    summary = run(load_recipe(recipe), tmp_path / "out", device="cpu")
    assert 0 < summary.work[0]["read"] < 25
    assert decisions(tmp_path / "out") == decisions(tmp_path / "local")


def test_it_is_for_array_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ID", "MIN", "COUNT"):
        monkeypatch.delenv(f"SLURM_ARRAY_TASK_{name}", raising=False)
    with pytest.raises(RecipeError, match="SLURM_ARRAY_TASK_ID is not set"):
        engine_of("slurm")
    for name, value in (("ID", "7"), ("MIN", "1"), ("COUNT", "3")):
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    with pytest.raises(RecipeError, match="task 7 is none of 3"):
        engine_of("slurm")
