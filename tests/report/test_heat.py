"""Heat maps in the report: of the oddest images alone, over the picture, from what is stored."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augforge.engine.run import run
from augforge.recipe import parse_recipe
from augforge.report import write_report
from augforge.report.collect import collect
from augforge.report.heat import drawn
from tests.conftest import write_images
from tests.report.browsing import needs_chromium


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that trains a tiny EfficientAD and filters by it."""
    place = tmp_path_factory.mktemp("heat")
    write_images(place / "set", {"good": 8, "bad": 4})
    train = {"train": "efficientad", "as": "seer", "good": "good", "steps": 6, "size": 64, "width": 12}
    stages = [train, {"filter": "efficientad", "model": "seer", "keep": 0.5}]
    recipe = {"name": "r", "seed": 1, "source": {"folder": str(place / "set")}, "stages": stages}
    run(parse_recipe(json.dumps(recipe)), place / "out")
    return place / "out"


def test_a_map_is_clear_where_nothing_is_odd_and_has_the_shape_of_the_image():
    heat = np.zeros((14, 14), np.float32)
    heat[2, 11] = 9.9
    image = Image.open(io.BytesIO(drawn(heat, 200, 100)))
    assert image.size == (64, 32) and image.mode == "RGBA"
    alpha = np.asarray(image)[..., 3]
    peak = np.unravel_index(alpha.argmax(), alpha.shape)
    side = 14 * 8 + 32  # px that the network sees; a place of the pooled map stands for 8
    middle = [(14.5 + 8 * (place + 0.5)) / side for place in (2, 11)]
    assert abs(peak[0] - 32 * middle[0]) < 1.5 and abs(peak[1] - 64 * middle[1]) < 1.5
    assert alpha[20:].max() == 0 and alpha[:, :5].max() == 0


def test_the_oddest_come_first_and_a_withheld_one_is_not_there(folder, monkeypatch):
    heat = collect(folder).heat
    assert len(heat) == 12 and [one.score for one in heat] == sorted((one.score for one in heat), reverse=True)
    from augforge.report import collect as module

    def withheld(rows):
        flags = np.zeros(len(rows), dtype=bool)
        flags[heat[0].row] = True
        return flags, np.zeros(len(rows), dtype=bool)

    monkeypatch.setattr(module, "withheld", withheld)
    assert heat[0].row not in {one.row for one in collect(folder).heat}


def test_a_map_is_the_stored_one(folder):
    (first, *_) = collect(folder).heat
    picture = Image.open(io.BytesIO(base64.b64decode(first.picture)))
    assert picture.size == (64, 64) and np.asarray(picture)[..., 3].max() > 0


@needs_chromium
def test_the_page_shows_the_image_and_its_map_beside_each_other(folder, opened):
    page = opened(write_report(folder).path)
    first = page.locator("#heat li").first
    assert first.locator("img.heat").count() == 1 and first.locator(".card").count() == 2
    first.locator(".card").last.click()
    assert page.locator("#detail").is_visible()
