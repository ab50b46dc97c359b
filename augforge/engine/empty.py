"""Stages that leave nothing, make nothing or can judge nothing: said at once, with why, and the end of the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, get_args

import numpy as np

from augforge.data.ledger import Indices, Ledger
from augforge.data.sample import Sample
from augforge.engine.context import RunContext
from augforge.engine.finish import write_ledger
from augforge.engine.jobs import amounts
from augforge.errors import EmptyResult
from augforge.io.understood import Understood
from augforge.recipe import Recipe
from augforge.stages.filter import Filter
from augforge.stages.generator import Generator
from augforge.stages.labeler import Labeler
from augforge.stages.stage import Stage

if TYPE_CHECKING:
    from augforge.engine.run import Summary

LABELS = "put the images of each class into a folder of its own, or label them first (augforge pseudo-label)"
REASONS = "the reasons are in samples.parquet"


@contextmanager
def written_if_empty(context: RunContext) -> Iterator[None]:
    """Write the ledger, which has the reasons, before an EmptyResult of the block ends the run."""
    try:
        yield
    except EmptyResult:
        write_ledger(context.ledger, context.store.folder / "samples.parquet")
        raise


def refuse_empty_result(summary: Summary, allow_empty: bool) -> None:
    """EmptyResult where an earlier run was allowed to end without an image, and this one is not."""
    if summary.up_to_date and not summary.kept and set(summary.reasons) - {"source"} and not allow_empty:
        raise EmptyResult(
            f"{summary.out} is up to date and holds no image: all were dropped",
            f"{REASONS}; or go on with --allow-empty",
        )


def refuse_unlabelled_sources(recipe: Recipe, allow_empty: bool, told: Sequence[Understood]) -> None:
    """EmptyResult where no source has a label, and a stage needs some before another could give them; nothing is read.

    `told` says what the sources were understood to be, in their order.
    """
    images, unlabelled = (sum(getattr(each, name) for each in told) for name in ("images", "unlabelled"))
    if allow_empty or not images or unlabelled < images:
        return
    for title, stage in zip(recipe.titles(), recipe.stages, strict=True):
        if isinstance(stage, (Filter, Generator)) and stage.needs_labels:
            raise EmptyResult(
                f"{title}: it needs to know the class of an image, and none of the {images:,} images has a label",
                f"{LABELS}; or go on with --allow-empty",
            )
        if isinstance(stage, (Labeler, Generator)):
            return


def refuse_without_synthetic(titles: Sequence[str], stages: Sequence[Stage], context: RunContext) -> None:
    """EmptyResult where a filter judges generated images only, and there are none, nor a stage that makes some."""
    if context.ledger.coded("origin").equal("synthetic").any():
        return
    for title, stage in zip(titles, stages, strict=True):
        if isinstance(stage, Generator):
            return
        if isinstance(stage, Filter) and get_args(type(stage).model_fields["on"].annotation) == ("synthetic",):
            context.empty(
                f"{title}: it judges generated images only, and there are none",
                "put a generator before it, or give a run folder with generated images as SOURCE",
            )


def refuse_unlabelled(stage: Filter, title: str, context: RunContext) -> None:
    """EmptyResult where a filter that judges images by their class sees none that has one; no model is loaded."""
    seen = context.ledger.visible("all" if stage.on == "auto" else stage.on)
    if stage.needs_labels and len(seen) and not _labelled(context.ledger, seen):
        many = f"none of the {len(seen):,} images that it looks at has a label"
        context.empty(f"{title}: it judges an image by its class, and {many}", LABELS)


def refuse_unscored(title: str, seen: Indices, scored: bool, context: RunContext) -> None:
    """EmptyResult where a filter could score none of the images at `seen`, which it has dropped for that."""
    if len(seen) and not scored:
        why = usual_reason(context.ledger, seen)
        context.empty(f"{title}: it could score none of the {len(seen):,} images: {why}", REASONS)


def refuse_nothing(block: Sequence[tuple[str, Stage]], before: int, context: RunContext) -> None:
    """EmptyResult where the stages of `block` left none of the `before` images, or a generator made none to keep."""
    title, first = block[0]
    if isinstance(first, Generator):
        _refuse_nothing_made(first, title, context)
    if before and not len(context.ledger.visible()):
        titles = {name for name, _ in block}
        gone = np.flatnonzero(context.ledger.coded("dropped_by").mapped(lambda stage: stage in titles, bool))
        why = usual_reason(context.ledger, gone)
        context.empty(f"{block[-1][0]}: none of {before:,} images is left: {why}", f"ask for less; {REASONS}")


def _refuse_nothing_made(stage: Generator, title: str, context: RunContext) -> None:
    ledger = context.ledger
    made = np.flatnonzero(ledger.coded("stage").equal(title))
    if not len(made):
        _refuse_nothing_planned(stage, title, context)
    elif not ledger.kept[made].any():
        why = usual_reason(ledger, made)
        context.empty(f"{title}: none of the {len(made):,} images that it made can be kept: {why}", REASONS)


def _refuse_nothing_planned(stage: Generator, title: str, context: RunContext) -> None:
    """Say why nothing was to be generated; EmptyResult unless it is because every class has enough."""
    ledger = context.ledger
    real = ledger.visible("real")
    pools = ledger.conditioning(stage.split, not stage.needs_labels)
    if stage.needs_labels and not _labelled(ledger, real):
        many = f"none of the {len(real):,} real images has a label"
        context.empty(f"{title}: nothing to generate: it makes images of a class, and {many}", LABELS)
    elif not any(pools.values()) and (_sees_nothing(stage, ledger) or any(amounts(stage, ledger).values())):
        hint = "generators never see evaluation splits; --split names another one"
        context.empty(f"{title}: nothing to generate: no real image of the split {stage.split!r} is left", hint)
    elif any(amounts(stage, ledger).values()):
        asked = [label for label, count in amounts(stage, ledger).items() if count]
        context.empty(f"{title}: nothing to generate: no image may condition it", _what_lacks(stage, asked, pools))
    else:
        more = "per-class, balance-to or real-to-synthetic ask for more"
        context.progress.say(f"{stage.name}: nothing to generate: every class has enough; {more}")


def _what_lacks(stage: Generator, asked: Sequence[str | None], pools: Mapping[str | None, Sequence[Sample]]) -> str:
    """Of the classes asked for those without images to condition on; or that these lack what the stage needs."""
    if lacking := ", ".join(str(label) for label in asked if not pools[label]):
        return f"without any: {lacking}"
    return f"none has what it starts from, such as boxes or a mask: see `augforge generate {stage.name} --help`"


def _sees_nothing(stage: Generator, ledger: Ledger) -> bool:
    """Whether every real image is of a split that the generator may not look at."""
    splits = ledger.coded("split").counts(ledger.reference(unlabelled=True))
    return all(split not in (None, stage.split) for split in splits)


def leave_out_empty_classes(context: RunContext) -> None:
    """Forget the classes that a source announces without a single image of them, unless one was generated; say so."""
    if gone := context.ledger.forget_empty_classes():
        names = ", ".join(map(repr, gone))
        context.progress.say(f"no image of {names}: left out of the classes of the dataset")


def _labelled(ledger: Ledger, indices: Indices) -> bool:
    return bool((ledger.class_index(indices) >= 0).any()) or bool(ledger.several(indices))


def usual_reason(ledger: Ledger, indices: Indices) -> str:
    """The most frequent reason for which the samples at `indices` were dropped."""
    reasons = Counter({reason: n for reason, n in ledger.coded("dropped").counts(indices).items() if reason})
    ((reason, count),) = reasons.most_common(1) or [("no reason is known", 0)]
    return reason if len(reasons) < 2 else f"{reason} ({count:,} of them)"
