"""What is allowed in a recipe and yet likely not meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from augforge.recipe.looked_at import settled
from augforge.remote.places import path_of, real_path
from augforge.remote.urls import is_remote
from augforge.stages.filter import Filter
from augforge.stages.generator import Generator
from augforge.stages.selector import Selector
from augforge.stages.stage import Stage

if TYPE_CHECKING:
    from augforge.recipe.recipe import Recipe

ELSEWHERE = frozenset({"hub", "sample"})
"""Kinds of sources whose value is no path."""
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


def source_warnings_of(recipe: Recipe) -> list[str]:
    """A line for each source that is not there, or is there twice; none is opened."""
    return [*_not_there(recipe), *named_twice(recipe)]


def named_twice(recipe: Recipe) -> list[str]:
    """A line for each source that is the same as one before it, with the same options."""
    found, seen = [], []
    for source in recipe.sources:
        value = source.value if source.kind in ELSEWHERE else real_path(path_of(source.value))
        if (one := (source.kind, value, source.options)) in seen:
            found.append(f"{source.value} is named twice as a source: each of its images counts twice")
        seen.append(one)
    return found


def _not_there(recipe: Recipe) -> list[str]:
    """A line for each source that is a path at which there is nothing; a recipe may be checked without its data."""
    here = [s for s in recipe.sources if s.kind not in ELSEWHERE and not is_remote(s.value)]
    paths = [s for s in here if not set(s.value) & set("*?[{")]
    return [
        f"source {source.value} is not here: a run would stop at once"
        for source in paths
        if not path_of(source.value).exists()
    ]


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
