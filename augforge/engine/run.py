"""Runs recipes: source, stages one after the other, then the result. `run` is the only door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augforge import __version__
from augforge.data.files import named, seal, write_atomically
from augforge.data.ledger import Ledger
from augforge.data.record import changed, record_of, stamps_of
from augforge.data.store import FORMAT, Store
from augforge.data.vectors import shared_store
from augforge.engine.embedding import Embedders
from augforge.engine.finish import keep_lock, write_ledger, write_lock, write_result
from augforge.engine.ingest import Pixels, open_sources, read_sources, refuse_too_many_bad
from augforge.engine.jobs import stage_key
from augforge.engine.keys import listing_key, run_key
from augforge.engine.retry import forget_failed
from augforge.engine.rounds import Block, Rounds, blocks
from augforge.engine.runners.duplicates import run_duplicates
from augforge.engine.runners.filter import run_filter
from augforge.engine.runners.generate import run_generator
from augforge.engine.runners.label import run_labeler, run_splitter
from augforge.engine.runners.select import run_selector
from augforge.engine.runners.subsample import run_subsampler
from augforge.engine.runners.train import run_trainer
from augforge.errors import SourceError, TooManyBad
from augforge.io import Source
from augforge.models import Model, trained_models
from augforge.progress import Progress
from augforge.provenance.lock import NAME as LOCK
from augforge.provenance.lock import lock_of
from augforge.recipe import Recipe
from augforge.recipe.acceptance import check_acceptance
from augforge.stages.filter import Filter
from augforge.stages.filters.duplicates import Duplicates
from augforge.stages.generator import Generator
from augforge.stages.labeler import Labeler
from augforge.stages.selector import Selector, Subsampler
from augforge.stages.splitter import Splitter
from augforge.stages.stage import Stage, check_classes
from augforge.stages.trainer import Trainer

__all__ = ["Summary", "run", "stage_key", "titles"]


COMPUTED = ("read", "made", "measured", "trained")
NEEDED = ("samples.parquet", "dataset/state.json", "README.md", "recipe.yaml", LOCK)
"""Files of a result, without which it is not whole."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did. `work` has a row for the source and each stage: counts in and out, made, measured, trained,
    reused.
    """

    out: str
    kept: int
    dropped: int
    classes: Mapping[str, int]
    reasons: Mapping[str, Mapping[str, int]]
    work: Sequence[Mapping[str, Any]]
    up_to_date: bool = False

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
    progress: Progress | None = None,
) -> Summary:
    """Run `recipe` into the folder `out`, going on with what is there.

    Args:
        recipe: from `load_recipe` or `parse_recipe`.
        out: the run folder; new, empty, or of an earlier run.
        device: "auto", "cpu" or "cuda".
        limit: use only this many source images, chosen by a hash.
        max_bad: the share of unusable source images, in [0, 1], above which the run ends after writing the ledger.
        store: where embeddings lie that runs share; else what AUGFORGE_STORE names, else the run folder.
        lock: a file beside the recipe that is to hold a copy of the run's lock, too.
        lock_always: write it even if the one that is there differs only in what a machine makes different.
        retry: "failed" does again what failed before (see `augforge.engine.retry`), and nothing else.
        progress: told how far the run is; silent by default.

    Raises:
        AugforgeError: as drawn in `augforge.errors`; whatever was computed before it is kept.
    """
    progress = progress or Progress()
    check_acceptance(recipe.stages)
    folder = Store(out, progress.say, shared_store(store))
    sources = open_sources(recipe)
    with folder.locked():
        if retry is not None:
            forget_failed(sources, folder, retry)
            with named(out / "run.json"):
                (out / "run.json").unlink(missing_ok=True)  # what no model could be shown is asked for again
        ahead = listing_key(recipe, sources, limit)
        if (summary := _up_to_date(folder, "listing", ahead)) is None:
            summary = _run(recipe, sources, folder, device, limit, max_bad, ahead, progress)
        keep_lock(out, lock, progress, always=lock_always)
        return summary


def _run(
    recipe: Recipe,
    sources: Sequence[Source],
    folder: Store,
    device: str,
    limit: int | None,
    max_bad: float,
    ahead: str,
    progress: Progress,
) -> Summary:
    """Run, unless what was read is what the last run read."""
    out = folder.folder
    ledger, read = read_sources(sources, folder, progress, limit)
    if not len(ledger):
        raise SourceError("the source holds no images", "is it the right folder?")
    pixels = Pixels(sources, recipe.sources)
    done = run_key(recipe, ledger, pixels)
    if (summary := _up_to_date(folder, "key", done)) is not None:
        _remember(folder, done, ahead, summary)
        return summary
    with named(out / "run.json"):
        (out / "run.json").unlink(missing_ok=True)
    check_classes(recipe.stages, ledger.classes)
    work: list[dict[str, Any]] = [_row("source", len(ledger), ledger, {"read": read})]
    if problem := refuse_too_many_bad(ledger, max_bad):
        write_ledger(ledger, out / "samples.parquet")
        raise TooManyBad(problem, f"the reasons are in {out / 'samples.parquet'}; or raise --max-bad")
    embedders = Embedders(folder, pixels, device, progress)
    certificates: dict[str, Any] = {}
    with trained_models() as models:
        for block in blocks(titles(recipe), recipe.stages):
            work += _run_block(block, ledger, embedders, recipe.seed, device, progress, certificates, models)
        write_result(recipe, ledger, folder, pixels, progress, certificates)
        write_lock(lock_of(recipe, ledger, pixels, work), folder)
    summary = _summary(out, ledger, work)
    _remember(folder, done, ahead, summary)
    return summary


def titles(recipe: Recipe) -> list[str]:
    """How each stage is called in the ledger: number, verb and name."""
    return [f"{number}-{stage.verb}-{stage.name}" for number, stage in enumerate(recipe.stages, start=1)]


def _run_block(
    block: Block,
    ledger: Ledger,
    embedders: Embedders,
    seed: int,
    device: str,
    progress: Progress,
    certificates: dict[str, Any],
    models: dict[str, Model],
) -> list[dict[str, Any]]:
    """Run one stage, or a generator and its filters in rounds; a row of the summary for each."""

    def step(stage: Stage, title: str) -> dict[str, int]:
        return _step(stage, title, ledger, embedders, seed, device, progress, certificates)

    check_classes([stage for _, stage in block], ledger.classes)  # a labeler may have brought new ones
    if len(block) > 1:
        return Rounds(block, ledger, embedders, seed, device, progress).run(step)
    ((title, stage),) = block
    before = len(ledger.visible())
    if isinstance(stage, Trainer):
        did = run_trainer(stage, ledger, embedders.store, embedders.pixels, seed, device, progress, models)
    else:
        did = step(stage, title)
    return [_row(title, before, ledger, did)]


def _step(
    stage: Stage,
    title: str,
    ledger: Ledger,
    embedders: Embedders,
    seed: int,
    device: str,
    progress: Progress,
    certificates: dict[str, Any],
) -> dict[str, int]:
    if isinstance(stage, Generator):
        return run_generator(stage, title, ledger, embedders.store, embedders.pixels, seed, device, progress)
    if isinstance(stage, Duplicates):
        return run_duplicates(stage, title, ledger, embedders, progress)
    if isinstance(stage, Filter):
        return run_filter(stage, title, ledger, embedders, progress)
    if isinstance(stage, Selector):
        return run_selector(stage, title, ledger, embedders, progress, certificates)
    if isinstance(stage, Subsampler):
        return run_subsampler(stage, title, ledger)
    if isinstance(stage, Labeler):
        return run_labeler(stage, title, ledger, embedders)
    if isinstance(stage, Splitter):
        return run_splitter(stage, title, ledger, embedders, progress)
    raise TypeError(f"{title} is of no kind of stage")


def _row(title: str, before: int, ledger: Ledger, did: Mapping[str, int]) -> dict[str, Any]:
    return {"stage": title, "in": before, "out": len(ledger.visible()), **did}


def _up_to_date(store: Store, name: str, done: str) -> Summary | None:
    """The summary of the last run, if it is whole and its key called `name` is `done`."""
    state = store.state()
    if state.get(name) != done or not _intact(store, state):
        return None
    return Summary(**{**state["summary"], "out": str(store.folder), "work": [], "up_to_date": True})


def _intact(store: Store, state: Mapping[str, Any]) -> bool:
    """Whether the files of the result are those that the last run wrote; what is wrong with them is said."""
    record = state.get("files", {})
    if not set(NEEDED) <= set(record):
        return False
    problems = changed(store.folder, record)
    for problem in problems:
        store.say(f"{store.folder}/{problem}; the result is written again")
    if not problems and (now := stamps_of(store.folder, record)) != record:
        write_atomically(store.folder / "run.json", seal({**state, "files": now}))  # a copy: the same content, later
    return not problems


def _summary(out: Path, ledger: Ledger, work: Sequence[Mapping[str, Any]]) -> Summary:
    kept = len(ledger.visible())
    return Summary(str(out), kept, len(ledger) - kept, ledger.class_counts(), ledger.drops_by_stage(), work)


def _remember(store: Store, done: str, ahead: str, summary: Summary) -> None:
    plain = {"kept": summary.kept, "dropped": summary.dropped, "classes": summary.classes, "reasons": summary.reasons}
    files = store.state().get("files") or record_of(store.folder)
    state = {"format": FORMAT, "augforge": __version__, "key": done, "listing": ahead, "summary": plain}
    write_atomically(store.folder / "run.json", seal({**state, "files": files}))
