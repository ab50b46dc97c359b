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
from augforge.engine.ingest import UNREADABLE, Pixels
from augforge.errors import BadImage
from augforge.flow import flow
from augforge.generators.prompts import fill
from augforge.ids import key
from augforge.ledger import Indices, Ledger
from augforge.models import find_model, model_key
from augforge.progress import Progress
from augforge.sample import Sample
from augforge.select import Selection
from augforge.stage import EmbeddingFilter, Filter, PixelFilter, Selector, Stage
from augforge.store import Parts, Store, write_atomically

BATCH = 64


def run_filter(stage: Filter, title: str, ledger: Ledger, embedders: Embedders, progress: Progress) -> dict[str, int]:
    """Score the samples that `stage` looks at, and drop by its rule."""
    indices = ledger.visible(stage.on)
    if isinstance(stage, EmbeddingFilter):
        scores, computed, reused = _compare(stage, title, ledger, indices, embedders)
    elif isinstance(stage, PixelFilter):
        scores, computed = _measure(stage, title, ledger, indices, embedders, progress)
        reused = len(indices) - computed
    else:
        raise TypeError(f"{stage.name} is neither a PixelFilter nor an EmbeddingFilter")
    still = ledger.kept[indices]
    indices = indices[still]
    for name, values in scores.items():
        ledger.score(name, indices, values[still])
    groups = ledger.class_index(indices) if stage.scope == "class" else np.zeros(len(indices), dtype=np.int64)
    within = "its class" if stage.scope == "class" else "all"
    stays, reasons = stage.rule().apply(scores[stage.decisive][still], ledger.column("id", indices), groups, within)
    ledger.drop(indices[~stays], [f"{stage.decisive}: {reason}" for reason in reasons[~stays]], title)
    return {"measured": computed, "reused": reused}


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
) -> tuple[dict[str, NDArray[np.float64]], int, int]:
    """The scores of the samples at `indices`; how many embeddings were computed for them, and how many were there."""
    embedder, before = embedders[stage.model], embedders[stage.model].computed
    reference = ledger.reference()
    needed = np.union1d(indices, reference)
    vectors = embedder.images(ledger, needed, _dropper(ledger, title))
    own, real = vectors[np.searchsorted(needed, indices)], vectors[np.searchsorted(needed, reference)]
    classes = ledger.class_index(reference)
    prototypes = mean_directions(real, classes, len(ledger.classes), vectors.shape[1])
    prompts = embedder.texts([fill(stage.prompt, c) for c in ledger.classes])
    computed = embedder.computed - before
    return stage.compare(own, ledger.class_index(indices), prompts, prototypes), computed, len(needed) - computed


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


def run_selector(
    stage: Selector, title: str, ledger: Ledger, embedders: Embedders, progress: Progress
) -> dict[str, int]:
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
    chosen, weights, notes = _remembered(stage, ledger, indices, features, embedders.store)
    for note in notes:
        progress.say(f"{stage.name}: {note}")
    others = np.setdiff1d(np.arange(len(indices)), chosen)
    ledger.drop(indices[others], "not chosen", title)
    ledger.weight[indices[chosen]] = weights
    return {"measured": computed, "chosen": len(chosen)}


def _remembered(
    stage: Selector, ledger: Ledger, indices: Indices, features: NDArray[np.float32] | None, store: Store
) -> tuple[NDArray[np.int64], NDArray[np.float64], list[str]]:
    """The choice, its weights and remarks: computed once for the same options over the same images."""
    ids = ledger.column("id", indices)
    labels = [label or "" for label in ledger.column("label", indices)]
    order = np.argsort(ids)
    ids, labels, features = [ids[i] for i in order], [labels[i] for i in order], _rows(features, order)
    models = [model_key(find_model(getattr(stage, option), task)) for option, task in stage.tasks().items()]
    name = key(stage.name, stage.version, stage.options(), models, ids, ledger.column("digest", indices[order]))
    path = store.folder / "parts" / f"select-{stage.name}" / f"{name}.json"
    if not path.is_file():
        selection = stage.choose(stage.budget(len(ids)), labels, ids, features)
        write_atomically(path, json.dumps(_certificate(selection)).encode())
    saved = json.loads(path.read_text())
    chosen, weights = np.array(saved["chosen"], dtype=np.int64), np.array(saved["weights"], dtype=np.float64)
    return order[chosen], weights, saved["notes"]


def _certificate(selection: Selection) -> dict[str, Any]:
    return {
        "chosen": selection.indices.tolist(),
        "weights": selection.weights.tolist(),
        "notes": selection.notes,
        "objective": selection.objective,
        "upper-bound": selection.upper_bound,
        "method": selection.method,
    }


def _rows(features: NDArray[np.float32] | None, order: NDArray[np.int64]) -> NDArray[np.float32] | None:
    return None if features is None else features[order]
