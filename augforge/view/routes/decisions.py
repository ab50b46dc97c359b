"""What people decide: read, counted, added to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from augforge.review.doubt import to_review
from augforge.review.suggest import suggest
from augforge.view.asked import Asked, Handler
from augforge.view.opened import OpenRun
from augforge.view.refusals import bad_request, forbidden, not_found
from augforge.view.rows import shown
from augforge.view.spec import MOST_IDS, Strict, Text, parsed


class Decision(Strict):
    """A verdict about samples, given by their ids or by a query."""

    ids: Annotated[list[Text], Field(min_length=1, max_length=MOST_IDS)] | None = None
    query: Text | None = None
    verdict: Literal["keep", "drop", "relabel", "mark", "note", "undo"]
    label: Text | None = None
    text: Annotated[str, Field(max_length=10_000)] = ""

    @model_validator(mode="after")
    def _one(self) -> Decision:
        if (self.ids is None) == (self.query is None):
            raise ValueError("give ids or a query")
        return self


def decide(asked: Asked) -> Mapping[str, Any]:
    """Append a verdict about each sample to the file."""
    said = parsed(Decision, asked.json())
    rows = _rows(asked.run, said)
    if said.verdict in ("keep", "relabel"):
        rows = _seen(asked.run, rows, said)
    written = asked.run.reviewed.add(rows, said.verdict, said.label, said.text)
    return {"written": written, "file": asked.run.reviewed.path.name}


def _rows(run: OpenRun, said: Decision) -> NDArray[np.int64]:
    if said.query is not None:
        rows = run.queries.of(said.query).rows.astype(np.int64)
        if len(rows) > MOST_IDS:
            raise bad_request(f"this query has {len(rows):,} samples", f"decide about {MOST_IDS:,} at a time, at most")
        return rows
    ids = list(dict.fromkeys(said.ids or ()))
    rows = run.index.find(ids)
    if (rows < 0).any():
        raise not_found(f"this run has no sample {ids[int(np.argmax(rows < 0))][:80]!r}")
    return rows


def _seen(run: OpenRun, rows: NDArray[np.int64], said: Decision) -> NDArray[np.int64]:
    """Those of `rows` that are not withheld: a verdict that brings an image back is about one that can be looked at."""
    hidden = run.index.column("hidden")[rows] > 0
    if said.ids is not None and hidden.any():
        raise forbidden("what is withheld cannot be kept unseen", "augforge review --withheld shows it")
    return rows[~hidden]


def summary(asked: Asked) -> Mapping[str, Any]:
    """How much was decided."""
    return asked.run.reviewed.summary()


def conflicts(asked: Asked) -> Mapping[str, Any]:
    """The samples about which people disagree."""
    found = asked.run.reviewed.now().standing.conflicts()
    rows = asked.run.index.find([each.sample for each in found])
    there = dict(zip(rows[rows >= 0].tolist(), shown(asked.run, rows[rows >= 0]), strict=True))
    return {
        "conflicts": [
            {"sample": there.get(row), "lines": [line.plain() for line in each.lines]}
            for each, row in zip(found, rows.tolist(), strict=True)
        ]
    }


def following(asked: Asked) -> Mapping[str, Any]:
    """Which samples to look at next, and why these; those that were decided about or are withheld are left out."""
    run = asked.run
    count, seed = asked.number("count", 200, 1, 10_000), asked.number("seed", 0, 0, 2**31)
    hidden = np.flatnonzero(run.index.column("hidden")).tolist()
    done = [*run.reviewed.now().standing.by_sample, *map(run.index.identity, hidden)]
    found = [doubt.plain() for doubt in to_review(run.folder, count, asked.query.get("by", "doubt"), seed, done)]
    return {"ids": [each["sample"] for each in found], "why": found}


def suggestions(asked: Asked) -> Mapping[str, Any]:
    """The cuts that would suit what was decided so far."""
    text = asked.query.get("precision")
    try:
        precision = None if text is None else float(text)
    except ValueError:
        raise bad_request("precision: give a share from 0 to 1") from None
    found = suggest(asked.run.folder, asked.run.reviewed.path, precision)
    return {"suggestions": [each.plain() for each in found]}


ROUTES: list[tuple[str, str, Handler]] = [
    ("POST", "/api/review", decide),
    ("GET", "/api/review", summary),
    ("GET", "/api/review/conflicts", conflicts),
    ("GET", "/api/review/next", following),
    ("GET", "/api/review/suggestions", suggestions),
]
