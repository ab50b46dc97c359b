"""Lists in the answers of language models."""

from __future__ import annotations

import re

MARK = re.compile(r"^\s*(?:\d{1,3}\s*[.):]|[-*\u2022])\s*")
"""What stands before an entry: a number or a bullet."""


def phrases(text: str, count: int) -> list[str]:
    """The entries of a list, each once, `count` at most: its lines, or what stands between the commas of a single one.

    Numbers, bullets, quotes and a full stop around an entry are no part of it, nor is what cannot be printed. A line
    that ends with a colon announces the list.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    entries = lines[0].split(",") if len(lines) == 1 and not MARK.match(lines[0]) else lines
    found = dict.fromkeys(_words(entry) for entry in entries)
    return [entry for entry in found if entry and not entry.endswith(":")][:count]


def _words(entry: str) -> str:
    printed = "".join(letter if letter.isprintable() else " " for letter in MARK.sub("", entry))
    return " ".join(printed.split()).strip(" .\"'*{}")
