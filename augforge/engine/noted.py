"""How far a run is, noted in its folder for `augforge status`: the result does not depend on it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augforge.errors import AugforgeError, EmptyResult, ModelError, RecipeError, SourceError, TooManyBad
from augforge.progress import Bar, Progress

if TYPE_CHECKING:
    from augforge.recipe import Recipe

NAME = ".progress.json"
REFUSALS = (RecipeError, SourceError, ModelError, TooManyBad, EmptyResult)
"""What ends a run again unless something is changed: its recipe, its source or what is installed."""
EVERY = 2.0
"""Seconds between two notes of the same stage."""


@contextmanager
def noted(recipe: Recipe, folder: Path, shown: Progress, engine: str = "local") -> Iterator[Progress]:
    """Note in `folder`, which is held, what `shown` is told in the block, by which engine, and what ends it."""
    progress = Noted(recipe, folder, shown, engine)
    try:
        yield progress
    except BaseException as error:
        progress.stopped(error)
        raise


def read_note(folder: Path) -> dict[str, Any]:
    """The note of the last run in a folder; {} if there is none."""
    try:
        note = json.loads((folder / NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


class Noted(Progress):
    """Passes on all that it is told. It writes nothing before the run begins to do something."""

    def __init__(self, recipe: Recipe, folder: Path, shown: Progress, engine: str = "local") -> None:
        self._shown, self._path, self._last = shown, folder / NAME, 0.0
        self.command = shown.command
        self._note: dict[str, Any] = {
            "recipe": recipe.name,
            "command": [*shown.command],
            "cwd": str(Path.cwd()),
            "beside": "" if recipe.folder == Path() else str(recipe.folder.absolute()),
            "titles": recipe.titles(),
            "engine": engine,
            "stage": "",
            "planned": {},
        }

    def stopped(self, error: BaseException) -> None:
        """Note what ended the run, if it had begun."""
        if self._last:
            hint = error.hint if isinstance(error, AugforgeError) else ""
            self._write(stopped=_what(error), hint=hint, refused=isinstance(error, REFUSALS))

    @contextmanager
    def bar(self, title: str, total: int, unit: str = "images") -> Iterator[Bar]:
        """The bar that is shown, whose count is noted."""
        with self._shown.bar(title, total, unit) as bar:
            noting = _NotedBar(bar, self, {"title": title, "total": total, "unit": unit, "began": time.time()})
            try:
                yield noting
            finally:
                noting.write()

    def count(self, facts: dict[str, Any], always: bool) -> None:
        """Note how far the bar is, if it has not been noted just now."""
        if always or time.monotonic() - self._last >= EVERY:
            self._write(bar={**facts, "at": time.time()})

    def plan(self, titles: Sequence[str]) -> None:
        """As what is shown."""
        self._shown.plan(titles)
        self._write(titles=list(titles))

    def stage(self, title: str) -> None:
        """As what is shown."""
        self._shown.stage(title)
        self._write(stage=title, bar=None)

    def stands(self, kept: int, dropped: int) -> None:
        """As what is shown."""
        self._shown.stands(kept, dropped)
        self._write(kept=kept, dropped=dropped)

    def making(self, folder: str, planned: int, todo: int, rows: int) -> None:
        """As what is shown."""
        self._shown.making(folder, planned, todo, rows)
        plans = {**self._note["planned"], self._note["stage"]: [folder, planned, todo, rows]}
        self._write(planned=plans)

    def opening(self, text: str) -> None:
        """As what is shown."""
        self._shown.opening(text)

    def say(self, text: str) -> None:
        """As what is shown."""
        self._shown.say(text)

    def about(self, text: str) -> None:
        """As what is shown."""
        self._shown.about(text)

    @contextmanager
    def loading(self, name: str, size: str = "") -> Iterator[None]:
        """As what is shown."""
        with self._shown.loading(name, size):
            yield

    def _write(self, **facts: Any) -> None:
        """Write the note, whole or not at all. A run does not end for want of it."""
        self._note |= facts
        self._last = time.monotonic()
        temporary = self._path.with_suffix(".tmp")
        with suppress(OSError):
            temporary.write_text(json.dumps({**self._note, "at": time.time()}), encoding="utf-8")
            temporary.replace(self._path)
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _what(error: BaseException) -> str:
    """What ended a run, for whoever asks how far it is."""
    if isinstance(error, KeyboardInterrupt):
        return "Ctrl-C"
    said = error.message if isinstance(error, AugforgeError) else str(error)
    return said or type(error).__name__


class _NotedBar(Bar):
    def __init__(self, shown: Bar, progress: Noted, facts: dict[str, Any]) -> None:
        self._shown, self._progress, self._facts = shown, progress, {**facts, "done": 0}
        self.write()

    def advance(self, count: int = 1) -> None:
        self._shown.advance(count)
        self._facts["done"] += count
        self._progress.count(self._facts, always=False)

    def note(self, text: str) -> None:
        self._shown.note(text)
        self._facts["note"] = text

    def write(self) -> None:
        self._progress.count(self._facts, always=True)
