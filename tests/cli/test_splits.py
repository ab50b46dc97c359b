"""`augforge split` says how many images of each class are in each split, and what was kept together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from augforge import Run
from tests.cli.test_cli import call
from tests.conftest import write_images


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """Twelve cats and eight dogs; three of the cats are there twice, so that there are 23 images in three groups."""
    folder = write_images(tmp_path / "birds", {"cat": 12, "dog": 8})
    for path in sorted((folder / "cat").glob("*.png"))[:3]:
        shutil.copy(path, path.with_name(f"copy-{path.name}"))
    return folder


def test_counts_and_groups_are_shown_in_the_terminal_and_on_the_cards(birds, tmp_path):
    done = call("split", birds, "--test", "0.25", "--out", tmp_path / "out")
    summary = Run(tmp_path / "out").summary
    totals = {split: sum(counts.values()) for split, counts in summary.splits.items()}
    assert sum(totals.values()) == 23 and list(totals) == ["train", "test"] and summary.splits["test"]["dog"] == 2
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["class", "train", "test"] in lines and ["all", *map(str, totals.values())] in lines
    for name in ("cat", "dog"):
        assert [name, *(str(counts[name]) for counts in summary.splits.values())] in lines
    assert "3 groups of near-duplicates (6 images) were kept together." in done.stdout
    assert summary.together == {"groups": 3, "grouped": 6, "divided": 0}
    call("export", tmp_path / "out", "--to", "folder", "--out", tmp_path / "export")
    for card in (tmp_path / "out" / "README.md", tmp_path / "export" / "README.md"):
        text = card.read_text()
        assert f"| all | {totals['train']} | {totals['test']} |" in text
        assert "3 groups of near-duplicates (6 images) were kept together." in text


def test_as_json_and_again_it_says_the_same(birds, tmp_path):
    words = ("split", birds, "--test", "0.25", "--out", tmp_path / "out", "--json")
    first, again = (json.loads(call(*words).stdout) for _ in range(2))
    assert first["splits"] == again["splits"] and first["together"] == again["together"] and again["up_to_date"]


def test_a_run_without_splits_says_nothing_of_them(birds, tmp_path):
    done = call("filter", "sharpness", birds, "--keep", "1", "--out", tmp_path / "out")
    assert "kept together" not in done.stdout and "## Splits" not in (tmp_path / "out" / "README.md").read_text()


def test_the_flat_form_is_an_option_of_the_command(birds, tmp_path):
    from datasets import Dataset, load_from_disk

    call("split", birds, "--test", "0.25", "--flat", "--out", tmp_path / "out")
    assert isinstance(load_from_disk(str(tmp_path / "out" / "dataset")), Dataset)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"name: x\nsource: {{folder: {birds}}}\nstages:\n  - split: near-duplicates\n")
    call("run", recipe, "--flat", "--out", tmp_path / "run")
    assert isinstance(load_from_disk(str(tmp_path / "run" / "dataset")), Dataset)


def test_many_classes_are_not_all_listed(tmp_path):
    folder = write_images(tmp_path / "many", {f"class-{number:02d}": 1 for number in range(25)})
    done = call("split", folder, "--test", "0.5", "--out", tmp_path / "out")
    assert "class-19" in done.stdout and "class-20" not in done.stdout and "… 5 more classes" in done.stdout


def test_why_unlabelled_images_are_not_divided_is_said(tmp_path):
    loose = write_images(tmp_path / "pictures", {"loose": 5}) / "loose"
    done = call("split", loose, "--test", "0.5", "--out", tmp_path / "out")
    assert "none of the 5 images has a label: all stay in train, as a share of each class is drawn" in done.stderr


def test_what_joins_the_splits_of_the_source_is_said(tmp_path):
    folder = tmp_path / "parted"
    write_images(folder / "train", {"cat": 8, "dog": 8}, seed=1)
    write_images(folder / "test", {"cat": 2, "dog": 3}, seed=2)
    done = call("split", folder, "--test", "0.25", "--out", tmp_path / "out")
    told = "the source has splits already (test 5); of its 16 other images these join: test 4"
    assert told in done.stderr.replace("\n", " ")
    again = call("split", folder / "train", "--test", "0.25", "--out", tmp_path / "plain")
    assert "splits already" not in again.stderr
