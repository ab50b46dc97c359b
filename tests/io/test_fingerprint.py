"""The fingerprint of a source: the same as long as nothing was touched, another after any change."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from datasets import Dataset, Features, Value
from datasets import Image as ImageFeature

from augforge.engine.run import run
from augforge.io import open_source
from augforge.recipe import parse_recipe
from tests.conftest import write_images


def of(kind: str, value: Path | str, **options: str) -> str:
    return open_source(kind, str(value), **options).fingerprint()


def test_a_folder(pictures: Path) -> None:
    before = of("folder", pictures)
    assert of("folder", pictures) == before
    seen = {before}
    for change in (
        lambda: (pictures / "cat" / "0000.png").write_bytes(b"other"),
        lambda: (pictures / "cat" / "0001.png").unlink(),
        lambda: shutil.copy(pictures / "cat" / "0002.png", pictures / "dog" / "new.png"),
        lambda: (pictures / "cat" / "0002.png").rename(pictures / "cat" / "renamed.png"),
        lambda: (pictures / "empty").mkdir(),
        lambda: os.utime(pictures / "cat" / "0003.png", ns=(1, 1)),
    ):
        change()
        after = of("folder", pictures)
        assert after not in seen
        seen.add(after)


def test_links_that_go_in_circles_or_out_come_to_an_end(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (pictures / "cat" / "round").symlink_to(pictures / "cat")
    (pictures / "cat" / "out").symlink_to(tmp_path / "outside")
    before = of("folder", pictures)
    (tmp_path / "outside" / "a.png").write_bytes(b"x")
    assert of("folder", pictures) == before


def test_options_and_masks_are_part_of_it(tmp_path: Path) -> None:
    write_images(tmp_path / "data" / "train", {"cat": 1})
    write_images(tmp_path / "data" / "val", {"cat": 1})
    masks = write_images(tmp_path / "masks", {"cat": 1})
    kinds = [of("folder", tmp_path / "data", **o) for o in ({}, {"split": "val"}, {"masks": str(masks)})]
    named = of("folder", tmp_path / "data", **{"class": "dog"})
    assert len({*kinds, named}) == 4
    (masks / "cat" / "0000.png").write_bytes(b"other")
    assert of("folder", tmp_path / "data", masks=str(masks)) != kinds[2]


@pytest.mark.parametrize("kind", ["parquet", "dataset"])
def test_tables(kind: str, pictures: Path, tmp_path: Path) -> None:
    def write(count: int) -> Path:
        files = sorted((pictures / "cat").glob("*.png"))[:count]
        rows = {"image": [{"bytes": f.read_bytes(), "path": None} for f in files], "label": ["cat"] * count}
        data = Dataset.from_dict(rows, features=Features({"image": ImageFeature(), "label": Value("string")}))
        place = tmp_path / ("data.parquet" if kind == "parquet" else "data")
        data.to_parquet(str(place)) if kind == "parquet" else data.save_to_disk(str(place))
        return place

    before = of(kind, write(3))
    assert of(kind, tmp_path / ("data.parquet" if kind == "parquet" else "data")) == before
    assert of(kind, write(4)) != before


def test_a_run(pictures: Path, tmp_path: Path) -> None:
    def make(share: float) -> str:
        stage = f"- {{filter: sharpness, keep: {share}}}"
        run(parse_recipe(f"source: {{folder: {pictures}}}\nstages:\n  {stage}\n"), tmp_path / "run")
        return of("run", tmp_path / "run")

    before = make(0.5)
    assert make(0.5) == before and make(0.9) != before


def test_nothing_new_builds_no_ledger_and_something_new_is_seen(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from augforge.engine import run as engine

    recipe = parse_recipe(f"source: {{folder: {pictures}}}\n")
    first = run(recipe, tmp_path / "out")
    with monkeypatch.context() as without:
        without.setattr(engine, "read_sources", lambda *a: pytest.fail("a ledger was built"))
        assert run(recipe, tmp_path / "out").up_to_date
    write_images(pictures, {"extra": 2})
    assert run(recipe, tmp_path / "out").kept == first.kept + 2
