"""The stage `fields`: options of each parameter, what is recorded, and what follows."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import augforge
from augforge.algorithms.fields import FieldSpec, recolour
from augforge.algorithms.geometry import Geometry
from augforge.errors import RecipeError
from augforge.recipe import build_stage
from tests.conftest import write_images
from tests.stages.generators.made import made_by

STILL = dict.fromkeys(("rotate", "scale", "shear", "shift"), 0)
PLAIN = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0)


def test_each_image_is_what_its_row_says(tmp_path):
    rows = made_by("fields", write_images(tmp_path / "set", {"cat": 4, "dog": 2}), tmp_path / "out")
    assert len(rows) == 6
    for row in rows:
        drawn = row["drawn"]
        specs = [FieldSpec(*spec) for spec in drawn["colours"]["fields"]]
        moved = Geometry.from_plain(drawn["geometry"]).apply(row["before"])
        assert (row["pixels"] == recolour(moved, drawn["colours"]["seed"], specs)).all()
        assert (row["pixels"] != row["before"]).any() and 0 < drawn["field-share"] <= 1


@pytest.mark.parametrize("options", [{"severity": 0}, {**STILL, **PLAIN}])
def test_severity_0_and_amplitudes_of_0_leave_every_byte(tmp_path, options):
    rows = made_by("fields", write_images(tmp_path / "set", {"cat": 4}), tmp_path / "out", **options)
    assert rows and all((row["pixels"] == row["before"]).all() for row in rows)


def test_each_parameter_has_its_own_length_and_exponent(tmp_path):
    stage = build_stage("generate", "fields", {"correlation": "0.3,hue=0.1", "exponent": {"hue": 3}, "severity": 0.5})
    _, drawn = stage.draw("cat", None, None, 0, 5)
    specs = {spec[0]: spec[1:] for spec in [*drawn["geometry"][0]["fields"], *drawn["colours"]["fields"]]}
    assert specs["hue"] == [0.015, 0.1, 3.0] and specs["rotate"] == [3.0, 0.3, 6.0]
    for wrong in ("0", "a", "zoom=1", "hue=", "hue=nan", "200"):
        with pytest.raises(RecipeError, match=r"correlation"):
            build_stage("generate", "fields", {"correlation": wrong})
    with pytest.raises(RecipeError, match="over 2"):
        build_stage("generate", "fields", {"exponent": 2})


def test_masks_follow_and_no_class_appears(tmp_path):
    folder = write_images(tmp_path / "set" / "images", {".": 4}, size=48).parent
    (folder / "masks").mkdir()
    labels = np.kron(np.arange(9).reshape(3, 3), np.ones((16, 16))).astype(np.uint8)
    for number in range(4):
        Image.fromarray(labels).save(folder / "masks" / f"{number:04d}.png")
    rows = made_by("fields", folder, tmp_path / "out", reader="segmentation", rotate=15, shift=0.08, **PLAIN)
    assert len(rows) == 4
    for row in rows:
        mask = np.asarray(row["mask"])
        known = Geometry.from_plain(row["drawn"]["geometry"]).apply_label(labels)
        assert (mask == known).all() and set(np.unique(mask)) <= {*range(9), 255}
        undone = augforge.undo(row).label_map(mask)
        assert (undone == labels)[augforge.undo(row).known()].mean() > 0.9


def test_strong_fields_do_not_fold_and_the_row_says_how_much_weaker_they_are(tmp_path):
    source = write_images(tmp_path / "set", {"cat": 2})
    rows = made_by("fields", source, tmp_path / "out", shift=1, correlation="0.1")
    assert all(row["drawn"]["field-share"] < 0.5 for row in rows)
