"""Untrusted text (labels, file names, prompts) made fit for a terminal: nothing in it moves the cursor."""

from __future__ import annotations

import re

_HIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for the line break, marks that turn the writing direction, and halves of surrogate pairs."""
_HIDDEN_IN_JSON = re.compile("[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with every character that a terminal would obey written out, as \\x1b for escape."""
    return _HIDDEN.sub(_written_out, text)


def printable_json(text: str) -> str:
    """JSON text that says the same and has nothing in it that a terminal would obey."""
    return _HIDDEN_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
