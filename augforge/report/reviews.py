"""What people decided about the images of a run, in sentences for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from augforge.data.reviewed import read_reviewed
from augforge.errors import shortened

DIGITS, LISTED = 8, 12
UNUSED = {
    "gone": "reviewed images are gone",
    "changed": "reviewed images have other bytes now",
    "unreadable": "images could not be kept as they cannot be read",
}


def review_notes(folder: Path) -> list[str]:
    """Sentences on what the stages did with review files, and on what they could not follow; StoreError if damaged."""
    return [sentence for title, did in read_reviewed(folder).items() for sentence in _sentences(title, did)]


def _sentences(title: str, did: Mapping[str, Any]) -> list[str]:
    counts = {name: did[name] for name in ("kept", "dropped", "relabelled", "chosen") if name in did}
    found = [f"{title}: people decided, in {did['file']}: " + ", ".join(f"{n:,} {what}" for what, n in counts.items())]
    found += [
        f"{title}: {len(did[name]):,} {what}: {_few(did[name])}" for name, what in UNUSED.items() if did.get(name)
    ]
    if conflicts := [conflict["id"] for conflict in did.get("conflicts", ())]:
        found.append(f"{title}: people disagree about {len(conflicts):,} images: {_few(conflicts)}")
    return [f"{sentence}." for sentence in found]


def _few(ids: Sequence[str]) -> str:
    return shortened((identity[:DIGITS] for identity in ids), LISTED)
