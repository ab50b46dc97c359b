"""What `select: similar-to` compares with: embeds the references, and says how near the candidates are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.selection.similar import DECIMALS, closeness
from augforge.data.ledger import Indices, Ledger
from augforge.engine.context import RunContext
from augforge.engine.runners.references import references_of
from augforge.errors import RecipeError, did_you_mean, shortened
from augforge.stages.selectors.similar_to import CLASS, REAL, SPLIT, SimilarTo

Matrix = NDArray[np.float32]
Near = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Examples:
    """The m references in the order of their ids: `vectors` (m, d), `labels` and `ids` (m,); `computed` of them now."""

    vectors: Matrix
    labels: Sequence[str]
    ids: Sequence[str]
    computed: int


def examples_of(stage: SimilarTo, title: str, context: RunContext) -> Examples:
    """The references of the stage.

    Raises:
        RecipeError: there are none that can be read.
    """
    if stage.source is None:
        ledger, indices = context.ledger, _in_the_run(stage, context.ledger)
        embedder, drop = context.embedders.of(stage.model), context.drop_as(title)
    else:
        others, _ = references_of(stage.source, stage.name, context)
        ledger, indices, drop = others.ledger, others.indices, others.drop
        embedder = context.embedders.over(others.pixels).of(stage.model)
    before, indices = embedder.computed, indices[ledger.order_of_ids(indices)]
    vectors = embedder.images(ledger, indices, drop)
    there = np.isfinite(vectors).all(axis=1) & bool(vectors.shape[1])
    if not there.any():
        raise RecipeError(f"{stage.name}: there is no reference image in {stage.to!r}", "name a source that has some")
    labels = [label or "" for label in ledger.filed_under(indices[there])]
    return Examples(vectors[there], labels, ledger.column("id", indices[there]), embedder.computed - before)


def _in_the_run(stage: SimilarTo, ledger: Ledger) -> Indices:
    """The references among the samples themselves."""
    if stage.to == REAL:
        return ledger.reference(unlabelled=True)
    real = ledger.visible("real")
    column, wanted = ("split", SPLIT) if stage.to.startswith(SPLIT) else ("label", CLASS)
    found: Indices = real[ledger.coded(column).equal(stage.to.removeprefix(wanted), real)]
    if not len(found):
        known = sorted({name for name in ledger.column(column, real) if name})
        raise RecipeError(f"{stage.name}: no real image is in {stage.to}", did_you_mean(stage.to, known))
    return found


def nearness_facts(every: Near, chosen: Near) -> dict[str, float]:
    """The mean similarity of the candidates (n,), and of those (k,) that were chosen."""
    named = {"mean similarity of all": every, "mean similarity of the chosen": chosen}
    return {name: round(math.fsum(near) / len(near), DECIMALS) for name, near in named.items() if len(near)}


def nearness(stage: SimilarTo, features: Matrix, labels: Sequence[str], ids: Sequence[str], examples: Examples) -> Near:
    """(n, 3) how near candidates (n, d) are to the references, as `closeness` returns it.

    Raises:
        RecipeError: references have classes, but there are none for a class of the candidates.
    """
    places = {identity: place for place, identity in enumerate(examples.ids)}
    itself = np.array([places.get(identity, -1) for identity in ids], dtype=np.int64)
    if stage.within == "all" or not any(examples.labels) or stage.to.startswith(CLASS):
        return closeness(features, examples.vectors, stage.by, itself)
    theirs, mine = np.array(examples.labels), np.array(labels)
    if missing := sorted(set(labels) - set(examples.labels)):
        raise RecipeError(
            f"{stage.name}: there is no reference image of {shortened([name or 'no class' for name in missing])}",
            "give `within: all` to compare with the references of all classes, or choose among fewer classes",
        )
    near = np.empty((len(ids), 3))
    for label in sorted(set(labels)):
        rows, columns = np.flatnonzero(mine == label), np.flatnonzero(theirs == label)
        own = np.searchsorted(columns, itself[rows])
        own = np.where(np.isin(itself[rows], columns), own, -1)
        near[rows] = closeness(features[rows], examples.vectors[columns], stage.by, own)
    return near
