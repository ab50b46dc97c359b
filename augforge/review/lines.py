"""One line of a review file: who decided what about which image, when."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from augforge.errors import RecipeError, did_you_mean

DECISIVE = ("keep", "drop", "relabel")
"""Verdicts of which a person has one about an image: the last one."""
VERDICTS = (*DECISIVE, "mark", "note", "undo")
LONGEST = 10_000
"""Most characters of a text."""
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
_KEYS = {"when": "when", "who": "who", "id": "sample", "digest": "digest", "verdict": "verdict"}
_MORE = {"label": "label", "text": "text"}
"""What a key of the file is called here: those that every line has, and those that some have."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one person decided about one image at one time.

    `sample` is the id of the image and `digest` the SHA-256 of its bytes when it was looked at. `label` is the new
    label of a `relabel`, and no other verdict has one. `text` is why an image is kept, dropped or relabelled, the text
    of a `note`, or what a `mark` is called; only a note must have one. `when` is UTC, as `now_utc` writes it.

    Raises:
        RecipeError: it cannot be a line.
    """

    who: str
    when: str
    sample: str
    digest: str
    verdict: str
    label: str | None = None
    text: str = ""

    def __post_init__(self) -> None:
        for name in ("who", "when", "sample", "digest", "verdict", "text"):
            _check_text(name, getattr(self, name))
        if self.verdict not in VERDICTS:
            raise RecipeError(f"there is no verdict {self.verdict!r}", did_you_mean(self.verdict, list(VERDICTS)))
        _check_time(self.when)
        self._check_label()
        if self.verdict == "note" and not self.text:
            raise RecipeError("a note needs a text")

    def _check_label(self) -> None:
        if self.verdict == "relabel":
            if self.label is None:
                raise RecipeError("a relabel needs a label")
            _check_text("label", self.label)
        elif self.label is not None:
            raise RecipeError(f"a {self.verdict} has no label")

    @property
    def moment(self) -> datetime:
        """When it was decided."""
        return datetime.fromisoformat(self.when)

    @property
    def says(self) -> tuple[str, str | None]:
        """The verdict, and the label that goes with it: what two people agree or disagree on."""
        return self.verdict, self.label

    def plain(self) -> dict[str, str]:
        """As the file has it, by its keys; what is empty is left out."""
        named = {key: getattr(self, name) for key, name in {**_KEYS, **_MORE}.items()}
        return {key: value for key, value in named.items() if key in _KEYS or value}

    def json(self) -> str:
        """As the file has it: one line, without its end."""
        return json.dumps(self.plain(), ensure_ascii=False)


def line_of(plain: Any) -> Line:
    """The line that a JSON value is; RecipeError if it is none."""
    if not isinstance(plain, Mapping):
        raise RecipeError("it is no JSON object")
    known = {**_KEYS, **_MORE}
    for key in plain:
        if key not in known:
            raise RecipeError(f"unknown key {key!r}", did_you_mean(str(key), list(known)))
    for key in _KEYS:
        if key not in plain:
            raise RecipeError(f"key {key!r} is missing")
    return Line(**{known[key]: value for key, value in plain.items()})


def now_utc() -> str:
    """The time, in UTC to the microsecond, as lines have it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise RecipeError(f"{name}: {value!r} is no text")
    if not value.strip() and name != "text":
        raise RecipeError(f"{name}: it is empty")
    if len(value) > LONGEST:
        raise RecipeError(f"{name}: it has {len(value):,} characters, the most are {LONGEST:,}")
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise RecipeError(f"{name}: it is no text in UTF-8") from error


def _check_time(when: str) -> None:
    try:
        valid = _UTC.fullmatch(when) is not None and datetime.fromisoformat(when) is not None
    except ValueError:
        valid = False
    if not valid:
        raise RecipeError(f"when: {when!r} is no time in UTC", "for example 2026-05-01T09:30:00Z")
