"""Answer queries: which rows, in which order; and keep the last answers for the pages that scroll through them."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from augforge.view.masks import mask_of
from augforge.view.refusals import Refusal, bad_request
from augforge.view.spec import Like, Sort, Spec

if TYPE_CHECKING:
    from augforge.view.opened import OpenRun

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]

BEGINNING = re.compile(r"[0-9a-f]{4,64}")
"""A word that may be the beginning of an id."""
KEPT_BYTES = 96_000_000
"""Answers that are kept, in bytes; others are worked out again when they are asked for."""
KEPT_QUERIES = 2_000


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows (k,) of a query in order, and with `like` how similar each is, a cosine."""

    spec: Spec
    rows: NDArray[np.int32]
    similarity: Floats | None
    seconds: float

    @property
    def size(self) -> int:
        """Bytes."""
        return int(self.rows.nbytes) + (0 if self.similarity is None else int(self.similarity.nbytes))


class Queries:
    """The queries about one revision of a run, by their ids."""

    def __init__(self, run: OpenRun) -> None:
        self._run = run
        self._specs: OrderedDict[str, Spec] = OrderedDict()
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._lock = Lock()

    def ask(self, spec: Spec) -> tuple[str, Answer]:
        """The id of a query and its answer, worked out anew: decisions may have changed meanwhile."""
        name, found = spec.name(self._run.index.revision), answer(self._run, spec)
        with self._lock:
            self._specs[name] = spec
            self._specs.move_to_end(name)
            while len(self._specs) > KEPT_QUERIES:
                self._specs.popitem(last=False)
        self._keep(name, found)
        return name, found

    def of(self, name: str) -> Answer:
        """The answer to a query that was asked before.

        Raises:
            Refusal: nothing is known of it.
        """
        with self._lock:
            if name in self._answers:
                self._answers.move_to_end(name)
                return self._answers[name]
            spec = self._specs.get(name)
        if spec is None:
            raise Refusal(404, "gone", f"there is no query {name!r} any more", "ask it again")
        found = answer(self._run, spec)
        self._keep(name, found)
        return found

    def _keep(self, name: str, found: Answer) -> None:
        with self._lock:
            self._answers[name] = found
            self._answers.move_to_end(name)
            while len(self._answers) > 1 and sum(each.size for each in self._answers.values()) > KEPT_BYTES:
                self._answers.popitem(last=False)


def answer(run: OpenRun, spec: Spec) -> Answer:
    """The rows that a query asks for.

    Raises:
        Refusal: it names what there is not.
        ModelError: what it is like cannot be embedded.
    """
    began = monotonic()
    passed = mask_of(run, spec.filters)
    if spec.search.strip():
        passed &= searched(run, spec.search)
    rows, similarity = np.flatnonzero(passed), None
    if spec.like is not None:
        rows, similarity = _nearest(run, spec.like, rows, spec.top)
    if spec.sort is not None and spec.sort.by != "similarity":
        order = _order(run, spec.sort, rows)
        rows, similarity = rows[order], None if similarity is None else similarity[order]
    elif spec.sort is not None and not spec.sort.descending and similarity is not None:
        rows, similarity = rows[::-1], similarity[::-1]
    return Answer(spec, rows.astype(np.int32), similarity, monotonic() - began)


def searched(run: OpenRun, text: str) -> NDArray[np.bool_]:
    """(n,) the rows in whose file, caption, prompt or id all words of a text occur, in whatever case.

    An id counts by its beginning, of four digits or more.
    """
    words = text.lower().split()
    found = np.ones((len(words), len(run.index)), dtype=bool)
    start = 0
    for batch in run.index.texts.batches(["found"]):
        part = slice(start, start + batch.num_rows)
        for mask, word in zip(found, words, strict=True):
            mask[part] = np.asarray(pc.match_substring(batch.column(0), word).to_numpy(zero_copy_only=False))
        start = part.stop
    for mask, word in zip(found, words, strict=True):
        if BEGINNING.fullmatch(word):
            mask[run.index.starting_with(word)] = True
    return np.asarray(found.all(axis=0))


def _nearest(run: OpenRun, like: Like, rows: Rows, top: int) -> tuple[Rows, Floats]:
    embedded = run.embedded
    if embedded is None:
        raise bad_request("this run has no stored embeddings to search", "they come with a stage that embeds")
    among = None if len(rows) == len(run.index) else rows
    return embedded.nearest(run.vector_of(like), among, top)


def _order(run: OpenRun, sort: Sort, rows: Rows) -> Rows:
    """Where each of `rows` goes; rows without a value come last, whatever the direction."""
    if sort.by == "ledger":
        return np.arange(len(rows))[:: -1 if sort.descending else 1]
    if sort.by == "random":
        return np.random.default_rng(abs(sort.seed)).permutation(len(run.index))[rows].argsort(kind="stable")
    keys = _keys(run, sort.by)[rows].astype(np.float64)
    keys = -keys if sort.descending else keys
    return np.asarray(np.argsort(keys, kind="stable"))  # NaN comes last


def _keys(run: OpenRun, by: str) -> NDArray[Any]:
    """(n,) what the rows are sorted by."""
    kind, _, name = by.partition(":")
    if kind == "score":
        if name not in run.index.scores:
            raise bad_request(f"this run has no score {name!r}")
        return run.index.score(name)
    if by not in SORTS:
        raise bad_request(
            f"rows cannot be sorted by {by!r}", "by " + ", ".join(["ledger", "random", *SORTS, "score:NAME"])
        )
    return SORTS[by](run)


def _by_id(run: OpenRun) -> NDArray[Any]:
    ranks = np.empty(len(run.index), dtype=np.int64)
    ranks[run.index.column("id_order")] = np.arange(len(run.index))
    return ranks


def _by_label(run: OpenRun) -> NDArray[Any]:
    codes = run.index.column("label")
    return np.where(codes < 0, np.nan, codes.astype(np.float64))


def _by_file(run: OpenRun) -> NDArray[Any]:
    return run.index.column("file_rank")


def _by_size(run: OpenRun) -> NDArray[Any]:
    return np.asarray(run.index.column("width").astype(np.int64) * run.index.column("height"))


def _by_weight(run: OpenRun) -> NDArray[Any]:
    return run.index.column("weight")


SORTS: dict[str, Callable[[OpenRun], NDArray[Any]]] = {
    "id": _by_id,
    "file": _by_file,
    "label": _by_label,
    "size": _by_size,
    "weight": _by_weight,
}
"""What rows can be sorted by, beside scores."""
