"""Run filters and selectors: measure what was not measured yet, then decide over stored numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from augforge.data.ids import key
from augforge.data.key_index import PIECE
from augforge.data.ledger import Indices, Ledger
from augforge.data.memberships import Memberships, memberships_of
from augforge.data.parts import Parts
from augforge.data.store import Store
from augforge.data.texts import TextView
from augforge.engine.context import RunContext
from augforge.engine.embedding import Embedder, stored_vectors
from augforge.engine.empty import refuse_unlabelled, refuse_unscored
from augforge.engine.held_out import held_out
from augforge.engine.rows import Encoded, Look, drop_all, look_at, without_rows
from augforge.engine.runners.candidates import look_parts
from augforge.engine.runners.patches import MutualScores
from augforge.errors import shortened
from augforge.models import find_model
from augforge.recipe.looked_at import looked_at
from augforge.stages.filter import EmbeddingFilter, Filter, PixelFilter
from augforge.stages.filter_inputs import FilterInputs, HeldOut, Parents, Reference
from augforge.stages.filters.duplicates import Duplicates
from augforge.stages.filters.musc import Musc
from augforge.stages.labeler import Labeler
from augforge.stages.stage import Stage


def run_filter(stage: Filter, title: str, context: RunContext) -> dict[str, int]:
    """Score the samples that `stage` looks at, drop by its rule, and weight those that stay if it reweights."""
    refuse_unlabelled(stage, title, context)
    if isinstance(stage, PixelFilter) and stage.looks_at_pixels:
        looked = _measure(stage, title, context)
    elif isinstance(stage, EmbeddingFilter):
        looked = _compare(stage, title, context)
    else:
        raise TypeError(f"{stage.name} is neither a PixelFilter nor an EmbeddingFilter")
    ledger, indices, scores = context.ledger, looked.indices, looked.scores
    for name, values in scores.items():
        ledger.score(name, indices, values)
    if len(indices):
        if text := stage.remark(looked.inputs):
            context.progress.about(f"{title}: {text}")
        spared = _beyond_reference(stage, ledger, looked)
        if spared.any():
            context.progress.say(_left_alone(title, ledger, indices[spared]))
        stays = _decide(stage, title, ledger, looked, spared)
        scored = np.isfinite(scores[stage.primary_measure])
        if isinstance(stage, EmbeddingFilter) and stage.reweights:
            ledger.weight[indices[stays & ~spared]] *= scores[stage.primary_measure][stays & ~spared]
        refuse_unscored(title, indices[~spared], bool(scored.any()), context)
    return {"measured": looked.measured, "reused": looked.reused}


@dataclass(frozen=True, slots=True)
class _Looked:
    """What a filter saw: the samples (n,) that could be read, their scores, and why some have none (by index)."""

    indices: Indices
    scores: Mapping[str, NDArray[np.float64]]
    inputs: FilterInputs
    measured: int
    reused: int
    failures: Mapping[int, str] = field(default_factory=dict)


def _beyond_reference(stage: Filter, ledger: Ledger, looked: _Looked) -> NDArray[np.bool_]:
    """(n,) which real images of evaluation splits have no score for want of a real image to train on of their class.

    Nothing is known against them, and a test set must not lose a class because the training images lack it.
    """
    spared = np.zeros(len(looked.indices), dtype=bool)
    if isinstance(stage, EmbeddingFilter) and stage.needs_real:
        places = np.flatnonzero(np.isnan(looked.scores[stage.primary_measure]))
        indices = looked.indices[places]
        known = {None, *ledger.coded("label").counts(ledger.reference())}
        unknown = ledger.coded("label").mapped(lambda label: label not in known, bool, indices)
        real = ledger.coded("origin").equal("real", indices)
        spared[places] = real & ledger.in_evaluation(indices) & unknown
    return spared


def _left_alone(title: str, ledger: Ledger, indices: Indices) -> str:
    """The sentence about images that could not be judged, and stay."""
    classes = sorted(map(str, ledger.coded("label").counts(indices)))
    return (
        f"{title}: {len(indices):,} images of evaluation splits stay unjudged: there is no real image to train on of "
        f"{shortened(classes)}"
    )


def _decide(stage: Filter, title: str, ledger: Ledger, looked: _Looked, spared: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Drop by the rule all but the `spared` (n,) ones; (n,) who stays."""
    indices, measure = looked.indices, stage.primary_measure
    whole = stage.scope == "all"
    groups = np.zeros(len(indices), dtype=np.int64) if whole else ledger.filed_index(indices)
    stays, reasons = stage.decide(looked.scores, looked.inputs.ids, groups, "all" if whole else "its class")
    explained = dict(enumerate(stage.explain(looked.inputs, looked.scores[measure])))
    failed = np.flatnonzero(np.isin(indices, list(looked.failures)))
    explained |= {place: looked.failures[int(indices[place])] for place in failed.tolist()}
    for place, reason in explained.items():
        reasons[place] = f"{measure}: {reason}" if reason else reasons[place]
    stays = stays | spared
    ledger.drop(indices[~stays], reasons[~stays], title)
    return stays


