"""What is refused before a run touches its folder: a source in it, a circle of runs, the result of another recipe."""

from __future__ import annotations

from pathlib import Path

from augforge.data.mirror import url_of
from augforge.data.store import Store
from augforge.errors import StoreError
from augforge.progress import Progress
from augforge.provenance.chain import (
    places,
    plain_recipe,
    refuse_circle,
    refuse_overlap,
    refuse_remote_overlap,
    urls,
)
from augforge.provenance.changes import Comparison, compare, described
from augforge.recipe import Recipe, SourceSpec


def refuse_touching(recipe: Recipe, out: Path) -> None:
    """StoreError if a run of `recipe` into `out` would write over one of its sources, or be made from itself."""
    named = [getattr(stage, option, None) for stage in recipe.stages for option in ("against", "source")]
    others = [str(source) for source in named if source is not None]
    specs = [*recipe.sources, *map(_spec, others)]
    refuse_overlap(out, [place for spec in specs for place in places(spec)])
    if (url := url_of(out)) is not None:
        refuse_remote_overlap(url, [other for spec in specs for other in urls(spec)])
    refuse_circle(out, recipe.sources)


def _spec(source: str) -> SourceSpec:
    from augforge.io import detect

    return SourceSpec(*detect(source))


def compared(recipe: Recipe, out: Path, replace: bool = False) -> Comparison | None:
    """How `recipe` differs from the one whose result is in `out`; None if there is no result.

    Raises:
        StoreError: it is another recipe (see `augforge.provenance.changes`), and `replace` does not allow that.
    """
    before = plain_recipe(out)
    if before is None:
        return None
    found = compare(before, recipe.plain())
    if not found.same and not replace:
        raise StoreError(
            f"{out} holds the result of another recipe: {described(before)}, not {described(recipe.plain())}",
            "choose another --out, or give --replace to throw that result away",
        )
    return found


def take_over(recipe: Recipe, store: Store, replace: bool, progress: Progress) -> None:
    """Say what is different in `recipe` from the last run of the folder, which is held; or throw another's result away.

    Raises:
        StoreError: as `compared`.
    """
    found = compared(recipe, store.folder, replace)
    if found is None:
        return
    if not found.same:
        progress.opening(f"{store.folder}: the result of another recipe is replaced")
        store.empty()
    elif found.changes:
        progress.opening(f"{store.folder}, changed since its last run: {found.sentence()}")
