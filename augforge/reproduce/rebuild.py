"""Build a recipe again and say whether the result is the locked one; if not, what drifted and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from augforge.data.record import LEDGER
from augforge.data.store import Store
from augforge.engine.guards import compared, refuse_touching
from augforge.engine.run import Summary, run
from augforge.engine.runners.classes import bring_lists
from augforge.errors import StoreError
from augforge.progress import Progress
from augforge.provenance.drift import (
    Drift,
    Level,
    causes,
    effects,
    flipped,
    is_elsewhere,
    largest_difference,
    pixels_differ,
    same_but_for_flips,
)
from augforge.provenance.lock import NAME, Lock, read_lock, samples_of
from augforge.recipe import Recipe
from augforge.reproduce.alike import Bounds, compare_images

ELSEWHERE = 0.02
"""The share of samples, two at least, that may have another outcome on another machine where `flips` is not given."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of a rebuild.

    Attributes:
        same: whether the result is the locked one, as far as `level` asks.
        causes: what differs in what the result depends on, whether it had an effect or not.
        effects: what differs in the result.
        flipped: how many samples have another outcome, None where the lock does not list them.
        allowed: the share of the samples, in [0, 1], of which that was allowed.
        pixels: a sentence on how pixels compare, and how that was found.
    """

    level: Level
    same: bool
    causes: tuple[Drift, ...]
    effects: tuple[Drift, ...]
    pixels: str
    flipped: int | None
    summary: Summary
    allowed: float = 0.0

    @property
    def most_flips(self) -> int:
        """How many samples may have another outcome."""
        return int(self.allowed * (self.summary.kept + self.summary.dropped) + 1e-9)

    @property
    def elsewhere(self) -> tuple[Drift, ...]:
        """Those of the causes that are only another machine's, or other versions of libraries."""
        return tuple(filter(is_elsewhere, self.causes))


def rebuild(
    recipe: Recipe,
    lock: Path,
    out: Path,
    *,
    level: Level = "identity",
    flips: float | None = None,
    from_scratch: bool = False,
    reference: Path | None = None,
    bounds: Bounds | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Rebuilt:
    """Run `recipe` into `out` and compare the result with the file `lock`.

    Args:
        recipe: from `load_recipe`.
        lock: the committed lock; it is only read.
        out: the run folder; what is there is reused.
        level: `identity` asks for the same ids, sampled parameters, labels, outcomes and counts. `tolerance` asks for
        pixels that are
            alike, too: those of `reference` if it is given, else the thumbnails in the lock, within 1/255.
            `bytes` asks for equal bytes.
        flips: the share of the samples, in [0, 1], whose outcome may differ; scores differ in their last bits from
            processor to processor, and what lies next to a threshold then flips. None allows none, but `ELSEWHERE`
            where the lock was made on another machine or with other versions of libraries, and nothing else differs.
        from_scratch: throw away what is in `out` first, if it is of this recipe (or of any, with `replace`).
        reference: a run folder with the pixels to compare with, for `tolerance`.
        bounds: how alike the pixels of `reference` must be.
        options: of `augforge.engine.run.run`.

    Raises:
        AugforgeError: as `run`; and where the lock is missing or of another format.
    """
    progress = progress or Progress()
    locked = read_lock(lock)
    _check_reference(reference)
    if from_scratch:
        _clear(recipe, out, bool(options.get("replace", False)), progress)
    if "words" in locked:
        _bring_words(recipe, locked, Store(out, progress.say))
    summary = run(recipe, out, progress=progress, **options)
    now = read_lock(out / NAME)
    why = tuple(causes(locked, now))
    allowed = _allowed(why, level, locked) if flips is None else flips
    found = [] if allowed and same_but_for_flips(locked, now, allowed) else effects(locked, now)
    compare = None if reference is None else partial(compare_images, reference, out, bounds or Bounds(), progress)
    alike, pixels = _pixels(level, locked, now, compare)
    if not alike:
        found.append(Drift("result", "pixels", str(locked["result"]["pixels"]), str(now["result"]["pixels"])))
    return Rebuilt(level, not found, why, tuple(found), pixels, flipped(locked, now), summary, allowed)


def _bring_words(recipe: Recipe, locked: Lock, store: Store) -> None:
    """Put the lists of the lock where the run looks for them, so that no language model writes them again."""
    with store.locked():
        bring_lists(recipe, locked["words"], store)


def _check_reference(reference: Path | None) -> None:
    if reference is not None and not (reference / LEDGER).is_file():
        raise StoreError(f"{reference} is no run folder: it has no {LEDGER}", "give --reference the --out of a run")


def _allowed(why: Sequence[Drift], level: Level, locked: Lock) -> float:
    """The share of outcomes that cannot be expected to hold: of a lock that was made elsewhere, from the same recipe.

    At least two samples: where one crosses the threshold of a share, another one crosses it the other way.
    """
    if not why or level == "bytes" or not all(map(is_elsewhere, why)):
        return 0.0
    return max(ELSEWHERE, 2 / max(2, samples_of(locked)))


def _clear(recipe: Recipe, out: Path, replace: bool, progress: Progress) -> None:
    """Throw away what is in `out`, unless it is a source of `recipe` or the result of another one."""
    refuse_touching(recipe, out)
    compared(recipe, out, replace)
    Store(out, progress.say).clear()


def _pixels(level: Level, locked: Lock, now: Lock, compare: Callable[[], tuple[bool, str]] | None) -> tuple[bool, str]:
    """Whether the pixels are as alike as `level` asks, and a sentence about it; `compare` looks at a reference's."""
    if not pixels_differ(locked, now):
        return True, "the bytes of all kept images are the locked ones"
    if level == "identity":
        return True, "some bytes differ, which this level does not ask for"
    if level == "bytes":
        return False, "some bytes differ"
    if compare is not None:
        return compare()
    apart, count = largest_difference(locked, now)
    if not count:
        raise StoreError("the lock has no thumbnails of images that are here", "give --reference DIR to compare with")
    compared = f"the mean colours of 8x8 blocks of {count} images, which the lock has, differ by at most {apart:g}/255"
    return apart <= 1, compared
