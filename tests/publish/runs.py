"""A finished run without any model: real and synthetic samples of hostile labels, with masks, splits and captions."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from augforge.engine.run import run
from augforge.recipe import Recipe, SourceSpec, build_stage

LABELS = ("cat", "../../x", "a/b", "<script>alert(1)</script>", "a|b", "train", "Cat", None)
SECRET = "holiday-of-jane-doe"
"""What the source files are called, and the folder that they lie in."""


def picture(seed: int, kind: str = "PNG", size: int = 24) -> bytes:
    """A random picture."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size, size, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def mask(seed: int, size: int = 24) -> bytes:
    """A random label map."""
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 5, (size, size), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def sample_rows(count: int) -> list[dict[str, Any]]:
    """Rows of an augforge dataset: every third one synthetic, of every third of those without parents."""
    rows = []
    for number in range(count):
        synthetic = number % 3 == 2
        kind = "JPEG" if number % 4 == 1 and not synthetic else "PNG"
        rows.append(
            {
                "image": {"bytes": picture(number, kind), "path": None},
                "label": LABELS[number % len(LABELS)],
                "id": f"{number:020x}",
                "origin": "synthetic" if synthetic else "real",
                "weight": 1.0 + number / 100,
                "scores": {"old": float(number)} if synthetic else None,
                "provenance": json.dumps(_provenance(number, synthetic)),
                "split": (None, "train", "validation")[number // 2 % 3],
                "mask": {"bytes": mask(number), "path": None} if number % 5 == 0 else None,
            }
        )
    return rows


def _provenance(number: int, synthetic: bool) -> dict[str, Any]:
    if not synthetic:
        return {"source": f"folder /home/{SECRET}: cat/{SECRET}-{number}.jpg", "note": ""}
    parents = [] if number % 9 == 2 else [{"id": f"{number - 1:020x}", "source": f"x: {SECRET}-{number - 1}.jpg"}]
    return {
        "generator": "img2img", "stage": "1-generate-img2img", "seed": number, "prompt": f"a <b>{number}</b> | photo",
        "model": {"name": f"/models/{SECRET}", "digest": "ab" * 32, "licence": "mit", "revision": None},
        "parents": parents,
    }  # fmt: skip


def make_run(folder: Path, count: int = 40) -> Path:
    """A run folder below `folder`; its source is a Parquet file in a folder that is called SECRET."""
    source = folder / SECRET / "source.parquet"
    source.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(sample_rows(count)), source)
    stage = build_stage("filter", "sharpness", {"keep": 0.9})
    run(Recipe("a <i>run</i>", 3, (SourceSpec("parquet", str(source)),), (stage,)), folder / "run", device="cpu")
    return folder / "run"


def kept_rows(run_folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of the dataset of a run, by their ids, with labels as text and None for what a row has not."""
    from datasets import Image as ImageFeature

    from tests.saved import saved

    data = saved(run_folder)
    for name in ("image", "mask"):
        data = data.cast_column(name, ImageFeature(decode=False))
    names = data.features["label"].names
    return {row["id"]: _plain(row, names) for row in data}


def _plain(row: dict[str, Any], names: list[str]) -> dict[str, Any]:
    label = None if row["label"] is None else names[row["label"]]
    scores = {name: None if math.isnan(value) else value for name, value in row["scores"].items()}
    return {**row, "label": label, "split": row["split"] or None, "scores": scores}
