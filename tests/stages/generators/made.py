"""What a generator makes of a folder of small pictures, to be looked at."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from augforge.engine.run import run
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.saved import saved

Rows = list[dict[str, Any]]


def made_by(name: str, source: Path, out: Path, reader: str = "folder", **options: Any) -> Rows:
    """The rows of the dataset that a generator made, with `drawn`, `pixels`, `before` (of the first parent)."""
    stage = build_stage("generate", name, {key.replace("_", "-"): value for key, value in options.items()})
    run(Recipe(name, 3, (SourceSpec(reader, str(source)),), (stage,)), out, device="cpu", allow_empty=True)
    rows = list(saved(out))
    pixels = {row["id"]: pixels_of(row["image"]) for row in rows}
    found = [row for row in rows if row["origin"] == "synthetic"]
    for row in found:
        row["drawn"] = json.loads(row["provenance"])
        row["pixels"] = pixels[row["id"]]
        row["before"] = pixels[row["drawn"]["parents"][0]["id"]]
    return found


def ledger(out: Path) -> dict[str, dict[str, Any]]:
    """All rows of the ledger by their ids."""
    return {row["id"]: row for row in pq.read_table(out / "samples.parquet").to_pylist()}


def pixels_of(image: Any) -> np.ndarray:
    """The RGB pixels of a cell."""
    if isinstance(image, Mapping):
        image = Image.open(io.BytesIO(image["bytes"]))
    return np.asarray(image.convert("RGB"))
