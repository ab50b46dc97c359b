"""What the models that judged the images took them for: the class of the largest logit, or of the nearest prompt."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from augforge.data.store import Store
from augforge.engine.embedding import stored_vectors, vectors_key
from augforge.engine.runners.train import trained_model
from augforge.errors import AugforgeError, ModelError
from augforge.models import Model, find_model, trained_models
from augforge.models.directory import read_record
from augforge.models.loading import classes_of
from augforge.recipe import Recipe
from augforge.stages.filters.classifier import Classifier
from augforge.stages.filters.clip import Clip
from augforge.stages.filters.margin import Margin
from augforge.stages.prompts import fill
from augforge.stages.stage import Stage
from augforge.stages.trainer import Trainer

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The judge of one stage: its `model`, the `classes` it chose from, and `chosen` (n,), a place in them, -1 where
    it scored nothing."""

    stage: str
    model: str
    classes: list[str]
    chosen: Places


def judgements(folder: Path, recipe: Recipe, rows: pa.Table, classes: Sequence[str]) -> list[Judgement]:
    """What each judge of the recipe took the images for that it scored; nothing is computed by any model.

    A judge whose vectors are no longer there is left out.

    Args:
        folder: the run folder.
        recipe: its filters `clip`, `margin` and `classifier` are the judges.
        rows: the ledger (n rows).
        classes: the labels that prompts were made of.
    """
    found: list[Judgement] = []
    with trained_models(own_models(folder, recipe)):
        for title, stage in zip(recipe.titles(), recipe.stages, strict=True):
            try:
                judged = _judgement(folder, title, stage, rows, classes)
            except AugforgeError:  # its model is no longer there, so that its vectors cannot be found
                continue
            if judged is not None and not any(_same(judged, other) for other in found):
                found.append(judged)
    return found


def _same(one: Judgement, other: Judgement) -> bool:
    return (one.model, one.classes) == (other.model, other.classes) and bool((one.chosen == other.chosen).all())


def _judgement(folder: Path, title: str, stage: Stage, rows: pa.Table, classes: Sequence[str]) -> Judgement | None:
    if not isinstance(stage, (Clip, Margin, Classifier)):
        return None
    task = stage.tasks()["model"]
    vectors = stored_vectors(stage.model, task, Store(folder))
    digests = rows.column("digest").to_pylist()
    scored = pc.is_valid(pc.map_lookup(rows.column("scores"), stage.measures[0], "first")).to_numpy()
    there = np.flatnonzero(scored & (vectors.find(digests) >= 0))
    if isinstance(stage, Classifier):
        names, table = classes_of(find_model(stage.model, task)), None
    else:
        names, table = _prompts(stage, Store(folder), classes)
    if len(names) < 2 or not len(there):
        return None
    images = vectors.matrix([digests[row] for row in there.tolist()])
    chosen = np.full(len(rows), -1, dtype=np.int64)
    chosen[there] = (images if table is None else images @ table.T).argmax(axis=1)
    return Judgement(title, stage.model, list(names), chosen)


def _prompts(stage: Clip | Margin, store: Store, classes: Sequence[str]) -> tuple[list[str], NDArray[np.float32]]:
    """The classes whose prompt is stored, and (c, d) the vectors of those; none where no prompts were asked for."""
    if not stage.asks_about_classes:
        return [], np.zeros((0, 0), dtype=np.float32)
    texts = store.vectors(f"{vectors_key(stage.model, stage.tasks()['model'])}-text")
    digests = {name: hashlib.sha256(fill(stage.prompt, name).encode()).hexdigest() for name in classes}
    missing = set(texts.missing(list(digests.values())))
    known = {name: digest for name, digest in digests.items() if digest not in missing}
    return list(known), texts.matrix(list(known.values()), "vector")


def own_models(folder: Path, recipe: Recipe) -> dict[str, Model]:
    """The models that the recipe itself has trained into the run folder, the latest of each, by their names."""
    return {model.name: model for stage in recipe.stages if isinstance(stage, Trainer) for model in _of(stage, folder)}


def _of(stage: Trainer, folder: Path) -> Iterator[Model]:
    found = (folder / "models").glob(f"{stage.name}-*")
    for path in sorted(found, key=lambda path: path.stat().st_mtime):
        try:
            record = read_record(path)
        except ModelError:  # damaged: no stage could have judged by it
            continue
        if record is not None:
            yield trained_model(stage.called, stage.task, str(record["identity"]), path)
