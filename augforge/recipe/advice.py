"""What is allowed in a recipe and yet likely not meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from augforge.recipe.looked_at import settled
from augforge.stages.filter import Filter
from augforge.stages.generator import Generator
from augforge.stages.selector import Selector
from augforge.stages.stage import Stage

if TYPE_CHECKING:
    from augforge.recipe.recipe import Recipe

ORIGINS = {"all": {"real", "synthetic"}, "real": {"real"}, "synthetic": {"synthetic"}}


def warnings_of(recipe: Recipe) -> list[str]:
    """A line for each stage that will likely not do what was meant; loads no model, reads no image.

    A selector that keeps outliers is warned of where no filter before it has judged the images that it chooses from.
    Of a run as a source nothing is said: its images may have been filtered there.
    """
    if any(source.kind == "run" for source in recipe.sources):
        return []
    found: list[str] = []
    judged: set[str] = set()
    for number, stage, looked in _lookers(recipe.stages):
        if isinstance(stage, Filter) and stage.finds_outliers:
            judged |= looked
        if isinstance(stage, Selector) and stage.keeps_outliers and not looked <= judged:
            found.append(_keeps_outliers(number, stage, sorted(looked - judged)))
    return found


def _lookers(stages: Sequence[Stage]) -> Iterator[tuple[int, Filter | Selector, set[str]]]:
    """The filters and selectors, their numbers, and the origins of what they look at, as far as it is there by then."""
    there = {"real"}
    for number, stage in enumerate(settled(stages, synthetic=False), start=1):
        if isinstance(stage, (Filter, Selector)):
            yield number, stage, ORIGINS[stage.on] & there
        if isinstance(stage, Generator):
            there = {"real", "synthetic"}


def _keeps_outliers(number: int, stage: Stage, unjudged: Sequence[str]) -> str:
    which = " and ".join(unjudged)
    return (
        f"stage {number} ({stage.verb}: {stage.name}) keeps outliers and wrong images first, and no filter before it "
        f"has judged the {which} images: put `filter: outlier` or `filter: quality` before it"
    )
