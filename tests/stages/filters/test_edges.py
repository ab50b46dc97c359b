"""Edges: does a generated image keep those of its parent?"""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from augforge.engine.run import run
from augforge.models import find_model
from augforge.models.edge_maps import GRID, EdgeMaps
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.filter_inputs import FilterInputs, Parents
from augforge.stages.filters.edges import Edges
from tests.conftest import write_images
from tests.test_laws import rows


def drawn(left: int, tone: tuple[int, int, int] = (230, 60, 40), size: int = 96) -> Image.Image:
    """A square on a ground."""
    picture = Image.new("RGB", (size, size), (40, 90, 60))
    ImageDraw.Draw(picture).rectangle((left, size // 4, left + size // 3, size // 2), fill=tone)
    return picture


@pytest.fixture(scope="module")
def maps() -> EdgeMaps:
    return EdgeMaps(find_model("edge-operator", "edges"), "cpu")


def compared(maps: EdgeMaps, images, parents, children, stage: Edges | None = None):
    pictures = maps.embed_images(images)
    theirs = Parents(np.array(children), maps.embed_images(parents), [str(k) for k in children])
    ids = [str(k) for k in range(len(images))]
    gallery = FilterInputs(ids, np.zeros(len(ids), np.int64), ["a"], images=lambda: pictures, parents=lambda: theirs)
    return (stage or Edges()).compare(gallery), gallery


def test_a_map_is_an_image_of_edges_whatever_the_size(maps):
    vectors = maps.embed_images([drawn(30), drawn(30, size=192)])
    assert vectors.shape == (2, GRID * GRID) and vectors.min() >= 0 and vectors.max() <= 1
    cells = vectors[0].reshape(GRID, GRID)
    assert cells[24, 20] > 0.5 > cells[24, 50] and cells[2, 2] < 0.1  # its left side is at 30 of 96 px: cell 20
    assert np.abs(vectors[0] - maps.embed_images([drawn(30)])[0]).max() < 1e-6


def test_other_colours_keep_the_edges_and_another_place_does_not(maps):
    images = [drawn(30, (20, 20, 250)), drawn(50), drawn(30)]
    scores, _ = compared(maps, images, [drawn(30)] * 3, [0, 1, 2])
    for name in Edges.measures:
        recoloured, moved, copied = scores[name]
        assert copied == pytest.approx(1.0) and recoloured > 0.85 and recoloured > moved + 0.1, name


def test_the_parent_that_agrees_best_counts_and_without_one_there_is_no_score(maps):
    scores, gallery = compared(maps, [drawn(30), drawn(50)], [drawn(60), drawn(30)], [0, 0])
    assert scores["edges"][0] == pytest.approx(1.0) and np.isnan(scores["edges"][1])
    assert Edges().explain(gallery, scores["edges"]) == [None, "it has no parent to compare with"]


def test_as_a_stage_it_drops_what_moved(tmp_path):
    source = SourceSpec("folder", str(write_images(tmp_path / "set", {"cat": 3, "dog": 3})))
    made = build_stage("generate", "shifts", {"per-class": 6})
    stage = build_stage("filter", "edges", {"keep": 0.5})
    run(Recipe("x", 1, (source,), (made, stage)), tmp_path / "out")
    judged = {row["id"]: dict(row["scores"]) for row in rows(tmp_path / "out").values() if row["scores"]}
    assert len(judged) >= 6 and all(0 <= scores["edges"] <= 1 for scores in judged.values())
    other = build_stage("filter", "edges", {"by": "edges-ssim", "min": 0.5})
    assert run(Recipe("x", 1, (source,), (made, other)), tmp_path / "out").work[-1]["measured"] == 0
