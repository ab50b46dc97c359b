"""Where the review file of a run lies: beside the recipe that it was made from."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from augforge.engine.noted import read_note
from augforge.errors import StoreError
from augforge.provenance.chain import plain_recipe
from augforge.review.log import NAME

RECIPES = (".yaml", ".yml")
SUFFIX = Path(NAME).suffix
BY_NAME = "if decisions are to go there, give the file yourself, with --file or, of view, --review"


def review_file(folder: Path, file: Path | None = None, recipe: Path | None = None) -> Path:
    """Where decisions about a run go: `file` itself, else the file that its stages follow, beside its recipe.

    Args:
        folder: the run folder.
        file: the review file, if it was named.
        recipe: the recipe, if it was named; else the one that the run says it was made from. Of a recipe in no file,
            such as that of a command of one stage, the file is in the present folder.

    Raises:
        StoreError: the run names a file that is not called as one of decisions is. Whoever made the run has chosen that
            name, and lines are appended to the file: it might be one of a shell.
    """
    if file is not None:
        return file
    name = followed_by(folder)
    if Path(name).suffix != SUFFIX:
        raise StoreError(f"the recipe of {folder} follows {name!r}, which does not end in {SUFFIX}", BY_NAME)
    return beside(folder, recipe) / name


def beside(folder: Path, recipe: Path | None = None) -> Path:
    """The folder of the recipe of a run, where the files lie that it names; the present one where there is none."""
    found = recipe or recipe_of(folder)
    if found is not None:
        return found.parent
    noted = Path(str(read_note(folder).get("beside") or ""))
    return from_here(noted) if noted.is_dir() else Path()


def recipe_of(folder: Path) -> Path | None:
    """The file of the recipe that a run was last started with, if it still is there."""
    note = read_note(folder)
    typed, cwd = note.get("command"), Path(str(note.get("cwd", "")))
    for word in typed if isinstance(typed, list) else ():
        path = cwd / str(word)
        if path.suffix in RECIPES and path.is_file():
            return from_here(path)
    return None


def from_here(path: Path) -> Path:
    """A path as it is written in the present folder: relative to it, if it lies there."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def followed_by(folder: Path) -> str:
    """The review file that the recipe of a run names; the usual name where none of its stages follows one."""
    return next(_named(plain_recipe(folder) or {}), NAME)


def is_followed(folder: Path, file: Path) -> bool:
    """Whether a stage of a run follows this review file."""
    place = beside(folder)
    return any((place / name).resolve() == file.resolve() for name in _named(plain_recipe(folder) or {}))


def default_who() -> str:
    """Who is at work here: the name that git knows, else that of the login."""
    with suppress(OSError, subprocess.SubprocessError):
        asked = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, check=False, timeout=5)
        if name := asked.stdout.strip():
            return name
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return "somebody"


def _named(plain: dict[str, Any]) -> Iterator[str]:
    """The files of the stages of a plain recipe that follow one."""
    stages = plain.get("stages")
    for entry in stages if isinstance(stages, list) else ():
        if isinstance(entry, dict) and "review" in (entry.get("filter"), entry.get("select")):
            yield str(entry.get("file", NAME))
