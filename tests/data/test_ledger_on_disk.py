"""The ledger with its rows in files and its texts in pages: the same state machine, and the answers of a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from augforge.data import ledger as ledgers
from augforge.data import rows, texts
from augforge.data.classes import filed_under, shares_of
from augforge.data.ledger import Ledger
from augforge.data.sample import Sample, is_evaluation
from augforge.data.schema import ledger_schema
from tests.data.test_ledger_machine import LedgerMachine

CLASSES = ["cat", "dog", "bird"]
SPLITS = [None, "train", "test"]


class SmallMachine(LedgerMachine):
    """More than 2 rows lie in a file, in batches of 2, and a page has 2 texts."""

    def __init__(self) -> None:
        super().__init__()
        self._patches = [
            patch.object(rows, "IN_MEMORY", 2),
            patch.object(rows, "BATCH_ROWS", 2),
            patch.object(rows, "PIECE", 3),
            patch.object(texts, "PAGE", 2),
        ]
        for each in self._patches:
            each.start()

    def teardown(self) -> None:
        for each in self._patches:
            each.stop()


TestSmallLedger = SmallMachine.TestCase
TestSmallLedger.settings = settings(
    max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `SmallMachine`."""
    for module, name, number in (
        (rows, "IN_MEMORY", 2),
        (rows, "BATCH_ROWS", 2),
        (rows, "PIECE", 3),
        (ledgers, "PIECE", 3),
        (ledgers, "CHUNK", 2),
        (texts, "PAGE", 2),
    ):
        monkeypatch.setattr(module, name, number)


@st.composite
def samples(draw: st.DrawFn) -> list[Sample]:
    """Up to 9 samples of all kinds: labelled, of several labels, soft, dropped, generated."""
    found: list[Sample] = []
    for number in range(draw(st.integers(0, 9))):
        label = draw(st.sampled_from([*CLASSES, None]))
        said = st.sampled_from([{}, {"labels": ["dog", "bird"]}, {"soft_label": {"cat": 0.25, "dog": 0.75}}])
        dropped = draw(st.sampled_from([None, None, "bad", f"bad {number}"]))
        origin = draw(st.sampled_from(["real", "synthetic"]))
        found.append(
            Sample(
                id=draw(st.sampled_from(["", "ab" * 9])) + f"{number:x}",
                label=label,
                origin=origin,
                split=draw(st.sampled_from(SPLITS)),
                digest=draw(st.sampled_from(["d1", "d2", f"d{number}" * 5])),
                parents=tuple(sample.id for sample in found[:2]) if origin == "synthetic" else (),
                annotations={} if label else draw(said),
                kept=dropped is None,
                dropped=dropped,
                dropped_by=dropped and draw(st.sampled_from(["source", "2-filter-x"])),
                weight=draw(st.sampled_from([1.0, 0.5])),
                scores=draw(st.dictionaries(st.sampled_from(["clip", "sharp"]), st.integers(0, 3).map(float))),
            )
        )
    return found


class Listed:
    """What a ledger answers, of a list of samples and with plain loops."""

    def __init__(self, samples: list[Sample]) -> None:
        self.samples = samples

    def visible(self, on: str) -> list[int]:
        return [n for n, each in enumerate(self.samples) if each.kept and on in ("all", each.origin)]

    def shares(self, place: int) -> dict[str, float]:
        return shares_of(self.samples[place].label, self.samples[place].annotations)

    def reference(self, unlabelled: bool, several: bool) -> list[int]:
        found = [n for n in self.visible("real") if not is_evaluation(self.samples[n].split)]
        wanted = (unlabelled or self.samples[n].label is not None or (several and self.shares(n)) for n in found)
        return [n for n, take in zip(found, wanted, strict=True) if take]

    def counts(self, places: list[int]) -> dict[str, float]:
        return {name: sum(self.shares(n).get(name, 0) for n in places) for name in CLASSES}

    def filed(self, place: int) -> str | None:
        real = [n for n, s in enumerate(self.samples) if s.origin == "real" and not is_evaluation(s.split)]
        label = self.samples[place].label
        return label if label is not None else filed_under(self.shares(place), self.counts(real))

    def drops(self) -> dict[str, dict[str, int]]:
        counted: dict[str, Counter[str]] = {}
        for sample in self.samples:
            if sample.dropped_by is not None:
                counted.setdefault(sample.dropped_by, Counter())[str(sample.dropped)] += 1
        return {stage: dict(found) for stage, found in counted.items()}


def rows_of(ledger: Ledger) -> Iterator[dict]:
    for table in ledger.tables(size=4):
        assert table.schema.equals(ledger_schema(CLASSES)) and table.num_rows <= 4
        yield from table.to_pylist()


