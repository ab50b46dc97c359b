"""Run filters and selectors: measure what was not measured yet, then decide over stored numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.data.key_index import PIECE
from augforge.data.ledger import Indices, Ledger
from augforge.data.memberships import Memberships, memberships_of
from augforge.data.nearest import nearest_table
from augforge.data.parts import Parts
from augforge.data.texts import TextView
from augforge.engine.context import RunContext
from augforge.engine.embedding import Embedder, Embedders
from augforge.engine.empty import refuse_unlabelled, refuse_unscored
from augforge.engine.held_out import held_out
from augforge.engine.rows import drop_all, look_at, without_rows
from augforge.engine.runners.ask import ask, prompts_of
from augforge.engine.runners.measuring import Measuring, score_parts
from augforge.engine.runners.patches import MutualScores
from augforge.errors import shortened
from augforge.models import find_model
from augforge.recipe.looked_at import looked_at
from augforge.stages.filter import EmbeddingFilter, Filter, PixelFilter
from augforge.stages.filter_inputs import FilterInputs, HeldOut, Parents, Reference
from augforge.stages.filters.musc import Musc
from augforge.stages.question_filter import QuestionFilter


def run_filter(stage: Filter, title: str, context: RunContext) -> dict[str, int]:
    """Score the samples that `stage` looks at, drop by its rule, and weight those that stay if it reweights."""
    refuse_unlabelled(stage, title, context)
    looked = _look(stage, title, context)
    ledger, indices, scores = context.ledger, looked.indices, looked.scores
    for name, values in scores.items():
        ledger.score(name, indices, values)
    if len(indices):
        _tell(stage, title, looked, context)
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


def _look(stage: Filter, title: str, context: RunContext) -> _Looked:
    """What a filter of whichever kind sees."""
    if isinstance(stage, PixelFilter) and stage.looks_at_pixels:
        return _measure(stage, title, context)
    if isinstance(stage, QuestionFilter) and stage.asks_a_model:
        return _ask(stage, title, context)
    if isinstance(stage, EmbeddingFilter):
        return _compare(stage, title, context)
    raise TypeError(f"{stage.name} is no PixelFilter, EmbeddingFilter or QuestionFilter")


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


def _tell(stage: Filter, title: str, looked: _Looked, context: RunContext) -> None:
    """Say what the filter remarks, and note its facts and which image each that was judged is nearest to."""
    if text := stage.remark(looked.inputs):
        context.progress.about(f"{title}: {text}")
    if facts := stage.facts(looked.inputs):
        context.facts[title] = facts
    found = (
        ()
        if not isinstance(stage, EmbeddingFilter)
        else stage.nearest(looked.inputs, looked.scores[stage.primary_measure])
    )
    if len(found):
        context.nearest.setdefault(title, []).append(nearest_table(title, looked.inputs.ids, found))


def _compare(stage: EmbeddingFilter, title: str, context: RunContext) -> _Looked:
    """The scores of the samples that `stage` looks at, from embeddings of them and of what it asks for beside."""
    model, task = stage.judge
    ledger, embedder = context.ledger, context.embedders.of(model, task)
    views = _Views(ledger, looked_at(stage, ledger), embedder, context.drop_as(title), model)
    views.embedders = context.embedders
    if isinstance(stage, Musc):
        views.mutual = MutualScores(stage, title, context)
    inputs = views.inputs()
    scores = _scores(stage, views, inputs) if len(inputs) else {name: np.zeros(0) for name in stage.measures}
    computed = views.computed
    reused = len(views.asked) + views.asked_others - computed
    return _Looked(views.indices, scores, inputs, computed + (views.mutual.computed if views.mutual else 0), reused)


def _ask(stage: QuestionFilter, title: str, context: RunContext) -> _Looked:
    """The scores of the samples that `stage` looks at, from a model's answers about them."""
    ledger = context.ledger
    indices = looked_at(stage, ledger)
    scores, asked = ask(stage, title, indices, context)
    kept = ledger.kept[indices]
    reused, indices, scores = max(0, len(indices) - asked), indices[kept], scores[kept]
    ids, classes = TextView(ledger.texts("id", indices)), ledger.class_index(indices)
    inputs = FilterInputs(ids, classes, ledger.classes, prompts=lambda: prompts_of(ledger, indices))
    return _Looked(indices, {stage.primary_measure: scores}, inputs, asked, reused)


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