def _compare(stage: EmbeddingFilter, title: str, context: RunContext) -> _Looked:
    """The scores of the samples that `stage` looks at, from embeddings of them and of what it asks for beside."""
    ((model, task),) = stage.models()
    ledger, embedder = context.ledger, context.embedders.of(model, task)
    views = _Views(ledger, looked_at(stage, ledger), embedder, context.drop_as(title), model)
    if isinstance(stage, Musc):
        views.mutual = MutualScores(stage, title, context)
    inputs = views.inputs()
    scores = _scores(stage, views, inputs) if len(inputs) else {name: np.zeros(0) for name in stage.measures}
    computed = views.computed
    reused = len(views.asked) - computed
    return _Looked(views.indices, scores, inputs, computed + (views.mutual.computed if views.mutual else 0), reused)


def _scores(stage: EmbeddingFilter, views: _Views, inputs: FilterInputs) -> dict[str, NDArray[np.float64]]:
    """(n,) of each measure; of an image with several labels or a soft label what its classes come to."""
    memberships = memberships_of(views.ledger, views.indices) if stage.compares_classes else None
    if memberships is None:
        return stage.compare(inputs)
    scores = stage.compare(views.inputs(memberships))
    return {name: memberships.joined(each, lower=name in stage.lower_is_better) for name, each in scores.items()}


def _known(model: str) -> Sequence[str]:
    """The classes that a classifier tells apart."""
    from augforge.models.loading import classes_of

    return classes_of(find_model(model, "classification"))


class _Views:
    """Feeds a gallery: embeds what is asked for, and counts it. `indices` are the samples that can be read, by id.

    All go in the order of their ids, so that sums of floats do not depend on the order of the sources.
    """

    def __init__(self, ledger: Ledger, indices: Indices, embedder: Embedder, drop: Any, model: str) -> None:
        self.ledger, self._embedder, self._drop, self._model = ledger, embedder, drop, model
        self._before = embedder.computed
        self.mutual: MutualScores | None = None
        self.asked = np.zeros(0, dtype=np.int64)
        self._images, self.indices = self._embed(self._by_id(indices))

    @property
    def computed(self) -> int:
        """How many embeddings were computed."""
        return self._embedder.computed - self._before

    def inputs(self, memberships: Memberships | None = None) -> FilterInputs:
        """The samples and what they can be compared with; with `memberships` a row for each class of an image."""
        ledger, indices = self.ledger, self.indices
        given: dict[str, Any] = {"texts": self._embedder.texts, "reference": self._reference}
        given |= {"known": partial(_known, self._model), "held_out": self._held_out}
        given |= {"mutual": self.mutual} if self.mutual else {}
        ids, names = ledger.column("id", indices), ledger.classes
        if memberships is None:
            classes = ledger.class_index(indices)
            return FilterInputs(ids, classes, names, images=lambda: self._images, parents=self._parents, **given)
        rows, classes = memberships.rows, memberships.classes
        of = [ids[row] for row in rows.tolist()]
        also = memberships.also()
        return FilterInputs(
            of,
            classes,
            names,
            images=lambda: self._images[rows],
            also=also,
            parents=lambda: self._parents().of(rows),
            **given,
        )

    def _by_id(self, indices: Indices) -> Indices:
        ordered: Indices = indices[self.ledger.order_of_ids(indices)]
        return ordered

    def _embed(self, indices: Indices) -> tuple[NDArray[np.float32], Indices]:
        """The vectors of those of `indices` that can be read, and who they are."""
        self.asked = np.union1d(self.asked, indices)
        vectors = self._embedder.images(self.ledger, indices, self._drop)
        there = np.isfinite(vectors).all(axis=1) & bool(vectors.shape[1])
        return vectors[there], indices[there]

    def _reference(self) -> Reference:
        vectors, indices = self._embed(self._by_id(self.ledger.reference(several=True)))
        ids, memberships = self.ledger.column("id", indices), memberships_of(self.ledger, indices)
        if memberships is None:
            return Reference(vectors, self.ledger.class_index(indices), ids)
        rows, classes = memberships.likeliest()
        return Reference(vectors[rows], classes, [ids[row] for row in rows.tolist()])

    def _held_out(self, split: str) -> HeldOut:
        indices, where = held_out(self.ledger, split, find_model(self._model, "classification"))
        vectors, there = self._embed(self._by_id(indices))
        return HeldOut(vectors, self.ledger.column("label", there), where)

    def _parents(self) -> Parents:
        children, ids = self.ledger.lists("parents", self.indices)
        places = self.ledger.find(ids)
        children, theirs = children[places >= 0], places[places >= 0]
        vectors, indices = self._embed(np.unique(theirs))
        there = np.isin(theirs, indices)
        return Parents(children[there], vectors[np.searchsorted(indices, theirs[there])])


