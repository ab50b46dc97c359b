"""Each bad file costs exactly its own row, with a reason; the odd but usable ones are kept with a remark."""

from __future__ import annotations

import pytest
from datasets import load_from_disk

from augforge.data import images
from augforge.engine.run import run
from augforge.errors import TooManyBad
from augforge.recipe import Recipe, SourceSpec
from augforge.stages.catalog import stage_class
from tests.bad_inputs import EMPTY_CLASS, write_bad_inputs
from tests.conftest import write_images
from tests.test_laws import rows


def recipe(folder) -> Recipe:
    return Recipe("bad", 0, (SourceSpec("folder", str(folder)),), (stage_class("filter", "sharpness")(keep=1.0),))


@pytest.fixture
def corpus(tmp_path):
    expected = write_bad_inputs(tmp_path / "set")
    good = write_images(tmp_path / "set", {"good": 90})
    assert good.is_dir()
    return tmp_path / "set", expected


def test_each_costs_exactly_its_row(corpus, tmp_path):
    folder, expected = corpus
    summary = run(recipe(folder), tmp_path / "out", max_bad=0.5)
    ledger = {row["source"].partition(": ")[2]: row for row in rows(tmp_path / "out").values()}
    assert len(ledger) == len(expected) + 90
    for name, what in expected.items():
        row = ledger[name]
        assert row["kept"] == what.kept, (name, row["dropped"])
        assert what.says in (row["note"] if what.kept else row["dropped"]), (name, row)
    assert sum(row["kept"] for row in ledger.values()) == summary.kept == 90 + sum(e.kept for e in expected.values())
    data = load_from_disk(str(tmp_path / "out" / "dataset"))
    assert len(data) == summary.kept and all(image.size for image in data["image"])
    assert sum(summary.reasons["source"].values()) == sum(not e.kept for e in expected.values())


def test_a_class_folder_without_images_is_no_class(corpus, tmp_path):
    folder, _ = corpus
    summary = run(recipe(folder), tmp_path / "out", max_bad=0.5)
    assert EMPTY_CLASS not in summary.classes
    assert EMPTY_CLASS not in load_from_disk(str(tmp_path / "out" / "dataset")).features["label"].names


def test_too_many_end_the_run_with_the_ledger_written(corpus, tmp_path):
    folder, expected = corpus
    with pytest.raises(TooManyBad, match="cannot be used") as caught:
        run(recipe(folder), tmp_path / "out", max_bad=0.01)
    assert caught.value.exit_code == 3
    assert len(rows(tmp_path / "out")) == len(expected) + 90
    assert not (tmp_path / "out" / "dataset").exists()


def test_a_thousand_good_and_one_empty_file_give_a_thousand_rows(tmp_path):
    folder = write_images(tmp_path / "set", {"good": 1000}, size=8)
    (folder / "good" / "empty.jpg").write_bytes(b"")
    assert run(recipe(folder), tmp_path / "out").kept == 1000


def test_a_file_that_changes_under_way_is_named_and_not_used(tmp_path, monkeypatch):
    folder = write_images(tmp_path / "set", {"good": 12}, size=8)
    monkeypatch.setattr(images, "digest", _forgetful(images.digest))
    run(recipe(folder), tmp_path / "out")
    dropped = [row["dropped"] for row in rows(tmp_path / "out").values() if not row["kept"]]
    assert dropped == ["it can no longer be read: the file changed while the run was under way, or is damaged"]


def _forgetful(digest):
    """Gives one picture another digest the second time it is asked for, as if the file had been replaced."""
    seen: list[bytes] = []

    def forget(data: bytes) -> str:
        seen.append(data)
        return digest(data + b"changed") if seen.count(data) == 2 and data == seen[0] else digest(data)

    return forget
