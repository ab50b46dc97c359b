"""Filters that begin a recipe are measured while the images are read: each file is opened once, and nothing differs."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from augforge.data.store import Store
from augforge.engine.ahead import looks_ahead
from augforge.engine.rows import Ahead
from augforge.engine.run import run
from augforge.io.folder import Folder
from augforge.recipe import parse_recipe

FIRST = [{"filter": "quality"}, {"filter": "duplicates"}]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Nine pictures of two classes, one of them there twice, one without detail, and a file that is none."""
    rng = np.random.default_rng(0)
    for n in range(9):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize(
            (48, 48), Image.Resampling.BICUBIC
        )
        path = tmp_path / "pictures" / "ab"[n % 2] / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse.save(path)
    (tmp_path / "pictures" / "a" / "again.png").write_bytes((tmp_path / "pictures" / "a" / "0.png").read_bytes())
    Image.new("RGB", (48, 48), (90, 90, 90)).save(tmp_path / "pictures" / "a" / "grey.png")
    (tmp_path / "pictures" / "b" / "none.png").write_bytes(b"no picture")
    return tmp_path / "pictures"


def recipe(pictures: Path, *stages: dict[str, object]):
    return parse_recipe(json.dumps({"name": "ahead", "source": {"folder": str(pictures)}, "stages": list(stages)}))


@pytest.fixture
def reads(monkeypatch) -> Counter[str]:
    """How often each file was read."""
    counted: Counter[str] = Counter()
    plain = Folder.read

    def read(self, locator):
        counted[locator] += 1
        return plain(self, locator)

    monkeypatch.setattr(Folder, "read", read)
    return counted


def test_every_file_is_read_once_before_the_result_is_written(pictures, tmp_path, reads, monkeypatch):
    monkeypatch.setattr("augforge.engine.run.write_result", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(recipe(pictures, *FIRST), tmp_path / "out", max_bad=1)
    close = {"a/0.png", "a/again.png"}  # copies, which may be looked at more closely
    assert {count for name, count in reads.items() if name not in close} == {1} and len(reads) == 12


def test_the_result_is_that_of_measuring_afterwards(pictures, tmp_path, monkeypatch):
    ahead = run(recipe(pictures, *FIRST), tmp_path / "ahead", max_bad=1)
    monkeypatch.setattr("augforge.engine.run.looks_ahead", lambda recipe, store: Ahead())
    after = run(recipe(pictures, *FIRST), tmp_path / "after", max_bad=1)
    tables = [pq.read_table(Path(each.out) / "samples.parquet") for each in (ahead, after)]
    assert tables[0].equals(tables[1]) and ahead.reasons == after.reasons and ahead.dropped >= 3
    counts = [[(row["measured"], row["reused"]) for row in each.work[1:]] for each in (ahead, after)]
    assert counts[0] == counts[1]


def test_what_begins_a_recipe_is_looked_at_and_nothing_after_another_stage(pictures, tmp_path):
    store = Store(tmp_path / "out")
    model = {"filter": "clip", "model": "builtin-clip"}

    def titles(*stages):
        return [look.title for look, _ in looks_ahead(recipe(pictures, *stages), store).looks]

    assert titles(*FIRST) == ["quality", "hash"]
    assert titles({"filter": "quality"}, model, {"filter": "duplicates"}) == ["quality"]
    assert titles(model, *FIRST) == []
    assert titles({"filter": "duplicates", "by": "exact"}, {"filter": "quality"}) == []
    assert titles({"filter": "quality", "on": "synthetic"}, {"filter": "sharpness", "min": 0}) == ["sharpness"]
