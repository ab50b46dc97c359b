"""Label conflicts that `filter: duplicates` found, in a sentence for the report."""

from __future__ import annotations

from collections import defaultdict

import pyarrow as pa

SCORE = "label-conflict"
LISTED = 12


def conflict_notes(rows: pa.Table) -> list[str]:
    """A sentence on the conflicts of a ledger, with the first of them; [] where there is none."""
    groups: dict[float, list[str]] = defaultdict(list)
    columns = (rows.column(name).to_pylist() for name in ("scores", "source", "id", "label"))
    for scores, source, identity, label in zip(*columns, strict=True):
        if (number := dict(scores or ()).get(SCORE)) is not None:
            name = source.rsplit(": ", 1)[-1] if source else identity[:8]
            groups[number].append(f"{name} ({label})")
    if not groups:
        return []
    shown = "; ".join(" = ".join(groups[number]) for number in sorted(groups)[:LISTED])
    more = f"; … {len(groups) - LISTED} more" if len(groups) > LISTED else ""
    count = "1 label conflict" if len(groups) == 1 else f"{len(groups)} label conflicts"
    return [f"{count}: images that look the same and have different labels. {shown}{more}. The score is {SCORE}."]
