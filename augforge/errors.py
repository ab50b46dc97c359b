"""Every error that augforge raises on purpose.

    AugforgeError               exit 2: what is wrong, where, and what to do about it
    ├── RecipeError             a recipe or an option that cannot be run
    ├── SourceError             a source that cannot be opened as a whole
    │   └── BadImage            one image that cannot be used; costs exactly its own row
    ├── ModelError              a model that is unknown, unfit for the task or not to be had
    ├── StoreError              a run folder that is damaged, locked or of another format version
    ├── TooManyBad              exit 3: more bad images than `max-bad` allows (the ledger is written first)
    └── EmptyResult             exit 3: a stage left or made nothing, or could judge nothing (likewise)

Anything else that escapes is a defect of augforge and shows its traceback.
"""

from __future__ import annotations

import difflib


class AugforgeError(Exception):
    """An error that the user can fix: `message` says what is wrong and where, `hint` what to do."""

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RecipeError(AugforgeError):
    """A recipe, stage or option that cannot be run."""


class SourceError(AugforgeError):
    """A source that cannot be opened at all."""


class BadImage(SourceError):
    """One image that cannot be used; its sample is dropped with `message` as the reason."""


class ModelError(AugforgeError):
    """A model that is unknown, unfit for its task, or not to be had."""


class StoreError(AugforgeError):
    """A run folder that is damaged, in use by another process, or of another format version."""


class TooManyBad(AugforgeError):
    """More unusable source images than the run allows."""

    exit_code = 3


class EmptyResult(AugforgeError):
    """A stage that left no image, made none, or could judge none; `allow_empty` goes on instead."""

    exit_code = 3


def did_you_mean(word: str, known: list[str]) -> str:
    """A hint that names the likely intended one of `known`, or lists them all."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known: " + ", ".join(sorted(known)) if known else ""
