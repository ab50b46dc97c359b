"""Run selectors: gather what the models say of each image, choose, certify the choice, and remember it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.selection.by_rows import RowsAt
from augforge.algorithms.selection.units import Run
from augforge.data.ids import key
from augforge.data.ledger import Indices, Ledger
from augforge.data.texts import TextView, order_of
from augforge.engine.calls import Caller
from augforge.engine.context import RunContext
from augforge.engine.pixels import Pixels
from augforge.engine.remembered import packed, remembered, unpacked
from augforge.engine.runners.similar import examples_of, nearness, nearness_facts
from augforge.errors import RecipeError
from augforge.models import find_model, model_key
from augforge.recipe.looked_at import looked_at
from augforge.stages.selector import RowSelector, Selector
from augforge.stages.selectors.similar_to import SimilarTo

Matrix = NDArray[np.float32]
Features = Matrix | RowsAt | None


def run_selector(stage: Selector, title: str, context: RunContext) -> dict[str, int]:
    """Choose among the samples that `stage` looks at; drop the others, weight the chosen, file the certificate."""
    ledger = context.ledger
    asked = _asked(stage, ledger)
    indices, features, computed = _features(stage, title, context)
    reused = asked - computed
    if not len(indices):
        return {"measured": computed, "reused": reused, "chosen": 0}
    candidates = _Candidates(stage, ledger, indices, features)
    if isinstance(stage, SimilarTo):
        computed += _compare(stage, title, candidates, context)
    saved = _remembered(stage, candidates, context)
    if saved["certificate"] is not None:
        context.certificates[title] = saved["certificate"]
    chosen = candidates.order[unpacked(saved["chosen"], np.int64)]
    ledger.drop(indices[np.setdiff1d(np.arange(len(indices)), chosen)], "not chosen", title)
    if isinstance(stage, SimilarTo):
        found = ledger.scores[stage.name]
        context.facts[title] = {**context.facts[title], **nearness_facts(found[indices], found[indices[chosen]])}
    ledger.weight[indices[chosen]] = unpacked(saved["weights"], np.float64)
    return {"measured": computed, "reused": reused, "chosen": len(chosen)}


def _asked(stage: Selector, ledger: Ledger) -> int:
    """Of how many images the stage wants embeddings, once for each model that it asks."""
    models = [option for option in stage.needs if option in stage.tasks()]
    return len(models) * len(looked_at(stage, ledger)) if models else 0


def _compare(stage: SimilarTo, title: str, candidates: _Candidates, context: RunContext) -> int:
    """Replace the candidates' vectors by how near they are to the references; how many of these were embedded."""
    examples = examples_of(stage, title, context)
    vectors = cast("Matrix", candidates.features)
    near = nearness(stage, vectors, candidates.labels, candidates.ids, examples)
    context.ledger.score(stage.name, candidates.indices, near[:, 1])
    context.facts[title] = {"references": len(examples.ids)}
    candidates.features = near.astype(np.float32)
    return examples.computed


def _features(stage: Selector, title: str, context: RunContext) -> tuple[Indices, Features, int]:
    """The samples to choose among, the numbers that the stage needs of them, and how many were embedded."""
    ledger = context.ledger
    indices = looked_at(stage, ledger)
    tasks, parts, computed = stage.tasks(), [], 0
    for option in stage.needs if len(indices) else ():
        name = getattr(stage, option)
        if option not in tasks:
            parts.append(_column(stage, name, indices, context))
            continue
        embedder = context.embedders.of(name, tasks[option])
        before = embedder.computed
        width = embedder.embed(ledger, indices, context.drop_as(title))
        computed += embedder.computed - before
        if stage.reads_rows(len(indices), width):
            indices = indices[ledger.kept[indices]]
            return indices, embedder.rows(ledger.column("digest", indices)), computed
        parts.append(embedder.images(ledger, indices, context.drop_as(title)))
    still = ledger.kept[indices]
    return indices[still], np.hstack(parts)[still] if parts else None, computed


def _column(stage: Selector, name: str, indices: Indices, context: RunContext) -> Matrix:
    """(n, c) the numbers in a column of the sources; RecipeError where a sample has none, or another number of them."""
    ledger = context.ledger
    rows = context.pixels.column(ledger.column("ref", indices), name)
    width = len(ledger.classes)
    bad = [place for place, row in enumerate(rows) if row is None or len(row) != width]
    if bad:
        row, sample = rows[bad[0]], next(iter(ledger.samples(indices[bad[:1]])))
        what = "nothing" if row is None else f"{len(row)} numbers, not {width}, one for each class,"
        raise RecipeError(
            f"{stage.name}: {len(bad)} of {len(rows)} images have no usable {name!r}; the first, "
            f"{sample.source or sample.id[:8]}, has {what} there",
            "choose among real images only (on: real), or name a classifier",
        )
    return np.array(rows, dtype=np.float32)


