"""Heat maps: where `filter: efficientad` found something odd, in the oddest images."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from augforge.data.store import Store
from augforge.engine.embedding import stored_vectors
from augforge.errors import AugforgeError
from augforge.models import trained_models
from augforge.models.anomaly import POOLED, STRIDE, laid_over
from augforge.recipe import Recipe
from augforge.report.judges import own_models
from augforge.stages.filters.efficientad import EfficientAd

MOST = 96
"""Images of one stage at most, the oddest."""
LONGEST = 64
"""px of the longer side of a drawn map, which the page enlarges."""
RED = (230, 40, 20)


@dataclass(frozen=True, slots=True)
class HeatMap:
    """One image: its `row` of the ledger, its `score`, and a `picture`: a PNG that lies over it, as base64."""

    stage: str
    row: int
    score: float
    picture: str


def heat_maps(folder: Path, recipe: Recipe, rows: pa.Table, hidden: NDArray[np.bool_]) -> list[HeatMap]:
    """The maps of the oddest images of each such filter, from what is stored; nothing is computed by any model.

    Args:
        folder: the run folder.
        recipe: whose filters those are.
        rows: the ledger (n rows).
        hidden: (n,) the images that are never shown.
    """
    found: list[HeatMap] = []
    with trained_models(own_models(folder, recipe)):
        for title, stage in zip(recipe.titles(), recipe.stages, strict=True):
            if isinstance(stage, EfficientAd):
                try:
                    found += _of_stage(folder, title, stage, rows, hidden)
                except AugforgeError:  # its model is no longer there, so that its maps cannot be found
                    continue
    return found


def _of_stage(
    folder: Path, title: str, stage: EfficientAd, rows: pa.Table, hidden: NDArray[np.bool_]
) -> Iterator[HeatMap]:
    vectors = stored_vectors(stage.model, "anomaly", Store(folder))
    measured = pc.cast(pc.map_lookup(rows.column("scores"), stage.measures[0], "first"), pa.float64())
    scores = np.asarray(measured.to_numpy(), dtype=np.float64)
    there = np.flatnonzero(np.isfinite(scores) & ~hidden & (vectors.find(rows.column("digest").to_pylist()) >= 0))
    oddest = there[np.argsort(-scores[there], kind="stable")][:MOST]
    chosen = rows.select(["digest", "width", "height"]).take(pa.array(oddest)).to_pylist()
    maps = vectors.matrix([row["digest"] for row in chosen])
    for row, about, values in zip(oddest.tolist(), chosen, maps, strict=True):
        side = math.isqrt(len(values))
        picture = drawn(values.reshape(side, side), about["width"], about["height"])
        yield HeatMap(title, row, float(scores[row]), base64.b64encode(picture).decode())


def drawn(heat: NDArray[np.float32], width: int, height: int) -> bytes:
    """A PNG of the shape of an image of `width` x `height` px: red, and clear where the pooled map (g, g) is 0."""
    share = LONGEST / max(width, height, 1)
    size = (max(1, round(width * share)), max(1, round(height * share)))
    layer = Image.new("RGBA", size, (*RED, 0))
    layer.putalpha(laid_over(heat, *size, stride=STRIDE * POOLED))
    out = io.BytesIO()
    layer.save(out, "PNG")
    return out.getvalue()
