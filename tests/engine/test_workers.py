"""Two processes make what one makes: same ids, same draws, same pixels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from augforge.engine.run import run
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.conftest import trap, write_images
from tests.test_laws import decisions, pixels


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch gives each of several processes one thread, and the number of threads changes low bits: one here, too."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_two_processes_make_what_one_makes(tmp_path, tiny_unclip, monkeypatch):
    monkeypatch.chdir(trap(tmp_path / "present"))
    folder = write_images(tmp_path / "set", {"cat": 4, "dog": 3})
    options = {"model": str(tiny_unclip), "per-class": 5, "batch": 4, "steps": 2}
    for name, processes in (("one", 1), ("two", 2)):
        stage = build_stage("generate", "augmented-conditioning", {**options, "processes": processes})
        recipe = Recipe("workers", 0, (SourceSpec("folder", str(folder)),), (stage,))
        summary = run(recipe, tmp_path / name, device="cpu")
        assert summary.work[1]["generated"] == 10
    assert decisions(tmp_path / "one") == decisions(tmp_path / "two")
    assert sum(1 for _ in (tmp_path / "one").glob("parts/generate-*/*.arrow")) == 1
    assert sum(1 for _ in (tmp_path / "two").glob("parts/generate-*/*.arrow")) == 3, "one part a batch"
    one, two = pixels(tmp_path / "one"), pixels(tmp_path / "two")
    assert one.keys() == two.keys() and all((one[i] == two[i]).all() for i in one)