@pytest.mark.usefixtures("small")
def test_the_answers_are_those_of_a_list(tmp_path: Path) -> None:
    @settings(deadline=None, max_examples=60)
    @given(samples(), st.data())
    def check(known: list[Sample], data: st.DataObject) -> None:
        ledger, cut = Ledger(CLASSES, folder=tmp_path), data.draw(st.integers(0, len(known)))
        ledger.extend(iter(known[:cut]))
        ledger.extend(iter(known[cut:]))
        listed, everyone = Listed(known), np.arange(len(known))
        for on in ("all", "real", "synthetic"):
            assert ledger.visible(on).tolist() == listed.visible(on)
        for unlabelled, several in ((False, False), (True, False), (False, True)):
            assert ledger.reference(unlabelled, several).tolist() == listed.reference(unlabelled, several)
        assert ledger.class_counts() == listed.counts(listed.visible("all"))
        some = np.array(data.draw(st.permutations(range(len(known)))), dtype=np.int64)[: len(known) // 2 + 1]
        assert ledger.filed_under(some) == [listed.filed(n) for n in some]
        index = {name: number for number, name in enumerate(CLASSES)}
        assert ledger.filed_index(some).tolist() == [index.get(str(listed.filed(n)), -1) for n in some]
        assert ledger.class_index(some).tolist() == [index.get(str(known[n].label), -1) for n in some]
        assert ledger.drops_by_stage() == listed.drops()
        assert ledger.dropped.tolist() == [s.dropped for s in known]
        assert ledger.dropped_by.tolist() == [s.dropped_by for s in known]
        assert list(ledger.samples(some)) == [known[n] for n in some]
        names = ("id", "label", "kept", "parents", "dropped_by")
        rows_there = [(s.id, s.label, s.kept, list(s.parents), s.dropped_by) for s in known]
        assert list(ledger.each(names)) == rows_there
        assert list(ledger.each(names, some)) == [rows_there[n] for n in some]
        assert ledger.column("digest", some) == [known[n].digest for n in some]
        assert ledger.order_of_ids(some).tolist() == sorted(range(len(some)), key=lambda p: known[some[p]].id)
        children, parents = ledger.lists("parents", some)
        pairs = [(p, parent.encode()) for p, n in enumerate(some) for parent in known[n].parents]
        assert list(zip(children.tolist(), parents.tolist(), strict=True)) == pairs
        ids = [s.id for s in known]
        assert ledger.find([*ids, "nobody"]).tolist() == [*everyone.tolist(), -1]
        assert ledger.by_id([*ids[::2], "nobody"]) == {s.id: s for s in known[::2]}
        digests = [s.digest for s in known]
        assert ledger.same("digest").tolist() == [digests.index(digest) for digest in digests]
        assert ledger.all_with("digest", ["d1", "dx"]).tolist() == [n for n in everyone if digests[n] == "d1"]
        assert [row["id"] for row in rows_of(ledger)] == ids
        assert [dict(row["scores"]) for row in rows_of(ledger)] == [dict(s.scores) for s in known]
        ledger.reconcile()

    check()


@pytest.mark.usefixtures("small")
def test_a_snapshot_on_the_disk_is_what_it_was(tmp_path: Path) -> None:
    ledger = Ledger(CLASSES, folder=tmp_path)
    ledger.extend(Sample(f"{n:020x}", "cat", digest="d") for n in range(5))
    before = ledger.copy()
    was = pa.concat_tables(before.tables())
    ledger.extend(Sample(f"{n:020x}", "dog", digest="d") for n in range(5, 12))
    ledger.relabel(np.array([0, 6]), ["bird", "bird"], "x")
    ledger.drop(np.array([1, 7]), ["one", "two"], "y")
    assert pa.concat_tables(before.tables()).equals(was) and len(ledger) == 12
    ledger.restore(before)
    assert pa.concat_tables(ledger.tables()).equals(was)
    ledger.extend([Sample("other", "dog")])
    assert ledger.column("id")[-1] == "other" and ledger.find(["other", f"{11:020x}"]).tolist() == [5, -1]


@pytest.mark.usefixtures("small")
def test_an_id_twice_is_found_across_files(tmp_path: Path) -> None:
    ledger = Ledger(CLASSES, folder=tmp_path)
    ledger.extend(Sample(f"{n:020x}", "cat") for n in range(5))
    ledger.extend(Sample(f"{n:020x}", "cat") for n in (7, 8, 4, 9))
    with pytest.raises(ValueError, match="share an id"):
        ledger.reconcile()


def test_a_class_that_is_called_none_is_one() -> None:
    """Were a missing label looked up as a text, it would be of this class."""
    ledger = Ledger(["None"])
    ledger.extend([Sample("a", None), Sample("b", "None")])
    assert ledger.class_index(ledger.visible()).tolist() == [-1, 0]
