"""The stage `edges`: maps to train with are sampled, the one to validate with is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augforge.algorithms.shifts.edges import RULES, edge_map
from augforge.engine.run import run
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.saved import saved


def write_images(folder: Path, counts: dict[str, int]) -> Path:
    """Squares of many greys, which have edges."""
    for label, count in counts.items():
        (folder / label).mkdir(parents=True)
        for number in range(count):
            random = np.random.default_rng([number, len(label)])
            image = np.full((40, 48, 3), 250, np.uint8)
            image[8:30, 10 + number : 34] = random.integers(0, 100, 3)
            image[14:20, 18:26] = random.integers(120, 200, 3)
            Image.fromarray(image).save(folder / label / f"{number}.png")
    return folder


def edges(source: Path, out: Path, **options: Any) -> list[tuple[dict[str, Any], np.ndarray, dict[str, Any]]]:
    """Row, pixels of the parent, and provenance of every map."""
    stage = build_stage("generate", "edges", options)
    run(Recipe("edges", 3, (SourceSpec("folder", str(source)),), (stage,)), out, device="cpu", allow_empty=True)
    rows = {row["id"]: row for row in saved(out)}
    made = [(row, json.loads(row["provenance"])) for row in rows.values() if row["origin"] == "synthetic"]
    return [(row, np.asarray(rows[drawn["parents"][0]["id"]]["image"].convert("RGB")), drawn) for row, drawn in made]


def test_maps_to_train_with_are_what_their_rows_say(tmp_path):
    source = write_images(tmp_path / "set", {"cat": 5, "dog": 5})
    found = edges(source, tmp_path / "out", **{"per-class": 10})
    assert len(found) > 10
    for row, image, drawn in found:
        expected = edge_map(image, drawn["sigma"], drawn["rule"], drawn["low"], drawn["high"])
        assert np.array_equal(np.asarray(row["image"]), expected) and row.get("split") != "validation"
        assert drawn["sigma"] in (0, 1, 2) and drawn["rule"] in RULES and abs(drawn["low"] - 1) <= 0.2
    assert len({(drawn["sigma"], drawn["rule"]) for *_, drawn in found}) > 3


def test_the_map_to_validate_with_is_otsus_and_held_out(tmp_path):
    source = write_images(tmp_path / "set", {"cat": 4})
    found = edges(source, tmp_path / "out", purpose="validation")
    assert {row["split"] for row, *_ in found} == {"validation"}
    for row, image, _ in found:
        assert np.array_equal(np.asarray(row["image"]), edge_map(image))
    again = edges(source, tmp_path / "more", purpose="validation", **{"per-class": 8})
    assert len({np.asarray(row["image"]).tobytes() for row, *_ in again}) == len(found)


@pytest.mark.parametrize("purpose", ["training", "validation"])
def test_severity_0_is_the_image_to_the_byte(tmp_path, purpose):
    source = write_images(tmp_path / "set", {"cat": 3, "dog": 2})
    found = edges(source, tmp_path / "out", severity=0, purpose=purpose)
    assert len(found) == 5
    assert all(np.array_equal(np.asarray(row["image"]), image) for row, image, _ in found)
