"""Made-up runs of many samples, written straight as Parquet: no stage has run, and there are no pictures."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from augforge.data.schema import ledger_schema, score_maps
from augforge.data.vectors import vectors_folder, write_vectors
from augforge.engine.embedding import vectors_key

BATCH = 50_000
LABELS = [f"class {number:02d}" for number in range(50)]
GENERATOR, FILTER = "1-generate-augmented-conditioning", "2-filter-clip"
MEASURE, CUT = "clip-prompt", 0.27
RECIPE = """
name: many
source: {folder: gone}
stages:
  - generate: augmented-conditioning
    model: builtin-unclip
    per-class: 20
  - filter: clip
    model: builtin-clip
    min: 0.27
"""


def identity(place: int) -> str:
    """The id of a sample."""
    return hashlib.sha1(str(place).encode(), usedforsecurity=False).hexdigest()[:20]


def digest(place: int) -> str:
    """The digest of a picture that never was."""
    return hashlib.sha256(str(place).encode()).hexdigest()


def many(folder: Path, count: int, width: int = 0) -> Path:
    """A run of `count` samples, two fifths of them real; with embeddings of so many numbers."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    schema = ledger_schema(LABELS)
    with pq.ParquetWriter(folder / "samples.parquet", schema) as writer:
        for start in range(0, count, BATCH):
            writer.write_table(_rows(np.arange(start, min(count, start + BATCH)), count, random, schema))
    (folder / "recipe.yaml").write_text(RECIPE)
    if width:
        place = vectors_folder(folder, vectors_key("builtin-clip"))
        place.mkdir(parents=True)
        for start in range(0, count, BATCH):
            stop = min(count, start + BATCH)
            vectors = random.normal(size=(stop - start, width)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            write_vectors(place, "float32", [digest(number) for number in range(start, stop)], vectors)
    return folder


def _rows(places: Any, count: int, random: np.random.Generator, schema: pa.Schema) -> pa.Table:
    size, real = len(places), places < 2 * count // 5
    labels = [LABELS[number] for number in random.exponential(12, size).astype(int).clip(0, 49)]
    scores = np.where(real, np.nan, random.normal(0.3, 0.05, size))
    kept = real | (scores >= CUT)
    parents = random.integers(0, 2 * count // 5, (size, 2)).tolist()
    columns: dict[str, list[Any]] = {
        "id": [identity(place) for place in places.tolist()],
        "label": labels,
        "origin": np.where(real, "real", "synthetic").tolist(),
        "kept": kept.tolist(),
        "dropped": [None if stays else f"{MEASURE}: under {CUT}" for stays in kept.tolist()],
        "parents": [[] if r else [identity(one) for one in pair] for r, pair in zip(real, parents, strict=True)],
        "stage": ["source" if r else GENERATOR for r in real],
        "seed": places.tolist(),
        "source": [_file(*each) for each in zip(real, labels, places, strict=True)],
        "digest": [digest(place) for place in places.tolist()],
        "ref": ["0:x" if r else "generated:x" for r in real],
        "sampled_params": ["{}" if r else _prompt(label) for r, label in zip(real, labels, strict=True)],
        "generation_config": [None if r else '{"generator": "x"}' for r in real],
        "dropped_by": [None if stays else FILTER for stays in kept.tolist()],
        "weight": [1.0] * size,
        "width": [64] * size,
        "height": [64] * size,
    }  # fmt: skip
    columns |= {name: [""] * size for name in ("note", "pictures", "annotations")}
    columns |= {name: [None] * size for name in ("split", "labelled_by")}
    maps = score_maps({MEASURE: scores, "quality-sharpness": random.random(size)}, slice(0, size))
    plain = {name: pa.array(values, _plain(schema.field(name).type)) for name, values in columns.items()}
    arrays = [(maps if f.name == "scores" else plain[f.name]).cast(f.type) for f in schema]
    return pa.table(arrays, schema=schema)


def _file(real: bool, label: str, place: int) -> str | None:
    return f"folder photos: {label}/{place}.jpg" if real else None


def _prompt(label: str) -> str:
    return json.dumps({"prompt": f"a photo of {label}"})


def _plain(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_dictionary(kind) else kind


def noise(folder: Path, each: int, seed: int) -> Path:
    """Classes a and b of `each` pictures of noise in `folder`, of which each is as sharp as its number."""
    random = np.random.default_rng(seed)
    for label in ("a", "b"):
        (folder / label).mkdir()
        for number in range(each):
            spread = 2 + number * (2 if label == "a" else 1)
            pixels = random.normal(128, spread, (32, 32, 3)).clip(0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / label / f"{number}.png")
    return folder
