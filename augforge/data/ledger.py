"""The ledger: every sample ever seen, as columns. A million samples fit in 1 GB.

What never changes about a sample is in an Arrow table; what the stages decide is in NumPy arrays beside it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from augforge.data.annotations import parse_annotations
from augforge.data.classes import Several, Shares, expected_counts, filed_under
from augforge.data.pictures import parse_pictures
from augforge.data.sample import On, Sample, is_evaluation
from augforge.data.schema import ROWS, ledger_schema, samples_table, score_maps
from augforge.errors import RecipeError, shortened

Indices = NDArray[np.int64]

CHUNK = 4096


class Ledger:
    """Samples as columns: `rows` (Arrow, what they are), and what was decided about them.

    `empty` names those of `classes` of which the sources hold no image.
    """

    def __init__(self, classes: Sequence[str] = (), empty: Sequence[str] = ()) -> None:
        self.classes, self.empty = list(classes), tuple(empty)
        self.rows = ROWS.empty_table()
        self.kept = np.zeros(0, dtype=bool)
        self.dropped = np.zeros(0, dtype=object)
        self.dropped_by = np.zeros(0, dtype=object)
        self.weight = np.zeros(0, dtype=np.float64)
        self.scores: dict[str, NDArray[np.float64]] = {}
        self._places: dict[str, int] | None = None
        self._several = Several()

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def copy(self) -> Ledger:
        """A snapshot that later changes do not affect."""
        made = Ledger()
        made.restore(self)
        return made

    def restore(self, other: Ledger) -> None:
        """Restore the state of `other`."""
        self.classes, self.rows = list(other.classes), other.rows
        self.kept, self.weight = other.kept.copy(), other.weight.copy()
        self.dropped, self.dropped_by = other.dropped.copy(), other.dropped_by.copy()
        self.scores = {name: values.copy() for name, values in other.scores.items()}
        self._places, self._several = None, other._several.copy()

    # -- adding ---------------------------------------------------------------------------------------------

    def extend(self, samples: Iterable[Sample]) -> None:
        """Add samples, in order; in chunks, so that an iterator of a million does not become a list.

        Labels that are not among the classes yet are added to them, in the order in which they come.
        """
        classes = dict.fromkeys(self.classes)
        chunk: list[Sample] = []
        tables: list[pa.Table] = [self.rows]
        decided: list[Sample] = []
        for sample in samples:
            chunk.append(sample)
            decided.append(_decisions_only(sample))
            if sample.label is not None:
                classes.setdefault(sample.label)
            if len(chunk) == CHUNK:
                tables.append(samples_table(chunk))
                chunk = []
        tables.append(samples_table(chunk))
        self._add(pa.concat_tables(tables).unify_dictionaries(), decided)
        self.classes = list(classes)

    def _add(self, rows: pa.Table, decided: Sequence[Sample]) -> None:
        before, self.rows = len(self), rows
        self.kept = np.append(self.kept, [s.kept for s in decided]).astype(bool)
        self.dropped = np.append(self.dropped, np.array([s.dropped for s in decided], dtype=object))
        self.dropped_by = np.append(self.dropped_by, np.array([s.dropped_by for s in decided], dtype=object))
        self.weight = np.append(self.weight, [s.weight for s in decided])
        for name in set(self.scores) | {name for s in decided for name in s.scores}:
            old = self.scores.get(name, np.full(before, np.nan))
            self.scores[name] = np.append(old, [s.scores.get(name, np.nan) for s in decided])

    # -- reading --------------------------------------------------------------------------------------------

    def column(self, name: str, indices: Indices | None = None) -> list[Any]:
        """A column as Python values, of all samples or of `indices`."""
        column = self.rows.column(name)
        return list((column if indices is None else column.take(pa.array(indices))).to_pylist())

    def samples(self, indices: Indices) -> Iterator[Sample]:
        """The samples at `indices`, one after the other."""
        for start in range(0, len(indices), CHUNK):
            part = indices[start : start + CHUNK]
            for index, row in zip(part, self.rows.take(pa.array(part)).to_pylist(), strict=True):
                yield self._sample(int(index), row)

    def _sample(self, index: int, row: Mapping[str, Any]) -> Sample:
        scores = {name: float(values[index]) for name, values in self.scores.items() if not np.isnan(values[index])}
        return Sample(
            **{
                **row,
                "parents": tuple(row["parents"]),
                "sampled_params": json.loads(row["sampled_params"]),
                "pictures": parse_pictures(row["pictures"]),
                "annotations": parse_annotations(row["annotations"]),
                "kept": bool(self.kept[index]),
                "dropped": self.dropped[index],
                "dropped_by": self.dropped_by[index],
                "weight": float(self.weight[index]),
                "scores": scores,
            }
        )

    def by_id(self, ids: Collection[str]) -> dict[str, Sample]:
        """The samples with these ids; ids that are not in the ledger are left out."""
        if self._places is None or len(self._places) != len(self):
            self._places = {identity: place for place, identity in enumerate(self.column("id"))}
        places = np.array(sorted(self._places[i] for i in ids if i in self._places), dtype=np.int64)
        return {sample.id: sample for sample in self.samples(places)}

    def visible(self, on: On = "all") -> Indices:
        """The kept samples that a stage with `on` looks at."""
        if on == "all":
            return np.flatnonzero(self.kept)
        return np.flatnonzero(self.kept & self._of_origin(on))

    def _of_origin(self, origin: str) -> NDArray[np.bool_]:
        return np.asarray(pc.equal(self.rows.column("origin"), origin)).astype(bool)

    def _outside_evaluation(self, indices: Indices) -> Indices:
        keep = np.array([not is_evaluation(split) for split in self.column("split", indices)], dtype=bool)
        found: Indices = indices[keep]
        return found

    def reference(self, unlabelled: bool = False, several: bool = False) -> Indices:
        """The kept real samples outside evaluation splits: what a class looks like.

        Those without a label are included only with `unlabelled`, those with several or a soft one also with `several`.
        """
        indices = self._outside_evaluation(self.visible("real"))
        if unlabelled:
            return indices
        usable = np.array([label is not None for label in self.column("label", indices)], dtype=bool)
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
        return expected_counts(self.column("label", indices), self.several(indices).values(), self.classes)

    def several(self, indices: Indices) -> dict[int, Shares]:
        """The shares of those of `indices` that have several labels or a soft label instead of one, by place in it."""
        known = self._several.of(self.rows)
        if not known:
            return {}
        labels = self.column("label", indices)
        found = zip(indices.tolist(), labels, strict=True)
        return {place: known[i] for place, (i, label) in enumerate(found) if label is None and i in known}

    def filed_under(self, indices: Indices) -> list[str | None]:
        """(n,) the class under which each of `indices` is filed where it can be counted once, None without a class.

        Several labels are filed under the rarest one among the real images outside evaluation splits.
        """
        labels, several = self.column("label", indices), self.several(indices)
        if several:
            counts = self.class_counts(self._outside_evaluation(np.flatnonzero(self._of_origin("real"))))
            for place, shares in several.items():
                labels[place] = filed_under(shares, counts)
        return labels

    def class_index(self, indices: Indices) -> NDArray[np.int64]:
        """(n,) index into `classes`, -1 where a sample has no label."""
        labels = self.rows.column("label").take(pa.array(indices))
        places = pc.fill_null(pc.index_in(labels, value_set=pa.array(self.classes, pa.string())), -1)
        return np.asarray(places).astype(np.int64)

    def filed_index(self, indices: Indices) -> NDArray[np.int64]:
        """(n,) as `filed_under`, as index into `classes`, -1 without a class."""
        found, number = self.class_index(indices), {name: place for place, name in enumerate(self.classes)}
        if several := list(self.several(indices)):
            found[several] = [number.get(str(name), -1) for name in self.filed_under(indices[several])]
        return found

    # -- deciding -------------------------------------------------------------------------------------------

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
            known = shortened(self.classes) or "none"
            raise RecipeError(f"{by}: {unknown[0]!r} is no class of the sources", f"their classes are {known}")
        self.classes += unknown
        self._replace("label", indices, labels)
        self._replace("labelled_by", indices, [by] * len(indices))

    def resplit(self, indices: Indices, splits: Sequence[str]) -> None:
        """Put the samples at `indices` (n,) into `splits` (n,)."""
        self._replace("split", indices, splits)

    def _replace(self, name: str, indices: Indices, values: Sequence[str]) -> None:
        """Write (n,) texts into a column at (n,) distinct `indices`, in any order."""
        place, field = ROWS.get_field_index(name), ROWS.field(name)
        chosen = np.zeros(len(self), dtype=bool)
        chosen[indices] = True
        ordered = pa.array([values[i] for i in np.argsort(indices)], pa.string())
        column = self.rows.column(name).cast(pa.string()).combine_chunks()
        changed = pc.replace_with_mask(column, pa.array(chosen), ordered)
        encoded = changed.dictionary_encode() if pa.types.is_dictionary(field.type) else changed
        self.rows = self.rows.set_column(place, field, encoded)

    def drop(self, indices: Indices, reasons: Any, stage: str) -> None:
        """Mark samples as dropped by `stage`; `reasons` is one text or (n,) texts."""
        self.kept[indices] = False
        self.dropped[indices] = reasons
        self.dropped_by[indices] = stage

    def forget_empty_classes(self) -> list[str]:
        """Leave out the `empty` classes of which there still is no sample; which these were."""
        several = self.several(np.arange(len(self))).values()
        met = {*self.column("label"), *(name for shares in several for name in shares)}
        gone = [name for name in self.empty if name in self.classes and name not in met]
        self.classes = [name for name in self.classes if name not in gone]
        return gone

    def reconcile(self) -> None:
        """Check that every sample is kept, or dropped with a reason by a stage, and that ids are unique.

        Raises:
            ValueError: it is not so, which is a defect of augforge, never of the data.
        """
        gone = ~self.kept
        if not all(self.dropped[gone]) or not all(self.dropped_by[gone]):
            raise ValueError("a dropped sample has no reason")
        if any(self.dropped[self.kept]):
            raise ValueError("a kept sample has a reason to be dropped")
        if len(set(self.column("id"))) != len(self):
            raise ValueError("two samples share an id")

    def drops_by_stage(self) -> dict[str, dict[str, int]]:
        """How many samples each stage dropped, and why: stages in the recipe's order, the usual reasons first."""
        counted: dict[str, Counter[str]] = {}
        for stage, reason in zip(self.dropped_by, self.dropped, strict=True):
            if stage is not None:
                counted.setdefault(stage, Counter())[reason] += 1
        stages = sorted(counted, key=lambda stage: (_number_of(stage), stage))
        return {stage: dict(sorted(counted[stage].items(), key=lambda item: (-item[1], item[0]))) for stage in stages}

    # -- as a table -----------------------------------------------------------------------------------------

    def tables(self, size: int = 65536) -> Iterator[pa.Table]:
        """The whole ledger as Arrow tables of at most `size` rows, with the classes in the schema's metadata."""
        schema = ledger_schema(self.classes)
        for start in range(0, max(1, len(self)), size):
            part = slice(start, min(start + size, len(self)))
            rows = self.rows.slice(part.start, part.stop - part.start)
            columns = {name: rows.column(name).cast(schema.field(name).type) for name in ROWS.names}
            columns |= self._decided(part)
            yield pa.table([columns[name] for name in schema.names], schema=schema)

    def _decided(self, part: slice) -> dict[str, pa.Array]:
        return {
            "kept": pa.array(self.kept[part]),
            "dropped": pa.array(self.dropped[part], pa.string()),
            "dropped_by": pa.array(self.dropped_by[part], pa.string()),
            "weight": pa.array(self.weight[part]),
            "scores": score_maps(self.scores, part),
        }


_PLAIN = Sample(id="", label=None)


def _number_of(stage: str) -> int:
    """The number that begins the title of a stage; 0 of the source."""
    number = stage.partition("-")[0]
    return int(number) if number.isdecimal() else 0


def _decisions_only(sample: Sample) -> Sample:
    """A light stand-in that only remembers what was decided; most samples share one."""
    if sample.kept and sample.weight == 1.0 and not sample.scores:
        return _PLAIN
    names = ("kept", "dropped", "dropped_by", "weight", "scores")
    return replace(_PLAIN, **{name: getattr(sample, name) for name in names})
