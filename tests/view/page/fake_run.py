"""A made-up run behind the contract of the server, for the tests of the page alone: what it holds, and its queries."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import numpy as np

EVIL = (
    "<img src=x onerror=alert(1)>",
    "\"><script>alert('label')</script>",
    "javascript:alert(2)//%00",
    "'-alert(3)-'",
    "a\u202etxt.exe‮ &lt;b&gt;",
)
OUTCOMES = ["real", "synthetic", "not chosen", "filtered out"]
SOURCE, MAKER, FILTER = "source", "1-generate-conditioning", "2-filter-clip"
MEASURE = "clip-prompt"


class FakeRun:
    """`count` samples, two fifths of them real; scores, places and labels by a seed."""

    def __init__(self, count: int, evil: bool = False) -> None:
        random = np.random.default_rng(0)
        self.count = count
        names = list(EVIL) if evil else [f"class {number:02d}" for number in range(50)]
        self.names, self.evil = names, evil
        self.labels = np.minimum(random.exponential(12, count).astype(np.int32), len(names) - 1)
        self.real = np.arange(count) < 2 * count // 5
        self.score = np.where(self.real, np.nan, random.normal(0.3, 0.05, count)).astype(np.float32)
        self.kept = self.real | (self.score >= 0.27)
        self.outcome = np.where(self.real, 0, np.where(self.kept, 1, 3)).astype(np.int32)
        self.places = random.normal(size=(count, 2)).astype(np.float32) + (self.labels % 7)[:, None].astype(np.float32)
        self.ids = [hashlib.sha256(str(row).encode()).hexdigest()[:32] for row in range(count)]
        self.place_of = {key: row for row, key in enumerate(self.ids)}
        self.verdict = np.full(count, -1, np.int32)
        self.marked, self.noted = np.zeros(count, bool), np.zeros(count, bool)
        self.lines: list[dict[str, Any]] = []

    def file(self, row: int) -> str | None:
        return (f"photos: {EVIL[row % 5]}/{row}.jpg" if self.evil else f"photos: {row}.jpg") if self.real[row] else None

    def caption(self, row: int) -> str:
        return f"a photo of {self.names[self.labels[row]]}, {row}"

    @cached_property
    def told(self) -> list[str]:
        """What a search looks through."""
        return [f"{self.ids[row]} {self.file(row)} {self.caption(row)}".lower() for row in range(self.count)]

    def reason(self) -> str:
        return f"{MEASURE}: under {EVIL[0]}" if self.evil else f"{MEASURE}: under …"

    def cut_of(self, options: dict[str, float]) -> np.ndarray:
        """Which rows a changed cut would keep."""
        return self.real | (self.score >= options.get("min", 0.27))

    def masks(self, filters: dict[str, Any]) -> list[np.ndarray]:
        """One mask for each filter."""
        columns = {"label": (self.labels, self.names), "outcome": (self.outcome, OUTCOMES)}
        columns["origin"] = ((~self.real).astype(int), ["real", "synthetic"])
        columns["stage"] = ((~self.real).astype(int), [SOURCE, MAKER])
        columns["verdict"] = (self.verdict, ["keep", "drop", "relabel", "conflict"])
        found = []
        for name, value in filters.items():
            if name in columns:
                codes, values = columns[name]
                found.append(np.isin(codes, [values.index(one) if one in values else -1 for one in value]))
            elif name == "scores":
                for ends in value.values():
                    found.append((self.score >= ends.get("min", -9)) & (self.score <= ends.get("max", 9)))
            elif name == "ids":
                found.append(np.isin(np.arange(self.count), [self.place_of[one] for one in value]))
            elif name == "lasso":
                found.append(inside(self.places, np.array(value["polygon"])))
            elif name == "marked":
                found.append(self.marked == value)
            elif name == "cut":
                then = self.cut_of(value["options"])
                found.append(self.kept & ~then if value["which"] == "go" else then & ~self.kept)
        return found

    def search(self, body: dict[str, Any]) -> np.ndarray:
        """The rows that a query finds, in order."""
        mask = np.ones(self.count, bool)
        for one in self.masks(body.get("filters", {})):
            mask &= one
        words = body.get("search", "").lower().split()
        rows = np.flatnonzero(mask)
        if words:
            rows = np.array([row for row in rows if all(word in self.told[row] for word in words)], int)
        if body.get("like"):
            rows = np.sort(rows[:1000])[::-1]
        sort = body.get("sort") or {}
        if sort.get("by", "").startswith("score:"):
            rows = rows[~np.isnan(self.score[rows])]
            order = np.argsort(self.score[rows], kind="stable")
            rows = rows[order[::-1] if sort.get("descending") else order]
        return rows

    def row(self, row: int, body: dict[str, Any]) -> dict[str, Any]:
        """One row as the server gives it."""
        kept, verdict = bool(self.kept[row]), int(self.verdict[row])
        given: dict[str, Any] = {
            "row": row, "id": self.ids[row], "label": self.names[self.labels[row]], "stage": SOURCE,
            "origin": "real" if self.real[row] else "synthetic", "split": None, "kept": kept,
            "outcome": OUTCOMES[self.outcome[row]], "by": None if kept else FILTER,
            "reason": None if kept else self.reason(), "width": 64, "height": 64, "hidden": int(row % 97 == 96),
            "file": self.file(row), "caption": self.caption(row), "has": ["boxes"], "weight": 1.0,
            "verdict": None if verdict < 0 else ["keep", "drop", "relabel", "conflict"][verdict],
            "marked": bool(self.marked[row]), "noted": bool(self.noted[row]),
        }  # fmt: skip
        if not self.real[row]:
            given["stage"] = MAKER
        if body.get("like"):
            given["similarity"] = 0.5
        if (body.get("sort") or {}).get("by", "").startswith("score:"):
            given["score"] = float(self.score[row])
        return given

    def decide(self, given: dict[str, Any], rows: np.ndarray) -> int:
        """Write verdicts down as the server does; `undo` takes the last line of a sample back."""
        for row in rows:
            key = self.ids[row]
            line = {"who": "Ada", "when": "2026-01-01T00:00:00Z", "id": key, "digest": "d", **given}
            if given["verdict"] == "undo":
                last = next(place for place in range(len(self.lines) - 1, -1, -1) if self.lines[place]["id"] == key)
                del self.lines[last]
            else:
                self.lines.append(line)
            mine = [one["verdict"] for one in self.lines if one["id"] == key]
            last_one = [one for one in mine if one in ("keep", "drop", "relabel")]
            self.verdict[row] = ["keep", "drop", "relabel"].index(last_one[-1]) if last_one else -1
            self.marked[row], self.noted[row] = "mark" in mine, "note" in mine
        return len(rows)


def inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Which points lie in a polygon, by the parity of crossings."""
    x, y = points[:, 0], points[:, 1]
    odd = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            odd ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return odd
