"""Every error that augforge raises on purpose.

    AugforgeError               exit 2: what is wrong, where, and what to do about it
    ├── RecipeError             a recipe or an option that cannot be run
    ├── SourceError             a source that cannot be opened as a whole
    │   └── BadImage            one image that cannot be used; costs exactly its own row
    ├── ModelError              a model that is unknown, unfit for the task or not to be had
    ├── StoreError              a run folder that is damaged, locked or of another format version
    ├── RemoteError             an object store that refuses, or does not answer
    ├── TooManyBad              exit 3: more bad images than `max-bad` allows (the ledger is written first)
    ├── ShareDone               exit 0: one of the tasks of an array job has done its share of a run
    └── EmptyResult             exit 3: a stage left or made nothing, or could judge nothing (likewise)

Anything else that escapes is a defect of augforge and shows its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

LISTED = 12
"""Words of a list in a message, after which the others are only counted."""


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


class RemoteError(AugforgeError):
    """An object store that refuses, does not answer, or cannot be spoken to: never the fault of one image."""


class TooManyBad(AugforgeError):
    """More unusable source images than the run allows."""

    exit_code = 3


class ShareDone(AugforgeError):
    """One of several processes that share a run has done its part, and another one is to go on."""

    exit_code = 0


class EmptyResult(AugforgeError):
    """A stage that left no image, made none, or could judge none; `allow_empty` goes on instead."""

    exit_code = 3


def did_you_mean(word: str, known: list[str]) -> str:
    """A hint that names the likely intended one of `known`, or lists them."""
    if (likely := likely_of(word, known)) is not None:
        return f"did you mean {likely!r}?"
    return "known: " + shortened(sorted(known)) if known else ""


def likely_of(word: str, known: Sequence[str]) -> str | None:
    """The one of `known` that `word` begins, the shortest of several, else the one spelt most like it, if any is."""
    begun = [name for name in known if len(word) > 1 and name.startswith(word)]
    close = begun or difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return min(close, key=len) if close else None


def shortened(words: Iterable[str], most: int = LISTED) -> str:
    """The words with commas between them; after `most` of them, how many more there are."""
    listed = list(words)
    more = [f"… {len(listed) - most:,} more"] if len(listed) > most else []
    return ", ".join([*listed[: most if more else None], *more])
