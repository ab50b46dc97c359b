"""`select: noisy-labels` in a run: what is judged, what goes, what is listed, and that splits hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from augforge.data.label_errors import NAME, read_label_errors
from augforge.data.ledger import Ledger
from augforge.data.sample import Sample
from augforge.engine.run import run
from augforge.engine.runners.label_errors import SCORE, relatives
from augforge.errors import RecipeError
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.conftest import write_images
from tests.test_laws import rows

PLANTED = {
    f"{wrong}/{number}{right}.png": right
    for wrong, right in (("red", "green"), ("green", "red"))
    for number in range(3)
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Reddish and greenish pictures, three of each in the other folder; and mislabelled test images."""
    folder = write_images(tmp_path / "set" / "train", {"red": 25, "green": 25})
    other = write_images(tmp_path / "other", {"red": 4, "green": 4}, seed=5)
    for place, label in PLANTED.items():
        taken = sorted((other / label).glob("*.png"))[0]
        shutil.move(taken, folder / place)
    for label, wrong in (("red", "green"), ("green", "red")):
        (tmp_path / "set" / "test" / wrong).mkdir(parents=True)
        taken = sorted((other / label).glob("*.png"))[0]
        shutil.move(taken, tmp_path / "set" / "test" / wrong / "t.png")
    return tmp_path / "set"


def ran(source: Path, out: Path, model: str = "builtin-clip", **options: object) -> dict[str, dict]:
    stage = build_stage("select", "noisy-labels", {"model": model, **options})
    run(Recipe("r", 0, (SourceSpec("folder", str(source)),), (stage,)), out)
    return rows(out)


def planted(row: dict) -> bool:
    return row["source"].split(": ")[-1].endswith(tuple(PLANTED))


def test_planted_errors_go_and_are_listed_with_the_right_label(source, tmp_path):
    found = ran(source, tmp_path / "out")
    gone = [row for row in found.values() if not row["kept"]]
    assert len(gone) == 6 and all(map(planted, gone))
    assert {row["dropped"] for row in gone} == {
        "label-quality: labelled red, likely green",
        "label-quality: labelled green, likely red",
    }
    listed = read_label_errors(tmp_path / "out")
    assert {error.id for error in listed} == {row["id"] for row in gone}
    assert all(error.suggested != error.label == found[error.id]["label"] for error in listed)
    assert [error.quality for error in listed] == sorted(error.quality for error in listed)
    assert all(dict(found[error.id]["scores"])[SCORE] == error.quality for error in listed)


def test_test_images_are_neither_judged_nor_learnt_from(source, tmp_path):
    found = ran(source, tmp_path / "out")
    tests = [row for row in found.values() if row["split"] == "test"]
    assert len(tests) == 2 and all(row["kept"] and SCORE not in dict(row["scores"]) for row in tests)
    shutil.rmtree(source / "test")
    alone = ran(source, tmp_path / "alone")
    assert {i: dict(row["scores"])[SCORE] for i, row in alone.items()} == {
        i: dict(row["scores"])[SCORE] for i, row in found.items() if row["split"] == "train"
    }


def test_errors_can_be_kept_and_are_listed_all_the_same(source, tmp_path):
    found = ran(source, tmp_path / "out", **{"keep-errors": True})
    assert all(row["kept"] for row in found.values())
    assert len(read_label_errors(tmp_path / "out")) == 6
    again = ran(source, tmp_path / "out", share=0.8)
    learnt = [row for row in again.values() if row["split"] == "train"]
    assert sum(row["kept"] for row in learnt) == int(0.8 * len(learnt))
    assert not any(row["kept"] for row in learnt if planted(row))


def test_without_errors_there_is_no_list(tmp_path):
    folder = write_images(tmp_path / "set", {"red": 20, "green": 20})
    ran(folder, tmp_path / "out")
    assert not (tmp_path / "out" / NAME).exists() and read_label_errors(tmp_path / "out") == []


def test_a_class_of_one_is_left_alone(tmp_path):
    folder = write_images(tmp_path / "set", {"red": 20, "green": 20, "blue": 1})
    found = ran(folder, tmp_path / "out")
    (lone,) = [row for row in found.values() if row["label"] == "blue"]
    assert lone["kept"] and SCORE not in dict(lone["scores"])


def test_copies_and_descendants_are_relatives():
    ledger = Ledger(["a"])
    made = [
        ("r0", (), "x"),
        ("r1", (), "x"),
        ("r2", (), "y"),
        ("s0", ("r2",), "z"),
        ("s1", ("s0",), "w"),
        ("r3", (), "v"),
    ]
    ledger.extend(Sample(id=i, label="a", parents=parents, digest=digest) for i, parents, digest in made)
    groups = relatives(ledger)
    assert groups[0] == groups[1] and groups[2] == groups[3] == groups[4]
    assert len(np.unique(groups)) == 3


def test_keeping_errors_and_a_budget_exclude_each_other():
    with pytest.raises(RecipeError, match="keep-errors drops nothing"):
        build_stage("select", "noisy-labels", {"keep-errors": True, "share": 0.5})
