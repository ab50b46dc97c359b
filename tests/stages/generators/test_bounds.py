"""How large a picture may become: known answers, and what is made of one that may not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from augforge.engine.run import run
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.generators.bounds import LONGEST, MOST, MOST_AS_IT_IS, too_large, too_long
from tests.conftest import write_images
from tests.test_laws import rows


def test_a_strip_is_too_long_and_a_photo_is_not():
    assert too_long(4, 6000, 227) == "its parent of 4x6000 px is too long: it would become 227x340500 px"
    assert not too_long(6000, 4000, 227) and not too_long(7680, 4320, 8192)


@pytest.mark.parametrize("side", [32, 227, 1024, 8192])
def test_the_bound_is_an_area_or_a_shape(side):
    most = max(MOST // side, LONGEST * side)  # the longest picture whose shorter side is `side`
    assert not too_long(side, most, side) and too_long(side, most + side, side)


def test_a_picture_in_its_own_size():
    assert not too_large(7680, 4320) and "give a size" in too_large(MOST_AS_IT_IS, 2)


def test_only_what_would_be_made_of_the_strip_is_dropped(tmp_path):
    write_images(tmp_path / "in", {"cat": 2})
    strip = np.random.default_rng(0).integers(0, 256, (4000, 4, 3), dtype=np.uint8)
    Image.fromarray(strip).save(tmp_path / "in" / "cat" / "strip.png")
    stage = build_stage("generate", "shifts", {"per-class": 6, "size": 64, "fold": "1"})
    run(Recipe("r", 1, (SourceSpec("folder", str(tmp_path / "in")),), (stage,)), tmp_path / "out")
    ledger = rows(tmp_path / "out")
    for row in ledger.values():
        long = [parent for parent in row["parents"] if ledger[parent]["height"] == 4000]
        assert bool(long) == ("too long" in (row["dropped"] or ""))
    assert sum(row["kept"] for row in ledger.values()) == 3 + 4
