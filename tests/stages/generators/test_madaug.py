"""The difficulty is in every row, the sampler goes by it, and the loop of the page trains."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from augforge.algorithms.curriculum import share_at
from augforge.algorithms.policies import draw_madaug
from augforge.algorithms.policies.spaces import MADAUG
from augforge.data.ids import rng
from augforge.engine.run import run
from augforge.errors import AugforgeError
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.conftest import write_images
from tests.saved import saved

PAGE = Path(__file__).parents[3] / "docs" / "curriculum.md"
NO_LEVEL = {"AutoContrast", "Equalize", "Invert"}
AMOUNT = {"real-to-synthetic": "1:4"}


def made_by(source: Path, out: Path, **options: Any) -> list[dict[str, Any]]:
    stage = build_stage("generate", "madaug", {**AMOUNT, **options})
    run(Recipe("curriculum", 5, (SourceSpec("folder", str(source)),), (stage,)), out, device="cpu")
    return pq.read_table(out / "samples.parquet").to_pylist()


def test_the_difficulty_is_the_mean_strength() -> None:
    drawn = [draw_madaug(rng(seed), (40, 50), 2, 1.0) for seed in range(500)]
    for steps, difficulty in drawn:
        if all(name in ("Brightness", "Rotate", "Identity") for name, _ in steps):
            full = {"Brightness": 0.9, "Rotate": 30.0, "Identity": 1.0}
            assert difficulty == pytest.approx(np.mean([abs(m) / full[name] for name, m in steps]))
    found = np.array([difficulty for _, difficulty in drawn])
    assert found.min() >= 0 and found.max() <= 1 and 0.4 < found.mean() < 0.7
    assert len({name for steps, _ in drawn for name, _ in steps}) == len(MADAUG) == 15
    weak = [draw_madaug(rng(seed), (9, 9), 2, 0.2) for seed in range(200)]
    levels = [difficulty for steps, difficulty in weak if not NO_LEVEL & {name for name, _ in steps}]
    assert levels and max(levels) <= 0.2
    assert draw_madaug(rng(1), (9, 9), 0, 1.0) == ([], 0.0)


def test_every_row_has_its_difficulty_and_the_schedule(tmp_path: Path) -> None:
    rows = made_by(write_images(tmp_path / "set", {"cat": 6, "dog": 5}), tmp_path / "out", **{"warm-up": 12})
    made = [row for row in rows if row["origin"] == "synthetic"]
    assert len(made) == 44
    for row in made:
        assert dict(row["scores"])["difficulty"] == json.loads(row["sampled_params"])["difficulty"]
        assert json.loads(row["generation_config"])["warm-up"] == 12
    assert all(not dict(row["scores"] or ()) for row in rows if row["origin"] == "real")
    difficulties = [row["scores"]["difficulty"] for row in saved(tmp_path / "out") if row["origin"] == "synthetic"]
    assert len(set(difficulties)) > 30 and all(0 <= each <= 1 for each in difficulties)


def test_without_severity_nothing_changes(tmp_path: Path) -> None:
    source = write_images(tmp_path / "set", {"cat": 4})
    made_by(source, tmp_path / "out", severity=0)
    data = saved(tmp_path / "out")
    real = [np.asarray(row["image"].convert("RGB")) for row in data if row["origin"] == "real"]
    for row in data:
        if row["origin"] == "synthetic":
            assert row["scores"]["difficulty"] == 0
            assert any(np.array_equal(np.asarray(row["image"]), each) for each in real)


def test_the_sampler_shows_the_easy_ones_first_and_every_real_one(tmp_path: Path) -> None:
    from augforge.torch import Curriculum

    made_by(write_images(tmp_path / "set", {"cat": 6, "dog": 5}), tmp_path / "out", start=0.1)
    data = saved(tmp_path / "out")
    curriculum = Curriculum(data, seed=3)
    real = {place for place, row in enumerate(data) if row["origin"] == "real"}
    before: set[int] = set()
    for epoch in (0, 5, 20, 150):
        curriculum.set_epoch(epoch)
        shown = list(curriculum)
        assert len(shown) == len(set(shown)) == len(curriculum)
        assert len(shown) == len(real) + round(share_at(epoch, 40, 0.1) * 44)
        assert real <= set(shown) and before <= set(shown)
        before = set(shown)
        assert list(curriculum) == shown != sorted(shown)  # the same order whenever it is asked for
    assert len(before) == len(data)
    hardest = max(before - real, key=lambda place: data[place]["scores"]["difficulty"])
    curriculum.set_epoch(20)
    assert hardest not in set(curriculum)
    curriculum.difficulty = -curriculum.difficulty
    assert hardest in set(curriculum)


def test_a_dataset_without_difficulties_is_refused(tmp_path: Path) -> None:
    from augforge.torch import Curriculum

    source = write_images(tmp_path / "set", {"cat": 3})
    stage = build_stage("generate", "randaugment", {})
    run(Recipe("plain", 5, (SourceSpec("folder", str(source)),), (stage,)), tmp_path / "out", device="cpu")
    with pytest.raises(AugforgeError, match="no row has a difficulty"):
        Curriculum(saved(tmp_path / "out"))


def test_the_loop_of_the_page_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made_by(write_images(tmp_path / "set", {"cat": 10, "dog": 8}), tmp_path / "runs" / "curriculum", start=0.3)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "docs/curriculum.md", "exec"), names)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "epoch 0: 30% of the augmented images, 40 images in all" and len(said) == 3
    difficulty = names["curriculum"].difficulty
    assert np.isnan(difficulty).sum() == 18 and len(list(names["curriculum"])) == len(names["curriculum"])
