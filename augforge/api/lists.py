"""What there is to choose from, sample data to begin with, and a look at the marks of an export."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from augforge.api.shown import Rows, progress_of
from augforge.progress import Progress

if TYPE_CHECKING:
    from augforge.publish.marks.check import Checked


def list_stages() -> Rows[dict[str, str]]:
    """Every stage: its `verb`, its `name` and what it is `about`."""
    return _listed("stages")


def list_models() -> Rows[dict[str, str]]:
    """Every model of the model table: its `name`, what it `does`, its `licence`, `where` it is, `size`, `about`."""
    return _listed("models")


def list_recipes() -> Rows[dict[str, str]]:
    """The recipes in the folder `recipes/` below the current one: the file of each `recipe`, and what it is `about`."""
    return _listed("recipes")


def _listed(what: str) -> Rows[dict[str, str]]:
    from augforge.recipe.listing import listing

    return Rows(listing(what), dict)


def samples(name: str, out: str | os.PathLike[str], *, split: str = "train", replace: bool = False) -> Path:
    """Write a small data set, `digits` or `streets`, into the folder `out`, and return the folder.

    With `replace`, `out` may hold another split or sample data set, which goes.

    Raises:
        SourceError: there is no such data set or split, or `out` holds something else.
    """
    from augforge.io.sample_sets import write

    write(name, Path(out), split, replace=replace)
    return Path(out)


def check_marks(
    folder: str | os.PathLike[str], *, signed: bool | None = None, progress: bool | Progress = False
) -> Checked:
    """Which synthetic images of an export, or of what became of it, have lost their marks.

    Args:
        folder: an export, or any folder that can be a source.
        signed: whether a C2PA manifest is expected; None asks the manifest of the export.
        progress: True for lines on stderr that say how far it is.

    Raises:
        StoreError, SourceError: it is a run folder, or cannot be read.
    """
    from augforge.publish.marks import check

    return check.check_marks(Path(folder), signed, progress_of(progress))
