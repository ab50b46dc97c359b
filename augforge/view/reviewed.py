"""What people decided about the samples of a run, as columns; read again whenever the file has changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from augforge.errors import RecipeError
from augforge.review.lines import Line, now_utc
from augforge.review.log import append, read_review, review_digest
from augforge.review.standing import Standing, standing
from augforge.view.index import Index
from augforge.view.refusals import bad_request

VERDICTS = ("keep", "drop", "relabel", "conflict")
"""What is said of a sample as a whole, by its code."""

Rows = NDArray[np.int64]


class Decisions(NamedTuple):
    """The file as it was: its size and time, what stands of it about this run, and the columns (n,).

    A line about other bytes than an image has now does not count, as in a stage that follows the file. About `gone`
    images there are lines, but not they in the run; about `changed` ones there are lines that do not count.
    """

    stamp: tuple[int, int]
    standing: Standing
    lines: int
    verdict: NDArray[np.int8]
    marked: NDArray[np.bool_]
    noted: NDArray[np.bool_]
    gone: int
    changed: int


class Reviewed:
    """The decisions in `path` about the samples of `index`; `who` is the person whose decisions are added."""

    def __init__(self, index: Index, path: Path, who: str) -> None:
        self._index, self.path, self.who = index, path, who
        self._lock = Lock()
        self._read: Decisions | None = None

    def now(self) -> Decisions:
        """The file as it is now. StoreError where a line of it is none."""
        stamp = stamp_of(self.path)
        with self._lock:
            if self._read is None or self._read.stamp != stamp:
                self._read = self._columns(stamp)
            return self._read

    def _columns(self, stamp: tuple[int, int]) -> Decisions:
        lines = read_review(self.path)
        all_ = standing(lines)
        said = all_.by_sample
        ids = list(said)
        rows = self._index.find(ids)
        here = [identity for identity, row in zip(ids, rows.tolist(), strict=True) if row >= 0]
        digests = [row["digest"] for row in self._index.texts.take(rows[rows >= 0], ["digest"])]
        stands = all_.current(dict(zip(here, digests, strict=True)))
        changed = sum(stands.by_sample.get(identity) != said[identity] for identity in here)
        size = len(self._index)
        verdict = np.full(size, -1, dtype=np.int8)
        marked, noted = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
        for identity, row in zip(ids, rows.tolist(), strict=True):
            if identity in stands.by_sample:
                kinds = {line.verdict for line in stands.by_sample[identity]}
                verdict[row], marked[row], noted[row] = _code(stands, identity), "mark" in kinds, "note" in kinds
        return Decisions(stamp, stands, len(lines), verdict, marked, noted, int((rows < 0).sum()), changed)

    def by(self, people: Sequence[str]) -> NDArray[np.bool_]:
        """(n,) about which samples one of `people` said something that stands."""
        asked = set(people)
        said = self.now().standing.by_sample
        ids = [identity for identity, lines in said.items() if asked & {line.who for line in lines}]
        found = np.zeros(len(self._index), dtype=bool)
        rows = self._index.find(ids)
        found[rows[rows >= 0]] = True
        return found

    def lines_of(self, identity: str) -> list[dict[str, Any]]:
        """What stands about a sample, the earliest first."""
        return [line.plain() for line in self.now().standing.by_sample.get(identity, ())]

    def add(self, rows: Rows, verdict: str, label: str | None, text: str) -> int:
        """Append a line for each of `rows`; how many.

        Raises:
            Refusal: there can be no such line.
            StoreError: the file cannot be written.
        """
        when = now_utc()
        digests = [row["digest"] for row in self._index.texts.take(rows, ["digest"])]
        try:
            lines = [
                Line(self.who, when, self._index.identity(row), digest or "", verdict, label, text)
                for row, digest in zip(rows.tolist(), digests, strict=True)
            ]
        except RecipeError as error:
            raise bad_request(error.message, error.hint) from error
        append(self.path, lines)
        return len(lines)

    def summary(self) -> dict[str, Any]:
        """How much was decided, and by whom."""
        now = self.now()
        counts = np.bincount(now.verdict[now.verdict >= 0], minlength=len(VERDICTS)).tolist()
        people = Counter(line.who for lines in now.standing.by_sample.values() for line in lines)
        return {
            "file": self.path.name,
            "lines": now.lines,
            "reviewed": int((now.verdict >= 0).sum()),
            "verdicts": dict(zip(VERDICTS, counts, strict=True)),
            "marked": int(now.marked.sum()),
            "noted": int(now.noted.sum()),
            "conflicts": len(now.standing.conflicts()),
            "gone": now.gone,
            "changed": now.changed,
            "who": [name for name, _ in people.most_common()],
            "digest": review_digest(self.path),
        }


def _code(stands: Standing, identity: str) -> int:
    """The code of what is said of a sample as a whole, -1 where nobody decided."""
    decision = stands.decision(identity)
    if decision is not None:
        return VERDICTS.index(decision.verdict)
    return VERDICTS.index("conflict") if stands.verdicts(identity) else -1


def stamp_of(path: Path) -> tuple[int, int]:
    """Size and time of change of a file of decisions; zeros of one that is not there."""
    try:
        stat = path.stat()
    except OSError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns
