"""Review files and runs for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from augforge.review.lines import Line
from augforge.review.log import append


def line(who: str = "ann", second: int = 0, sample: str = "a1", verdict: str = "drop", **more: Any) -> Line:
    """A line of a made-up time; a relabel gets a label and a note a text."""
    given = {"label": "dog"} if verdict == "relabel" else {"text": "why"} if verdict == "note" else {}
    when = f"2026-05-01T09:{second // 60:02}:{second % 60:02}Z"
    return Line(who, when, sample, more.pop("digest", "d" * 64), verdict, **{**given, **more})


def rows(out: Path) -> dict[str, dict[str, Any]]:
    """The ledger of a run, by id."""
    return {row["id"]: row for row in pq.read_table(out / "samples.parquet").to_pylist()}


def decide(path: Path, out: Path, verdicts: dict[str, dict[str, Any]], who: str = "ann", second: int = 0) -> None:
    """Append a line for each of some samples of a run: `verdict` and what belongs to it, by id."""
    known = rows(out)
    append(path, [line(who, second, i, digest=known[i]["digest"], **said) for i, said in verdicts.items()])
