"""Runs recipes: source, stages one after the other, then the result. `run` is the entry point."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from augforge import __version__
from augforge.data.files import seal, write_atomically
from augforge.data.ledger import Ledger
from augforge.data.record import FORMAT, changed, record_of, stamps_of
from augforge.data.store import Store
from augforge.data.vectors import shared_store
from augforge.engine.ahead import looks_ahead
from augforge.engine.at_hand import check_models, with_models_at_hand
from augforge.engine.before import check_before, require_packages
from augforge.engine.context import RunContext
from augforge.engine.embedding import Embedders
from augforge.engine.empty import (
    leave_out_empty_classes,
    refuse_empty_result,
    refuse_nothing,
    refuse_unlabelled_sources,
    refuse_without_synthetic,
    written_if_empty,
)
from augforge.engine.engines.local import Local
from augforge.engine.finish import keep_lock, write_ledger, write_lock, write_result
from augforge.engine.guards import refuse_touching, take_over
from augforge.engine.ingest import (
    MENDED,
    How,
    bad_images,
    open_sources,
    read_sources,
    refuse_too_many_bad,
    say_what_is_bad,
)
from augforge.engine.keys import laid_out, listing_key, run_key
from augforge.engine.noted import noted
from augforge.engine.pixels import Pixels
from augforge.engine.retry import forget_failed
from augforge.engine.rounds import Block, Rounds, blocks
from augforge.engine.runners.table import run_stage
from augforge.engine.work import Engine
from augforge.errors import SourceError, TooManyBad
from augforge.io.run import ROOTS
from augforge.models import trained_models
from augforge.progress import Progress
from augforge.provenance.lock import NAME as LOCK
from augforge.provenance.lock import lock_of
from augforge.publish.card import counted_splits
from augforge.recipe import Recipe, check_recipe
from augforge.recipe.advice import named_twice
from augforge.recipe.looked_at import has_synthetic, left_open, said, settled
from augforge.review.follow import check_reviews
from augforge.stages.stage import check_classes

COMPUTED = ("read", "generated", "measured", "trained")
NEEDED = ("samples.parquet", "README.md", "recipe.yaml", LOCK)
"""Files of a result, without which it is not whole."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did. `work` has a row for the source and each stage: counts in and out, generated, measured, trained,
    reused.

    `classes` has the expected images of each class, see `augforge.data.classes`: whole numbers, unless there are soft
    labels. `splits` has the kept images of each split by class ("" is none), where there are splits; `together` is what
    `augforge.data.splits.kept_together` says of a run that made splits.
    """

    out: str
    kept: int
    dropped: int
    classes: Mapping[str, float]
    reasons: Mapping[str, Mapping[str, int]]
    work: Sequence[Mapping[str, Any]]
    up_to_date: bool = False
    splits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    together: Mapping[str, int] = field(default_factory=dict)

    @property
    def computed(self) -> int:
        """How many images were read, made or measured, and how many steps trained; 0 if all was there."""
        return sum(int(row.get(name, 0)) for row in self.work for name in COMPUTED)


def run(
    recipe: Recipe,
    out: Path,
    *,
    device: str = "auto",
    limit: int | None = None,
    max_bad: float = 0.1,
    store: Path | None = None,
    lock: Path | None = None,
    lock_always: bool = False,
    retry: str | None = None,
    replace: bool = False,
    allow_empty: bool = False,
    yes: bool = False,
    flat: bool = False,
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> Summary:
    """Run `recipe` into the folder `out`, resuming from what is there.

    Args:
        recipe: from `load_recipe` or `parse_recipe`.
        out: the run folder; new, empty, or of an earlier run.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        limit: use only this many source images, chosen by a hash.
        max_bad: the share of unusable source images, in [0, 1], above which the run ends after writing the ledger.
        store: where embeddings lie that runs share; else what AUGFORGE_STORE names, else the run folder.
        lock: a file beside the recipe that is to hold a copy of the run's lock, too.
        lock_always: write it even if the one that is there differs only in what a machine makes different.
        retry: "failed" does again what failed before (see `augforge.engine.retry`), and nothing else.
        replace: throw away what another recipe left in `out`, which is refused otherwise.
        allow_empty: go on after a stage that leaves, makes or can judge nothing, which ends the run otherwise.
        yes: insist on more new images than `augforge.engine.limits` lets pass.
        flat: write dataset/ as one `Dataset` even where there are splits, not as a `DatasetDict`.
        progress: told how far the run is; silent by default.
        engine: where images are read, measured and made; it is closed at the end. By default in this process.

    Raises:
        AugforgeError: as drawn in `augforge.errors`; whatever was computed before it is kept.
    """
    progress = progress or Progress()
    engine = engine or Local()
    check_recipe(recipe)
    check_before(recipe.stages, device, yes)
    check_reviews(recipe.stages, recipe.folder)
    recipe = with_models_at_hand(recipe, progress)
    folder = Store(out, progress.say, shared_store(store))
    folder.check()
    check_models(recipe, folder)
    sources = open_sources(recipe)
    refuse_touching(recipe, out)
    with folder.locked(engine.shares), noted(recipe, out, progress, engine.name) as progress, closing(engine):
        take_over(recipe, folder, replace, progress)
        if retry is not None:
            forget_failed(sources, folder, retry)
            folder.forget_result()  # what no model could be shown is asked for again
        ahead = laid_out(listing_key(recipe, sources, limit), flat)
        if (summary := _up_to_date(folder, "listing", ahead, max_bad)) is None:
            require_packages(recipe)
            for warning in named_twice(recipe):
                progress.opening(warning)
            refuse = partial(refuse_unlabelled_sources, recipe, allow_empty)
            measured = looks_ahead(recipe, folder)
            ledger, read = read_sources(sources, folder, progress, limit, refuse, How(recipe.sources, engine, measured))
            pixels = Pixels(sources, recipe.sources)
            embedders = Embedders(folder, pixels, device, progress, engine=engine)
            asked: dict[str, Any] = {"allow_empty": allow_empty, "yes": yes, "flat": flat}
            context = RunContext(ledger, embedders, recipe.seed, ahead=measured, beside=recipe.folder, **asked)
            summary = _run(recipe, context, ahead, read, max_bad)
        refuse_empty_result(summary, allow_empty)
        keep_lock(out, lock, progress, always=lock_always)
        return summary


def _run(recipe: Recipe, context: RunContext, ahead: str, read: int, max_bad: float) -> Summary:
    """Run, unless what was read is what the last run read; `read` images had to be read for it."""
    out, ledger = context.store.folder, context.ledger
    if not len(ledger):
        raise SourceError("the source holds no images", "is it the right folder?")
    done = laid_out(run_key(recipe, ledger, context.pixels), context.flat)
    bad = bad_images(ledger)
    if (summary := _up_to_date(context.store, "key", done, max_bad)) is not None:
        _remember(context.store, done, ahead, summary, bad)
        return summary
    check_classes(recipe.stages, ledger.classes)
    context.store.forget_result()
    work = [_row("source", len(ledger), ledger, {"read": read, "reused": len(ledger) - read})]
    if problem := refuse_too_many_bad(bad, max_bad):
        write_ledger(ledger, out / "samples.parquet")
        raise TooManyBad(problem, _or_more(context.store))
    say_what_is_bad(ledger, context.progress)
    context.progress.plan(recipe.titles())
    _stand(context)
    with trained_models() as models, written_if_empty(context):
        context = replace(context, models=models)
        stages = settled(recipe.stages, has_synthetic(ledger))
        refuse_without_synthetic(recipe.titles(), stages, context)
        opened = {title for title, stage in zip(recipe.titles(), recipe.stages, strict=True) if left_open(stage)}
        for block in blocks(recipe.titles(), stages):
            work += _run_block(block, context, opened)
            context.store.keep_models()
        leave_out_empty_classes(context)
        context.engine.finish()
        context.progress.stage("write")
        write_result(recipe, context, together_in(work))
        write_lock(lock_of(recipe, ledger, context.pixels, work), context.store)
    summary = _summary(context.store, ledger, work)
    _remember(context.store, done, ahead, summary, bad)
    return summary


def _or_more(store: Store) -> str:
    return f"{MENDED}; the reasons are in {store.name}/samples.parquet"


def _run_block(block: Block, context: RunContext, opened: Collection[str]) -> list[dict[str, Any]]:
    """Run one stage, or a generator and its filters in rounds; a row of the summary for each.

    Of the stages called `opened`, which leave open what they look at, it is said what that is.
    """
    check_classes([stage for _, stage in block], context.ledger.classes)  # a labeler may have brought new ones
    before = len(context.ledger.visible())
    if len(block) > 1:
        work = Rounds(block, context).run()
    else:
        ((title, stage),) = block
        context.progress.stage(title)
        if title in opened:
            context.progress.about(said(title, stage, context.ledger))
        work = [_row(title, before, context.ledger, run_stage(stage, title, context))]
    _stand(context)
    refuse_nothing(block, before, context)
    return work


def _stand(context: RunContext) -> None:
    """Tell how many images are kept and dropped by now."""
    kept = len(context.ledger.visible())
    context.progress.stands(kept, len(context.ledger) - kept)


def _row(title: str, before: int, ledger: Ledger, did: Mapping[str, int]) -> dict[str, Any]:
    return {"stage": title, "in": before, "out": len(ledger.visible()), **did}


def _up_to_date(store: Store, name: str, done: str, max_bad: float) -> Summary | None:
    """The summary of the last run, if it is whole and its key called `name` is `done`.

    Raises:
        TooManyBad: more of the images that it read are bad than `max_bad` allows now; its result is left alone.
    """
    state = store.state()
    if state.get(name) != done or not _intact(store, state):
        return None
    if "bad" not in state and "source" in state["summary"]["reasons"]:  # an older version did not count them
        return None
    if "bad" in state and (problem := refuse_too_many_bad(state["bad"], max_bad)):
        raise TooManyBad(problem, _or_more(store))
    return Summary(**{**state["summary"], "out": store.name, "work": [], "up_to_date": True})


def _intact(store: Store, state: Mapping[str, Any]) -> bool:
    """Whether the files of the result are those that the last run wrote; what is wrong with them is said."""
    record = state.get("files", {})
    if not set(NEEDED) <= set(record) or not any(name in record for name in ROOTS):
        return False
    problems = changed(store.folder, record)
    for problem in problems:
        store.say(f"{store.name}/{problem}; the result is written again")
    if not problems and store.mirror is None and (now := stamps_of(store.folder, record)) != record:
        write_atomically(store.folder / "run.json", seal({**state, "files": now}))  # a copy: the same content, later
    return not problems


def _summary(store: Store, ledger: Ledger, work: Sequence[Mapping[str, Any]]) -> Summary:
    kept = len(ledger.visible())
    done = Summary(store.name, kept, len(ledger) - kept, ledger.class_counts(), ledger.drops_by_stage(), work)
    return replace(done, splits=counted_splits(ledger), together=together_in(work))


def together_in(work: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Of the rows of a run's work, what the last splitter kept together; {} where there is none."""
    names = ("groups", "grouped", "divided")
    return next(({name: row[name] for name in names} for row in reversed(work) if "groups" in row), {})


def _remember(store: Store, done: str, ahead: str, summary: Summary, bad: Mapping[str, Any]) -> None:
    plain = {"kept": summary.kept, "dropped": summary.dropped, "classes": summary.classes, "reasons": summary.reasons}
    plain |= {"splits": summary.splits, "together": summary.together}
    files = store.state().get("files") or record_of(store.folder)
    state = {"format": FORMAT, "augforge": __version__, "key": done, "listing": ahead, "summary": plain, "bad": bad}
    write_atomically(store.folder / "run.json", seal({**state, "files": files}))
