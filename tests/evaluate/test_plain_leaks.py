"""Leaks among drawings: a copy is one, another drawing of the same shape in other colours is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augforge.data.store import Store
from augforge.engine.ingest import read_sources
from augforge.engine.pixels import Pixels
from augforge.evaluate.heldout import HeldOut
from augforge.evaluate.leaks import find_leaks
from augforge.io import detect, open_source
from augforge.progress import Progress
from tests.algorithms.duplicates.drawings import shape


def drawn(colour: tuple[int, ...], ground: tuple[int, ...]) -> Image.Image:
    """A square, always of one size and at one place."""
    return shape("square", 34, 30, 14, colour, 64, ground)


def leaks(train: Path, test: Path, store: Path) -> list[tuple[str, str]]:
    """The files of `train` and `test` that are taken for the same."""
    sources = [open_source(*detect(str(folder))) for folder in (train, test)]
    kept = Store(store)
    mine, theirs = (read_sources([source], kept, Progress())[0] for source in sources)
    pixels, others = (Pixels([source]) for source in sources)
    rows = theirs.visible()
    held = HeldOut(str(test), theirs, rows, np.zeros(len(rows), dtype=np.int64), others)
    found = find_leaks(mine, mine.visible(), pixels, held, kept, Progress())
    names = mine.column("source"), theirs.column("source")
    return [(names[0][leak.row].split()[-1], names[1][rows[leak.place]].split()[-1]) for leak in found]


def test_only_the_copy_of_a_drawing_leaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hash and grey correlation alone, the wrong variant, red on blue is olive on teal."""
    train, test = tmp_path / "train", tmp_path / "test"
    for folder in (train, test):
        folder.mkdir()
    red, olive = drawn((110, 20, 15), (118, 140, 212)), drawn((68, 68, 15), (125, 175, 190))
    red.save(train / "red.png")
    red.save(test / "copy.jpg", quality=70)
    olive.save(test / "olive.png")
    assert leaks(train, test, tmp_path / "store") == [("red.png", "copy.jpg")]
    monkeypatch.setattr("augforge.evaluate.leaks.DIFFERENT", np.inf)
    assert len(leaks(train, test, tmp_path / "store")) == 2
