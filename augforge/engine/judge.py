"""Run filters and selectors: measure what was not measured yet, then decide over stored numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from augforge import images
from augforge.engine.embed import Embedder, vectors_key
from augforge.engine.ingest import Pixels
from augforge.errors import BadImage
from augforge.flow import flow
from augforge.ids import key
from augforge.ledger import Indices, Ledger
from augforge.models import find_model, model_key
from augforge.progress import Progress
from augforge.sample import Sample
from augforge.stage import EmbeddingFilter, Filter, PixelFilter, Selector, Stage
from augforge.store import Parts, Store, write_atomically

BATCH = 64
UNREADABLE = "it can no longer be read: "


def run_filter(stage: Filter, title: str, ledger: Ledger, embedders: Embedders, progress: Progress) -> dict[str, int]:
    """Score the samples that `stage` looks at, and drop by its rule."""
    indices = ledger.visible(stage.on)
    if isinstance(stage, EmbeddingFilter):
        scores, computed = _compare(stage, title, ledger, indices, embedders)
    elif isinstance(stage, PixelFilter):
        scores, computed = _measure(stage, title, ledger, indices, embedders, progress)
    else:
        raise TypeError(f"{stage.name} is neither a PixelFilter nor an EmbeddingFilter")
    still = ledger.kept[indices]
    indices = indices[still]
    for name, values in scores.items():
        ledger.score(name, indices, values[still])
    groups = ledger.column("label", indices) if stage.scope == "class" else ["all"] * len(indices)
    within = "its class" if stage.scope == "class" else "all"
    stays, reasons = stage.rule().apply(scores[stage.decisive][still], ledger.column("id", indices), groups, within)
    ledger.drop(indices[~stays], [f"{stage.decisive}: {reason}" for reason in reasons[~stays]], title)
    return {"measured": computed, "reused": len(indices) - computed}


class Embedders:
    """The embedders of a run by model name, so that each model is loaded at most once, and only when needed."""

    def __init__(self, store: Store, pixels: Pixels, device: str, progress: Progress) -> None:
        self.store, self.pixels = store, pixels
        self._device, self._progress = device, progress
        self._open: dict[str, Embedder] = {}

    def __getitem__(self, name: str) -> Embedder:
        if name not in self._open:
            self._open = {name: Embedder(name, self.store, self.pixels, self._device, self._progress)}
        return self._open[name]


def _compare(
    stage: EmbeddingFilter, title: str, ledger: Ledger, indices: Indices, embedders: Embedders
) -> tuple[dict[str, NDArray[np.float64]], int]:
    embedder, before = embedders[stage.model], embedders[stage.model].computed
    drop = _dropper(ledger, title)
    vectors = embedder.images(ledger, indices, drop)
    reference = ledger.reference()
    prompts = embedder.texts([stage.prompt.replace("{label}", c.replace("_", " ")) for c in ledger.classes])
    prototypes = mean_directions(
        embedder.images(ledger, reference, drop), ledger.class_index(reference), len(ledger.classes), vectors.shape[1]
    )
    return stage.compare(vectors, ledger.class_index(indices), prompts, prototypes), embedder.computed - before


def mean_directions(
    vectors: NDArray[np.float32], classes: NDArray[np.int64], count: int, width: int
) -> NDArray[np.float32]:
    """(count, width) the mean of each class's unit vectors (n, width), of unit length; NaN for a class without any."""
    means = np.full((count, width), np.nan, dtype=np.float32)
    usable = ~np.isnan(vectors).any(axis=1) if vectors.size else np.zeros(len(vectors), dtype=bool)
    for index in range(count):
        members = vectors[usable & (classes == index)]
        if len(members):
            mean = members.mean(axis=0)
            means[index] = mean / max(float(np.linalg.norm(mean)), 1e-12)
    return means


def _measure(
    stage: PixelFilter, title: str, ledger: Ledger, indices: Indices, embedders: Embedders, progress: Progress
) -> tuple[dict[str, NDArray[np.float64]], int]:
    parts = _score_parts(stage, embedders.store)
    digests = ledger.column("digest", indices)
    missing = set(parts.missing(digests))
    todo = {d: i for d, i in zip(digests, indices.tolist(), strict=True) if d in missing}
    if todo:
        samples = list(ledger.samples(np.array(sorted(todo.values()))))
        _measure_all(stage, samples, parts, embedders.pixels, _dropper(ledger, title), progress)
    there = parts.find(digests) >= 0
    scores = {}
    for measure in stage.measures:
        scores[measure] = np.full(len(digests), np.nan)
        found = [d for d, known in zip(digests, there, strict=True) if known]
        scores[measure][there] = [row[measure] for row in parts.rows(found, [measure])]
    return scores, len(todo)


