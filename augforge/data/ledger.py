"""The ledger: every sample ever seen, as columns, of which those that grow with a sample's texts lie on the disk.

What never changes about a sample is in Arrow batches, mapped from a file once there are many. Columns of few different
texts, and what the stages decide, are numbers in NumPy arrays beside them: about 20 bytes a sample, 8 for each measure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from augforge.data.annotations import dump_annotations
from augforge.data.classes import Several, Shares, expected_counts, filed_under
from augforge.data.decisions import Decided, Decisions
from augforge.data.key_index import PIECE, KeyIndex, Keys
from augforge.data.rows import Rows
from augforge.data.sample import On, Sample, is_evaluation
from augforge.data.schema import CODED, STORED, ledger_table, sample_of, samples_batch
from augforge.data.texts import Bytes, Coded, Codes, bytes_of, order_of
from augforge.errors import RecipeError, shortened

Indices = NDArray[np.int64]
CHUNK, EVERYONE = 4096, slice(None)


class Ledger:
    """Samples as columns: what they are (`_rows`, `_coded`), and what was decided about them (`_decided`).

    `empty` names those of `classes` of which the sources hold no image. `folder` is where the file of many rows is
    made, which has no name and is gone with the ledger; without it, where temporary files lie.
    """

    def __init__(self, classes: Sequence[str] = (), empty: Sequence[str] = (), folder: Path | None = None) -> None:
        self.classes, self.empty = list(classes), tuple(empty)
        self._rows = Rows(STORED, folder)
        self._coded = {name: Coded() for name in CODED}
        self._decided = Decisions()
        self._indexes: dict[str, KeyIndex] = {}
        self._several = Several()
        self.words: dict[str, dict[str, list[str]]] = {}  # lists by attribute and class, for prompts

    def __len__(self) -> int:
        return len(self._rows)

    def copy(self) -> Ledger:
        """A snapshot that later changes do not affect."""
        made = Ledger()
        made.restore(self)
        return made

    def restore(self, other: Ledger) -> None:
        """Restore the state of `other`."""
        self.classes, self._rows = list(other.classes), other._rows.copy()
        self._coded = {name: column.copy() for name, column in other._coded.items()}
        self._decided, self._several = other._decided.copy(), other._several.copy()
        self.words, self._indexes = dict(other.words), {}

    def extend(self, samples: Iterable[Sample]) -> None:
        """Add samples, in order; in chunks, so that an iterator of a million does not become a list.

        Labels that are not among the classes yet are added to them, in the order in which they come.
        """
        classes = dict.fromkeys(self.classes)
        coded: dict[str, list[Codes]] = {name: [] for name in CODED}
        decided: list[Decided] = []

        def batches() -> Iterator[pa.RecordBatch]:
            waiting = iter(samples)
            while chunk := list(islice(waiting, CHUNK)):
                classes.update(dict.fromkeys(s.label for s in chunk if s.label is not None))
                for name, column in self._coded.items():
                    coded[name].append(column.numbers([getattr(s, name) for s in chunk]))
                decided.append(self._decided.said_of(chunk))
                yield samples_batch(chunk)

        self._rows.extend(batches())
        for name, column in self._coded.items():
            column.extend(coded[name])
        self._decided.extend(decided)
        self.classes = list(classes)

    @property
    def kept(self) -> NDArray[np.bool_]:
        """(n,) who is kept; may be written to."""
        return self._decided.kept

    @property
    def weight(self) -> NDArray[np.float64]:
        """(n,) weights; may be written to."""
        return self._decided.weight

    @property
    def scores(self) -> dict[str, NDArray[np.float64]]:
        """(n,) of each measure, NaN where it is not known."""
        return self._decided.scores

    @property
    def dropped(self) -> NDArray[np.object_]:
        """(n,) why each was dropped, None of those that are kept; made anew each time."""
        return self._decided.reasons.objects()

    @property
    def dropped_by(self) -> NDArray[np.object_]:
        """(n,) which stage dropped each, None of those that are kept; made anew each time."""
        return self._decided.stages.objects()

    def column(self, name: str, indices: Indices | None = None) -> list[Any]:
        """A column as Python values, of all samples or of `indices`; `texts` and `coded` take less memory."""
        if name in self._coded:
            return self._coded[name].list(EVERYONE if indices is None else indices)
        return [value for piece in self._rows.pieces(name, indices) for value in piece.to_pylist()]

    def texts(self, name: str, indices: Indices | None = None) -> Bytes:
        """(n,) a column of texts, such as `id` or `digest`, in UTF-8: their order is that of the texts."""
        return self._rows.texts(name, indices)

    def numbers(self, name: str, indices: Indices | None = None) -> NDArray[np.int64]:
        """(n,) a column of whole numbers, such as `width`."""
        pieces = [np.asarray(piece) for piece in self._rows.pieces(name, indices)]
        return np.concatenate([np.zeros(0, dtype=np.int64), *pieces])

    def lists(self, name: str, indices: Indices | None = None) -> tuple[Indices, Bytes]:
        """A column of lists of texts, such as `parents`: (q,) whose place in `indices` has (q,) which text."""
        rows, texts, start = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype="S1")], 0
        for piece in self._rows.pieces(name, indices):
            rows.append(start + np.repeat(np.arange(len(piece)), np.asarray(piece.value_lengths())))
            texts.append(bytes_of(piece.flatten()))
            start += len(piece)
        return np.concatenate(rows), np.concatenate(texts)

    def order_of_ids(self, indices: Indices | None = None) -> Indices:
        """(n,) the places of all samples, or in `indices`, in the order of their ids."""
        return order_of(self.texts("id", indices))

    def sorted_by(self, name: str) -> Indices:
        """(n,) all samples in the order of a column of texts of any length; of equal ones the first comes first."""
        column = pa.chunked_array(self._rows.pieces(name), STORED.field(name).type)
        return np.asarray(pc.sort_indices(column)).astype(np.int64)

    def coded(self, name: str) -> Coded:
        """A column of few different texts, or `dropped` or `dropped_by`: by what it says one may choose and count."""
        decided = {"dropped": self._decided.reasons, "dropped_by": self._decided.stages}
        return decided[name] if name in decided else self._coded[name]

    def each(self, names: Sequence[str], indices: Indices | None = None) -> Iterator[tuple[Any, ...]]:
        """Some columns of all samples or of `indices`, one sample after the other; `kept` and the reasons too."""
        count, stored = len(self) if indices is None else len(indices), [name for name in names if name in STORED.names]
        for start in range(0, count, PIECE):
            part = np.arange(start, min(start + PIECE, count)) if indices is None else indices[start : start + PIECE]
            table = self._rows.take(part, stored)  # many at a time, as each batch is asked for some of them
            for first in range(0, len(part), CHUNK):
                few = part[first : first + CHUNK]
                yield from zip(*(self._listed(name, few, table.slice(first, CHUNK)) for name in names), strict=True)

    def _listed(self, name: str, part: Indices, stored: pa.Table) -> list[Any]:
        if name in STORED.names:
            return list(stored.column(name).to_pylist())
        return self.kept[part].tolist() if name == "kept" else self.coded(name).list(part)

    def samples(self, indices: Indices) -> Iterator[Sample]:
        """The samples at `indices`, one after the other."""
        for start in range(0, len(indices), CHUNK):
            part = indices[start : start + CHUNK]
            coded = zip(*(column.list(part) for column in self._coded.values()), strict=True)
            stored = self._rows.take(part, STORED.names).to_pylist()
            for row, said, decided in zip(stored, coded, self._decided.rows(part), strict=True):
                yield sample_of(row, {**dict(zip(CODED, said, strict=True)), **decided})

    def find(self, ids: Keys) -> Indices:
        """(n,) where the samples with these ids are, -1 for ids that are not in the ledger."""
        return self._index("id").find(ids) if len(ids) else np.zeros(0, dtype=np.int64)

    def all_with(self, name: str, texts: Keys) -> Indices:
        """Where all samples are that have one of `texts` in the column, such as `digest`, rising."""
        return self._index(name).all(texts)

    def same(self, name: str) -> Indices:
        """(n,) the first sample that has the same text in a column, such as `digest`, as each."""
        return self._index(name).same()

    def distinct(self, name: str, indices: Indices) -> int:
        """How many different texts the samples at `indices` have in a column, such as `digest`."""
        return int(np.count_nonzero(np.bincount(self.same(name)[indices])))

    def _index(self, name: str) -> KeyIndex:
        if name not in self._indexes or len(self._indexes[name]) != len(self):
            self._indexes[name] = KeyIndex([pa.chunked_array(self._rows.pieces(name), pa.string())])
        return self._indexes[name]

    def by_id(self, ids: Collection[str]) -> dict[str, Sample]:
        """The samples with these ids; ids that are not in the ledger are left out."""
        places = self.find(list(ids))
        return {sample.id: sample for sample in self.samples(np.unique(places[places >= 0]))}

    def visible(self, on: On = "all") -> Indices:
        """The kept samples that a stage with `on` looks at."""
        return np.flatnonzero(self.kept if on == "all" else self.kept & self._coded["origin"].equal(on))

    def in_evaluation(self, indices: Indices) -> NDArray[np.bool_]:
        """(n,) which of `indices` are in a split for evaluation."""
        return self._coded["split"].mapped(is_evaluation, bool, indices)

    def reference(self, unlabelled: bool = False, several: bool = False) -> Indices:
        """The kept real samples outside evaluation splits: what a class looks like.

        Those without a label are included only with `unlabelled`, those with several or a soft one also with `several`.
        """
        indices = self.visible("real")
        indices = indices[~self.in_evaluation(indices)]
        if unlabelled:
            return indices
        usable = self._coded["label"].codes[indices] >= 0
        usable[list(self.several(indices)) if several else []] = True
        chosen: Indices = indices[usable]
        return chosen

    def conditioning(self, split: str, unlabelled: bool = False) -> dict[str | None, list[Sample]]:
        """The kept real samples that a generator may look at, by class: in `split` or without one, never evaluation.

        With `unlabelled` there is one more pool, under None, of those without a label.
        """
        pools: dict[str | None, list[Sample]] = {label: [] for label in [*self.classes, *([None] * unlabelled)]}
        for sample in self.samples(self.reference(unlabelled)):
            if sample.split in (None, split):
                pools[sample.label].append(sample)
        return pools

    def class_counts(self, indices: Indices | None = None) -> dict[str, float]:
        """How many samples of each class are expected, of `indices` or of all kept ones; classes without any included.

        See `augforge.data.classes`: whole numbers, unless there are soft labels.
        """
        indices = self.visible() if indices is None else indices
        return expected_counts(self._coded["label"].counts(indices), self.several(indices).values(), self.classes)

    def several(self, indices: Indices) -> dict[int, Shares]:
        """The shares of those of `indices` that have several labels or a soft label instead of one, by place in it."""
        if not (known := self._several.of(len(self), self._said_of_labels)):
            return {}
        candidates = np.flatnonzero(self._coded["label"].codes[indices] < 0)
        return {place: known[i] for place in candidates.tolist() if (i := int(indices[place])) in known}

    def _said_of_labels(self, start: int) -> Iterator[pa.Table]:
        """The columns `label` and `annotations` of the rows from `start` on, a batch at a time."""
        for batch in self._rows.batches(["annotations"], start):
            part = slice(start, start + batch.num_rows)
            yield pa.table({"label": self._coded["label"].arrow(part), "annotations": batch.column(0)})
            start = part.stop

    def filed_under(self, indices: Indices) -> list[str | None]:
        """(n,) the class under which each of `indices` is filed where it can be counted once, None without a class.

        Several labels are filed under the rarest one among the real images outside evaluation splits.
        """
        labels = self.column("label", indices)
        for place, name in self._filed(indices).items():
            labels[place] = name
        return labels

    def _filed(self, indices: Indices) -> dict[int, str | None]:
        """The class under which those of `indices` with several labels or a soft one are filed, by place in it."""
        if not (several := self.several(indices)):
            return {}
        real = np.flatnonzero(self._coded["origin"].equal("real"))
        counts = self.class_counts(real[~self.in_evaluation(real)])
        return {place: filed_under(shares, counts) for place, shares in several.items()}

    def class_index(self, indices: Indices) -> NDArray[np.int64]:
        """(n,) index into `classes`, -1 where a sample has no label."""
        number = {name: place for place, name in enumerate(self.classes)}
        return self._coded["label"].mapped(lambda name: -1 if name is None else number.get(name, -1), np.int64, indices)

    def filed_index(self, indices: Indices) -> NDArray[np.int64]:
        """(n,) as `filed_under`, as index into `classes`, -1 without a class."""
        found, number = self.class_index(indices), {name: place for place, name in enumerate(self.classes)}
        for place, name in self._filed(indices).items():
            found[place] = number.get(str(name), -1)
        return found

    def score(self, name: str, indices: Indices, values: NDArray[np.float64]) -> None:
        """Write a measure for `indices`; other samples keep their scores."""
        column = self.scores.setdefault(name, np.full(len(self), np.nan))
        column[indices] = values

    def relabel(self, indices: Indices, labels: Sequence[str], by: str, new_classes: bool = False) -> None:
        """Give the samples at `indices` (n,) the `labels` (n,), as the stage `by` says.

        Raises:
            RecipeError: a label is none of the classes, and `new_classes` does not allow to add it.
        """
        unknown = [label for label in dict.fromkeys(labels) if label not in set(self.classes)]
        if unknown and not new_classes:
            problem, known = f"{by}: {unknown[0]!r} is no class of the sources", shortened(self.classes) or "none"
            raise RecipeError(problem, f"their classes are {known}")
        self.classes += unknown
        self._coded["label"].write(indices, labels)
        self._coded["labelled_by"].write(indices, by)

    def annotate(self, indices: Indices, annotations: Iterable[Mapping[str, Any]]) -> None:
        """Give the samples at `indices` (n,) other `annotations` (n,), which say the same of their classes."""
        self._rows = self._rows.changed("annotations", indices, map(dump_annotations, annotations))

    def resplit(self, indices: Indices, splits: Sequence[str]) -> None:
        """Put the samples at `indices` (n,) into `splits` (n,)."""
        self._coded["split"].write(indices, splits)

    def drop(self, indices: Indices, reasons: Any, stage: str) -> None:
        """Mark samples as dropped by `stage`; `reasons` is one text or (n,) texts."""
        self._decided.drop(indices, reasons, stage)

    def bring_back(self, indices: Indices) -> None:
        """Keep samples that were dropped."""
        self._decided.bring_back(indices)

    def forget_empty_classes(self) -> list[str]:
        """Leave out the `empty` classes of which there still is no sample; which these were."""
        several = self.several(np.arange(len(self))).values() if self.empty else ()
        met = {*self._coded["label"].counts()}.union(*several)
        gone = [name for name in self.empty if name in self.classes and name not in met]
        self.classes = [name for name in self.classes if name not in gone]
        return gone

    def reconcile(self) -> None:
        """Check that every sample is kept, or dropped with a reason by a stage, and that ids are unique.

        Raises:
            ValueError: it is not so, which is a defect of augforge, never of the data.
        """
        self._decided.reconcile()
        if self._index("id").repeats():
            raise ValueError("two samples share an id")

    def drops_by_stage(self) -> dict[str, dict[str, int]]:
        """How many samples each stage dropped, and why: stages in the recipe's order, the usual reasons first."""
        return self._decided.drops_by_stage()

    def tables(self, size: int = 65536) -> Iterator[pa.Table]:
        """The whole ledger as Arrow tables of at most `size` rows, with the classes in the schema's metadata."""
        for start in range(0, max(1, len(self)), size):
            part = slice(start, min(start + size, len(self)))
            stored = pa.Table.from_batches(self._rows.batches(STORED.names, part.start, part.stop), STORED)
            coded = {name: column.arrow(part) for name, column in self._coded.items()}
            yield ledger_table(self.classes, stored, {**coded, **self._decided.columns(part)})
