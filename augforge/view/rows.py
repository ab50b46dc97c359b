"""Rows as the page shows them, and counts of rows by what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from augforge.data.annotations import parse_annotations
from augforge.report.shapes import shapes
from augforge.view.build import HAS
from augforge.view.index import Index
from augforge.view.query import Answer
from augforge.view.reviewed import VERDICTS, Decisions

if TYPE_CHECKING:
    from augforge.view.opened import OpenRun

Rows = NDArray[np.int64]

SHOWN = ("source", "dropped", "annotations")
FACETS = ("label", "origin", "stage", "by", "reason", "split", "outcome")


def shown(run: OpenRun, rows: Rows, with_shapes: bool = False) -> list[dict[str, Any]]:
    """What the grid shows of `rows` (m,), in this order; with what is drawn over the pictures if asked for."""
    texts = run.index.texts.take(rows, SHOWN)
    review = run.reviewed.now()
    found = [_shown(run.index, review, row, text) for row, text in zip(rows.tolist(), texts, strict=True)]
    for row, text in zip(found, texts, strict=True) if with_shapes else ():
        row["shapes"] = drawn(text["annotations"], (row["width"], row["height"]))
    return found


def _shown(index: Index, review: Decisions, row: int, text: Mapping[str, Any]) -> dict[str, Any]:
    size = int(index.column("width")[row]), int(index.column("height")[row])
    coded = {name: index.text(name, int(index.column(name)[row])) for name in FACETS if name != "reason"}
    said = parse_annotations(text["annotations"])
    bits = int(index.column("has")[row])
    verdict = int(review.verdict[row])
    return {
        "row": row,
        "id": index.identity(row),
        **coded,
        "kept": bool(index.column("kept")[row]),
        "reason": text["dropped"],
        "width": size[0],
        "height": size[1],
        "hidden": int(index.column("hidden")[row]),
        "file": text["source"],
        "caption": said.get("caption"),
        "has": [name for place, name in enumerate(HAS) if bits >> place & 1],
        "weight": _number(index.column("weight")[row]),
        "verdict": VERDICTS[verdict] if verdict >= 0 else None,
        "marked": bool(review.marked[row]),
        "noted": bool(review.noted[row]),
    }


def drawn(annotations: str | None, size: tuple[int, int]) -> str:
    """What is drawn over a picture of `size` (width, height), as JSON text; "[]" for nothing."""
    return shapes(annotations or "", (size[1], size[0])) or "[]"


def page(run: OpenRun, answer: Answer, offset: int, limit: int, with_shapes: bool) -> list[dict[str, Any]]:
    """Some rows of an answer, with what they were found or sorted by."""
    part = slice(offset, offset + limit)
    rows = answer.rows[part].astype(np.int64)
    found = shown(run, rows, with_shapes)
    if answer.similarity is not None:
        for row, similarity in zip(found, answer.similarity[part].tolist(), strict=True):
            row["similarity"] = _number(similarity)
    sort = answer.spec.sort
    if sort is not None and sort.by.startswith("score:"):
        for row, score in zip(found, run.index.score(sort.by.partition(":")[2])[rows].tolist(), strict=True):
            row["score"] = _number(score)
    return found


def facets(run: OpenRun, rows: NDArray[np.integer[Any]]) -> dict[str, list[list[int]]]:
    """How many of `rows` have each code of each coded column: pairs of code and count, -1 for none."""
    found = {name: _counts(run.index.column(name)[rows], len(run.index.values[name])) for name in FACETS}
    bits = run.index.column("has")[rows]
    has = [[place, int((bits >> place & 1).sum())] for place in range(len(HAS))]
    found["annotation"] = [pair for pair in has if pair[1]]
    found["verdict"] = _counts(run.reviewed.now().verdict[rows], len(VERDICTS))
    return found


def _counts(codes: NDArray[np.integer[Any]], size: int) -> list[list[int]]:
    counts = np.bincount(codes.astype(np.int64) + 1, minlength=size + 1)
    return [[place - 1, int(counts[place])] for place in np.flatnonzero(counts).tolist()]


def histogram(run: OpenRun, rows: NDArray[np.integer[Any]], name: str, bins: int) -> dict[str, Any]:
    """The scores of `rows` in bins over the range of all rows: of all of these, and of the kept ones."""
    facts = next(each for each in run.index.score_facts if each["name"] == name)
    scores = run.index.score(name)[rows]
    known = np.isfinite(scores)
    bounds = (facts["min"] or 0.0, facts["max"] if facts["max"] is not None else 1.0)
    edges = edges_of(*bounds, bins) if bounds[0] <= bounds[1] else edges_of(0.0, 1.0, bins)
    kept = known & run.index.column("kept")[rows]
    return {
        "edges": edges.tolist(),
        "counts": np.histogram(scores[known], edges)[0].tolist(),
        "kept": np.histogram(scores[kept], edges)[0].tolist(),
        "missing": int((~known).sum()),
    }


def edges_of(low: float, high: float, bins: int) -> NDArray[np.float64]:
    """(bins + 1,) the ends of equal bins, however near or far from each other `low` and `high` are.

    NumPy refuses a range that cannot be divided so finely, such as that of 1 and the number before it.
    """
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = 2 * np.linspace(low / 2, high / 2, bins + 1)  # their difference may be more than a number can be
    edges[0], edges[-1] = low, high
    return edges


def _number(value: Any) -> float | None:
    """A finite number as JSON has it, None for others."""
    number = float(value)
    return number if np.isfinite(number) else None