def _logit_scale(model: str) -> float | None:
    """What the cosines of an image-text model are multiplied by, as its checkpoint says."""
    from augforge.models.logit_scales import logit_scale_of

    return logit_scale_of(find_model(model, "image-text"))


class _Views:
    """Feeds a gallery: embeds what is asked for, and counts it. `indices` are the samples that can be read, by id.

    All go in the order of their ids, so that sums of floats do not depend on the order of the sources.
    """

    def __init__(self, ledger: Ledger, indices: Indices, embedder: Embedder, drop: Any, model: str) -> None:
        self.ledger, self._embedder, self._drop, self._model = ledger, embedder, drop, model
        self._before = embedder.computed
        self.mutual: MutualScores | None = None
        self.embedders: Embedders | None = None
        self._by_others, self.asked_others = 0, 0
        self.asked = np.zeros(0, dtype=np.int64)
        self._images, self.indices = self._embed(self._by_id(indices))

    @property
    def computed(self) -> int:
        """How many embeddings were computed."""
        return self._embedder.computed - self._before + self._by_others

    def inputs(self, memberships: Memberships | None = None) -> FilterInputs:
        """The samples and what they can be compared with; with `memberships` a row for each class of an image."""
        ledger, indices = self.ledger, self.indices
        given: dict[str, Any] = {"texts": self._embedder.texts, "reference": self._reference}
        given |= {"known": partial(_known, self._model), "held_out": self._held_out, "training": self._training}
        given |= {"logit_scale": partial(_logit_scale, self._model)}
        given |= {"mutual": self.mutual} if self.mutual else {}
        ids, names = ledger.column("id", indices), ledger.classes
        rows = np.arange(len(indices)) if memberships is None else memberships.rows
        given |= {"prompts": lambda: prompts_of(ledger, indices[rows])}
        given |= {"seen_by": lambda model, task: self._seen_by(model, task)[rows]}
        given |= {"families": lambda: _families(ledger, indices[rows])}
        if memberships is None:
            classes = ledger.class_index(indices)
            return FilterInputs(ids, classes, names, images=lambda: self._images, parents=self._parents, **given)
        classes = memberships.classes
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

    def _seen_by(self, model: str, task: str) -> NDArray[np.float32]:
        """(n, d) the vectors of the samples by another model."""
        if self.embedders is None:
            raise LookupError("these samples are seen by one model alone")
        embedder = self.embedders.of(model, task)
        before = embedder.computed
        vectors = embedder.images(self.ledger, self.indices, self._drop)
        self._by_others += embedder.computed - before
        self.asked_others += len(self.indices)
        return vectors

    def _training(self) -> Reference:
        vectors, indices = self._embed(self._by_id(self.ledger.reference(unlabelled=True)))
        return Reference(vectors, self.ledger.class_index(indices), self.ledger.column("id", indices))

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
        names = self.ledger.column("id", theirs[there])
        return Parents(children[there], vectors[np.searchsorted(indices, theirs[there])], names)


def _families(ledger: Ledger, indices: Indices) -> NDArray[np.int64]:
    """(n,) a number that samples of the same parents share; without a parent, those filed under a class."""
    rows = zip(ledger.each(("parents",), indices), ledger.filed_under(indices), strict=True)
    numbers: dict[object, int] = {}
    shared = (tuple(sorted(parents)) or label for (parents,), label in rows)
    return np.fromiter((numbers.setdefault(of, len(numbers)) for of in shared), dtype=np.int64, count=len(indices))


def _measure(stage: PixelFilter, title: str, context: RunContext) -> _Looked:
    """The scores of the samples that `stage` looks at, from their pixels; each is measured once and stored."""
    ledger = context.ledger
    indices = looked_at(stage, ledger)
    parts = score_parts(stage, context.store)
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