def _score_parts(stage: PixelFilter, store: Store) -> Parts:
    schema = pa.schema([("digest", pa.string()), *((name, pa.float64()) for name in stage.measures)])
    name = f"filter-{stage.name}-{key(stage.name, stage.version, stage.measured_options())[:12]}"
    return store.parts(name, schema, by="digest")


def measured_parts(stage: Stage, store: Store) -> Parts | None:
    """Where what a filter or selector measures of each image lies, by digest; None if it measures nothing."""
    if isinstance(stage, PixelFilter):
        return _score_parts(stage, store)
    model = getattr(stage, "model", None)
    return None if model is None else store.vectors(vectors_key(model))


def _measure_all(
    stage: PixelFilter, samples: Sequence[Sample], parts: Parts, pixels: Pixels, drop: Any, progress: Progress
) -> None:
    def look(batch: Sequence[Sample]) -> list[dict[str, Any]]:
        rows = []
        for sample in batch:
            try:
                rows.append({"digest": sample.digest, **stage.measure(images.decode(pixels.bytes_of(sample)))})
            except BadImage as error:
                drop([sample.digest], error.message)
        return rows

    with progress.bar(stage.name, len(samples)) as bar, parts.writing() as writer:

        def save(rows: list[dict[str, Any]]) -> None:
            writer.add(rows)
            bar.advance(len(rows))

        batches = (samples[start : start + BATCH] for start in range(0, len(samples), BATCH))
        flow(batches, look, lambda rows: rows, save)


def _dropper(ledger: Ledger, title: str) -> Any:
    def drop(digests: list[str], reason: str) -> None:
        gone = set(digests)
        indices = [i for i, digest in enumerate(ledger.column("digest")) if digest in gone and ledger.kept[i]]
        ledger.drop(np.array(indices, dtype=np.int64), UNREADABLE + reason, title)

    return drop


def run_selector(stage: Selector, title: str, ledger: Ledger, embedders: Embedders) -> dict[str, int]:
    """Choose among the samples that `stage` looks at; drop the others, weight the chosen."""
    indices = ledger.visible(stage.on)
    model: str | None = getattr(stage, "model", None)
    before, features = 0, None
    if model is not None and len(indices):
        before = embedders[model].computed
        features = embedders[model].images(ledger, indices, _dropper(ledger, title))
        features, indices = features[ledger.kept[indices]], indices[ledger.kept[indices]]
    computed = embedders[model].computed - before if model is not None and len(indices) else 0
    if not len(indices):
        return {"measured": computed, "chosen": 0}
    chosen, weights = _remembered(stage, ledger, indices, features, embedders.store)
    others = np.setdiff1d(np.arange(len(indices)), chosen)
    ledger.drop(indices[others], "not chosen", title)
    ledger.weight[indices[chosen]] = weights
    return {"measured": computed, "chosen": len(chosen)}


def _remembered(
    stage: Selector, ledger: Ledger, indices: Indices, features: NDArray[np.float32] | None, store: Store
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The choice, computed once for the same options over the same images, whatever their order."""
    ids = ledger.column("id", indices)
    labels = [label or "" for label in ledger.column("label", indices)]
    order = np.argsort(ids)
    ids, labels, features = [ids[i] for i in order], [labels[i] for i in order], _rows(features, order)
    models = [model_key(find_model(getattr(stage, option), task)) for option, task in stage.tasks().items()]
    name = key(stage.name, stage.version, stage.options(), models, ids, ledger.column("digest", indices[order]))
    path = store.folder / "parts" / f"select-{stage.name}" / f"{name}.json"
    if path.is_file():
        saved = json.loads(path.read_text())
        return order[np.array(saved["chosen"], dtype=np.int64)], np.array(saved["weights"])
    selection = stage.choose(stage.budget(len(ids)), labels, ids, features)
    saved = {"chosen": selection.indices.tolist(), "weights": selection.weights.tolist(), "notes": selection.notes}
    write_atomically(path, json.dumps({**saved, "objective": selection.objective}).encode())
    return order[selection.indices], selection.weights


def _rows(features: NDArray[np.float32] | None, order: NDArray[np.int64]) -> NDArray[np.float32] | None:
    return None if features is None else features[order]
