"""Small images are decoded and measured some at a time, large ones alone; the rows do not depend on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augforge.engine import reading
from augforge.engine.ingest import _entries
from augforge.engine.pixels import Pixels
from augforge.engine.reading import LARGEST_UNIT, UNIT, Reading, unit_size
from augforge.engine.rows import Look
from augforge.io import open_source
from augforge.progress import Progress

SIDES = [64] * 70 + [600] + [64] * 3


@dataclass(frozen=True)
class Seeing(Look):
    """Notes what it sees, and in what order."""

    title: str
    order: list[tuple[str, int]] = field(default_factory=list)

    def see(self, image: Any) -> dict[str, Any]:
        self.order.append((self.title, image.image.width))
        return {"mean": float(np.asarray(image.image).mean())}


@pytest.fixture
def folder(tmp_path):
    for number, side in enumerate(SIDES):
        Image.new("RGB", (side, side), (number, 0, 0)).save(tmp_path / f"{number:03}.png")
    return tmp_path


def made(folder, order):
    source = open_source("folder", str(folder))
    looks = (Seeing("a", order), Seeing("b", order))
    maker = Reading(looks).open(Pixels([source]), "cpu", Progress())
    return maker.load(list(_entries([source]))).rows


def test_each_look_sees_some_images_before_the_next_look_does(folder, monkeypatch):
    order = []
    rows = made(folder, order)
    together = reading.TOGETHER // 64**2
    assert order[:together] == [("a", 64)] * together and order[together : 2 * together] == [("b", 64)] * together
    rest = [64] * (70 - together) + [600]  # the large one ends a group, whatever came before it
    assert order[2 * together : 2 * (together + len(rest))] == [(name, side) for name in "ab" for side in rest]
    alone = []
    monkeypatch.setattr(reading, "TOGETHER", 1)
    assert made(folder, alone) == rows and alone[:4] == [("a", 64), ("b", 64)] * 2


def test_units_grow_with_the_number_of_images_within_bounds():
    assert unit_size(0) == unit_size(UNIT * reading.UNITS) == UNIT
    assert unit_size(700_000) == 700_000 // reading.UNITS > UNIT
    assert unit_size(10**9) == LARGEST_UNIT
