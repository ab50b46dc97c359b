"""What callers give: numbers, shares and paths, checked."""

from __future__ import annotations

import os
from numbers import Integral, Real
from pathlib import Path

from augforge.data.places import folder_to_write
from augforge.errors import RecipeError

StrPath = str | os.PathLike[str]


def limit_of(limit: int | None) -> int | None:
    """A number of source images; RecipeError if it is not at least 1."""
    if limit is not None and (not isinstance(limit, Integral) or isinstance(limit, bool)):
        raise RecipeError(f"limit: {limit!r} is no whole number", "leave it out to use all source images")
    if limit is not None and limit < 1:
        raise RecipeError(f"limit: {limit} is not at least 1", "leave it out to use all source images")
    return limit


def share_of(max_bad: float) -> float:
    """A share of bad images; RecipeError if it is not in [0, 1]."""
    if not isinstance(max_bad, Real) or not 0 <= max_bad <= 1:
        raise RecipeError(f"max_bad: {max_bad} is no share", "give a number from 0 to 1")
    return max_bad


def folder_of(out: StrPath) -> Path:
    """A folder to write; RecipeError if it is no path."""
    if not isinstance(out, (str, os.PathLike)):
        raise RecipeError(f"out: {out!r} is no path", "give the folder to write, such as 'runs/first'")
    return folder_to_write(out)


def path_of(path: StrPath | None) -> Path | None:
    """A path, where there is one."""
    return None if path is None else Path(path)