def _measure(stage: PixelFilter, title: str, context: RunContext) -> _Looked:
    """The scores of the samples that `stage` looks at, from their pixels; each is measured once and stored."""
    ledger = context.ledger
    indices = looked_at(stage, ledger)
    parts = _score_parts(stage, context.store)
    ahead, unjudged = context.ahead.of(parts)
    todo = without_rows(ledger, indices, parts, unjudged)
    known = ledger.distinct("digest", indices) - len(todo) if ahead else 0
    measured = len(todo) + min(ahead, known)
    refused = look_at(Measuring(stage.name, stage), ledger, todo, parts, context.place, context.engine)
    drop_all(refused.dropped, context.drop_as(title))
    unjudged = {**unjudged, **refused.unjudged}
    asked, indices = len(indices), indices[ledger.kept[indices]]
    failed = ledger.all_with("digest", list(unjudged)) if unjudged else indices[:0]
    failed = failed[np.isin(failed, indices)]
    failures = {i: unjudged[d] for i, d in zip(failed.tolist(), ledger.column("digest", failed), strict=True)}
    inputs = FilterInputs(TextView(ledger.texts("id", indices)), ledger.class_index(indices), ledger.classes)
    scores = _stored_scores(stage, parts, ledger, indices)
    return _Looked(indices, scores, inputs, measured, asked - measured, failures)


def _checked(stage: PixelFilter, measured: Mapping[str, float]) -> Mapping[str, float]:
    """What a filter measured; ValueError where it is not what its class declares, which is a defect of the filter."""
    if set(measured) != set(stage.measures):
        raise ValueError(f"filter: {stage.name} declares {sorted(stage.measures)} but measured {sorted(measured)}")
    return measured


def _stored_scores(
    stage: PixelFilter, parts: Parts, ledger: Ledger, indices: Indices
) -> dict[str, NDArray[np.float64]]:
    """(n,) of each measure, NaN where none is stored."""
    scores = {measure: np.full(len(indices), np.nan) for measure in stage.measures}
    for start in range(0, len(indices), PIECE):
        digests = ledger.texts("digest", indices[start : start + PIECE])
        there = parts.find(digests) >= 0
        stored = parts.take(digests[there], stage.measures) if there.any() else None
        for measure, values in scores.items():
            if stored is not None:
                values[start : start + PIECE][there] = stored.column(measure).to_numpy()
    return scores


def measuring(stage: PixelFilter, store: Store) -> tuple[Look, Parts]:
    """What a filter measures of an image, and where it is stored."""
    return Measuring(stage.name, stage), _score_parts(stage, store)


def _score_parts(stage: PixelFilter, store: Store) -> Parts:
    schema = pa.schema([("digest", pa.string()), *((name, pa.float64()) for name in stage.measures)])
    name = f"filter-{stage.name}-{key(stage.name, stage.version, stage.measured_options())[:12]}"
    return store.parts(name, schema, by="digest")


def measured_parts(stage: Stage, store: Store) -> Parts | None:
    """Where what a filter or selector measures of each image lies, by digest; None if it measures nothing."""
    if isinstance(stage, PixelFilter) and stage.looks_at_pixels:
        return _score_parts(stage, store)
    if isinstance(stage, Duplicates) and stage.by != "embedding":
        return None if stage.by == "exact" else look_parts(store)
    if isinstance(stage, Labeler):
        return stored_vectors(stage.model, "classification", store)
    if isinstance(stage, EmbeddingFilter):
        ((name, task),) = stage.models()
        return stored_vectors(name, task, store)
    model = getattr(stage, "model", None)
    return None if model is None else stored_vectors(model, stage.tasks()["model"], store)


@dataclass(frozen=True)
class Measuring(Look):
    """Measures images by what a filter looks at in their pixels."""

    title: str
    stage: PixelFilter

    def see(self, image: Encoded) -> Mapping[str, float]:
        """As `Look.see`: what could not be judged has no row, and is measured again another time."""
        return _checked(self.stage, self.stage.measure(image.image))