def _at(features: Matrix | None, order: Indices) -> Matrix | None:
    return None if features is None else features[order]


class _Candidates:
    """The samples to choose among: their `indices` (n,) in the order of their ids, which is `order` (n,), and their
    features."""

    def __init__(self, stage: Selector, ledger: Ledger, indices: Indices, features: Features) -> None:
        ids = ledger.texts("id", indices)
        self.order = order_of(ids)
        self.ids = TextView(ids[self.order])
        self.labels = [label or "" for label in ledger.filed_under(indices[self.order])]
        self._ledger, self.indices = ledger, indices[self.order]
        self.features = features.at(self.order) if isinstance(features, RowsAt) else _at(features, self.order)
        self.classes = _classes(stage, ledger)

    def digests(self) -> Iterator[str]:
        """(n,) the digests, one by one."""
        return (digest for (digest,) in self._ledger.each(("digest",), self.indices))

    def columns_digest(self, stage: Selector) -> str:
        """A digest of what no model's digest covers: columns of the sources, or references; "" without such."""
        if self.features is None or not (_columns(stage) or isinstance(stage, SimilarTo)):
            return ""
        return hashlib.sha256(np.ascontiguousarray(self.features).tobytes()).hexdigest()


def _columns(stage: Selector) -> list[str]:
    """The columns of the sources that the stage reads."""
    return [getattr(stage, option) for option in stage.needs if option in stage.column_options()]


def columns_key(stage: Selector, ledger: Ledger, pixels: Pixels) -> str:
    """What the columns say that the stage reads of the sources' own samples; "" where it reads none."""
    if not (columns := _columns(stage)):
        return ""
    refs = ledger.column("ref", ledger.visible("real"))
    return key("columns", [pixels.column(refs, name) for name in columns])


def _classes(stage: Selector, ledger: Ledger) -> Sequence[str]:
    """What the columns of logits stand for: the classes of the classifier that is asked, else those of the sources."""
    from augforge.models.loading import classes_of

    tasks = stage.tasks()
    asked = (getattr(stage, option) for option in stage.needs if tasks.get(option) == "classification")
    classifier = next(asked, None)
    return ledger.classes if classifier is None else classes_of(find_model(classifier, "classification"))


def _remembered(stage: Selector, candidates: _Candidates, context: RunContext) -> dict[str, Any]:
    """The choice among the samples in the order of their ids: an earlier one, or one that is made now."""
    models = [model_key(find_model(name, task)) for name, task in stage.models()]
    columns = [digest] if (digest := candidates.columns_digest(stage)) else []
    name = key(
        "packed",
        stage.name,
        stage.version,
        stage.options(),
        models,
        iter(candidates.ids),
        iter(candidates.labels),
        candidates.digests(),
        *columns,
    )
    path = context.store.folder / "parts" / f"select-{stage.name}" / f"{name}.json"
    run = Caller(context.store, context.engine, context.place, stage.name)
    saved, is_new = remembered(
        path, lambda: _chosen(stage, candidates, run), "the choice is made again", context.progress
    )
    for note in saved["notes"] if is_new else ():
        context.progress.say(f"{stage.name}: {note}")
    return saved


def _chosen(stage: Selector, candidates: _Candidates, run: Run) -> dict[str, Any]:
    compared = None
    if candidates.features is not None:
        features = cast("Matrix", candidates.features)  # or what reads it, for a stage that asks for that
        compared = stage.compared(features, candidates.labels, candidates.classes)
    budget, labels, ids = stage.budget(len(candidates.ids)), candidates.labels, candidates.ids
    by_rows: dict[str, Any] = {"run": run} if isinstance(stage, RowSelector) else {}
    selection = stage.choose(budget, labels, ids, compared, **by_rows)
    certificate = None if compared is None else stage.certify(selection, labels, ids, compared, **by_rows)
    return {
        "chosen": packed(selection.indices.astype(np.int64)),
        "weights": packed(selection.weights.astype(np.float64)),
        "notes": selection.notes,
        "objective": selection.objective,
        "upper-bound": selection.upper_bound,
        "method": selection.method,
        "certificate": None if certificate is None else certificate.facts(),
    }
