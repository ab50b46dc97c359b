"""Run `select: noisy-labels`: judge every label by a classifier that never saw it, then decide over what is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.duplicates.groups import components
from augforge.algorithms.label_errors import Judged, find_label_errors, folds_of
from augforge.data.ids import key
from augforge.data.label_errors import LabelError
from augforge.data.ledger import Indices, Ledger
from augforge.engine.context import RunContext
from augforge.engine.remembered import remembered
from augforge.errors import shortened
from augforge.models import find_model, model_key
from augforge.recipe.looked_at import looked_at
from augforge.stages.selectors.noisy_labels import NoisyLabels

SCORE = "label-quality"


def run_noisy_labels(stage: NoisyLabels, title: str, context: RunContext) -> dict[str, int]:
    """Score the labels that `stage` looks at, list the errors, and drop them or all but the best."""
    ledger = context.ledger
    embedder = context.embedders.of(stage.model)
    before = embedder.computed
    indices = _labelled(stage, ledger)
    asked = len(indices)
    vectors = embedder.images(ledger, indices, context.drop_as(title))
    there = ledger.kept[indices]
    indices, vectors = indices[there], vectors[there]
    if len(indices):
        verdict = _remembered(stage, indices, vectors, context)
        ledger.score(SCORE, indices, verdict.judged.quality)
        errors = context.label_errors[title] = _listed(title, ledger, indices, verdict)
        context.progress.about(_said(title, indices, verdict, errors))
        _decide(stage, title, ledger, indices, errors)
    computed = embedder.computed - before
    return {"measured": computed, "reused": asked - computed, "chosen": int(ledger.kept[indices].sum())}


def _labelled(stage: NoisyLabels, ledger: Ledger) -> Indices:
    """The samples with one label that the stage looks at, in the order of their ids; never of an evaluation split
    unless there are no others."""
    seen = looked_at(stage, ledger)
    seen = seen[ledger.class_index(seen) >= 0]
    ordered: Indices = seen[ledger.order_of_ids(seen)]
    return ordered


def relatives(ledger: Ledger) -> NDArray[np.int64]:
    """(n,) a number for each sample that copies of one file, and images made from one another, share."""
    children, ids = ledger.lists("parents")
    parents = ledger.find(ids)
    pairs = np.stack([children, parents], axis=1)[parents >= 0]
    copies = np.stack([np.arange(len(ledger)), ledger.same("digest")], axis=1)
    return components(len(ledger), [pairs, copies])


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is thought of the labels of n images, and the (c,) names that `judged.suggested` counts."""

    judged: Judged
    names: list[str]


def _remembered(stage: NoisyLabels, indices: Indices, vectors: NDArray[np.float32], context: RunContext) -> _Verdict:
    """What is thought of the labels: an earlier verdict on the same images and labels, or one that is found now."""
    ledger, groups = context.ledger, relatives(context.ledger)[indices]
    columns = [ledger.column(name, indices) for name in ("id", "label", "digest")]
    models = [model_key(find_model(name, task)) for name, task in stage.models()]
    name = key(stage.name, stage.version, stage.measured_options(), models, *columns, _from_0(groups).tolist())
    path = context.store.folder / "parts" / f"select-{stage.name}" / f"{name}.json"
    saved, _ = remembered(
        path,
        lambda: _plain(_found(stage, ledger, indices, vectors, groups)),
        "the labels are judged again",
        context.progress,
    )
    return _read(saved)


def _from_0(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the groups numbered in the order in which they come, whatever else is in the ledger."""
    _, first, place = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[place].astype(np.int64)


def _found(
    stage: NoisyLabels, ledger: Ledger, indices: Indices, vectors: NDArray[np.float32], groups: NDArray[np.int64]
) -> _Verdict:
    names, classes = np.unique(np.array(ledger.column("label", indices), dtype=np.str_), return_inverse=True)
    keys = [key("fold", identity) for identity in ledger.column("id", indices)]
    folds = folds_of(classes, groups, keys, stage.folds)
    return _Verdict(find_label_errors(vectors, classes, folds, stage.by, stage.score), names.tolist())


def _plain(verdict: _Verdict) -> dict[str, Any]:
    """As JSON-like values; what is not known is null."""
    judged = verdict.judged
    numbers = {"quality": judged.quality, "probability": judged.probability}
    return {
        "names": verdict.names,
        "suggested": judged.suggested.tolist(),
        "wrong": judged.wrong.tolist(),
        **{name: [None if np.isnan(v) else v for v in values.tolist()] for name, values in numbers.items()},
    }


def _read(saved: Mapping[str, Any]) -> _Verdict:
    quality, probability = (np.array(saved[name], dtype=np.float64) for name in ("quality", "probability"))
    suggested, wrong = np.array(saved["suggested"], dtype=np.int64), np.array(saved["wrong"], dtype=bool)
    return _Verdict(Judged(quality, suggested, probability, wrong), list(saved["names"]))


def _listed(title: str, ledger: Ledger, indices: Indices, verdict: _Verdict) -> list[LabelError]:
    """The errors, as `label-errors.csv` has them."""
    judged, rows = verdict.judged, np.flatnonzero(verdict.judged.wrong)
    columns = zip(*(ledger.column(name, indices[rows]) for name in ("id", "source", "label")), strict=True)
    return [
        LabelError(
            id=identity,
            source=source or "",
            label=label,
            suggested=verdict.names[judged.suggested[row]],
            probability=float(judged.probability[row]),
            quality=float(judged.quality[row]),
            stage=title,
        )
        for row, (identity, source, label) in zip(rows.tolist(), columns, strict=True)
    ]


def _said(title: str, indices: Indices, verdict: _Verdict, errors: Sequence[LabelError]) -> str:
    """How many labels are likely wrong, the most frequent pairs, and of how many images nothing can be said."""
    pairs = Counter((error.label, error.suggested) for error in errors).most_common()
    confused = shortened(f"{given} likely {other} {count:,}" for (given, other), count in pairs)
    unjudged = int(np.isnan(verdict.judged.quality).sum())
    judged = len(indices) - unjudged
    left = f"; {unjudged:,} not judged: fewer than two images of their class, or one class alone" if unjudged else ""
    return f"{title}: {len(errors):,} of {judged:,} labels are likely wrong" + (f": {confused}" if pairs else "") + left


def _decide(stage: NoisyLabels, title: str, ledger: Ledger, indices: Indices, errors: Sequence[LabelError]) -> None:
    """Drop the errors, or all but the best labels where a budget was given; nothing with `keep_errors`."""
    if stage.keep_errors:
        return
    if stage.count is None and stage.share is None:
        reasons = {error.id: f"{SCORE}: labelled {error.label}, likely {error.suggested}" for error in errors}
        gone = [reasons.get(identity) for identity in ledger.column("id", indices)]
        wrong = np.array([reason is not None for reason in gone], dtype=bool)
        ledger.drop(indices[wrong], np.array(gone, dtype=object)[wrong], title)
        return
    quality = ledger.scores[SCORE][indices]
    features = np.where(np.isnan(quality), 1.0, quality)[:, None].astype(np.float32)
    labels, ids = ledger.column("label", indices), ledger.column("id", indices)
    chosen = stage.choose(stage.budget(len(indices)), labels, ids, features).indices
    ledger.drop(np.delete(indices, chosen), "not chosen", title)
