"""The ledger as a state machine: whatever is done to it, nothing disappears, and it comes back as it was written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from augforge.data.ledger import Ledger
from augforge.data.sample import Sample
from augforge.engine.finish import write_ledger
from augforge.errors import RecipeError

TEXT = st.text(max_size=6).filter(lambda text: "\x00" not in text)
LABELS = st.none() | st.sampled_from(["cat", "dog", "naïve 猫", "<b>"])
NUMBERS = st.floats(-1e9, 1e9)
PICK = st.lists(st.integers(0, 10_000), max_size=6)


class LedgerMachine(RuleBasedStateMachine):
    """Beside the ledger a plain list of samples, to which the same is done."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger, self.model = Ledger(["cat"]), list[Sample]()
        self.classes = ["cat"]

    def _some(self, pick: list[int]) -> np.ndarray:
        """Distinct places in the ledger."""
        return np.array(sorted({number % len(self.model) for number in pick}), dtype=np.int64)

    @initialize()
    def begin(self) -> None:
        self.ledger = Ledger(self.classes)

    @rule(
        count=st.integers(0, 5),
        label=LABELS,
        origin=st.sampled_from(["real", "synthetic"]),
        split=st.none() | st.sampled_from(["train", "test"]),
        note=TEXT,
        sampled_params=st.dictionaries(TEXT, NUMBERS, max_size=2),
        broken=st.booleans(),
    )
    def extend(self, count, label, origin, split, note, sampled_params, broken) -> None:
        parents = tuple(sample.id for sample in self.model[:2]) if origin == "synthetic" else ()
        outcome = {"kept": False, "dropped": "truncated", "dropped_by": "source"} if broken else {}
        first = len(self.model)
        new = [
            Sample(
                id=f"{first + n:020x}", label=label, origin=origin, split=split, note=note,
                sampled_params=sampled_params, parents=parents, **outcome,
            )
            for n in range(count)
        ]  # fmt: skip
        self.ledger.extend(iter(new))
        self.model += new
        if new and label is not None and label not in self.classes:
            self.classes.append(label)

    @precondition(lambda self: self.model)
    @rule(pick=PICK, name=st.sampled_from(["clip", "sharpness"]), value=NUMBERS)
    def score(self, pick, name, value) -> None:
        places = self._some(pick)
        self.ledger.score(name, places, np.full(len(places), value))
        for place in places:
            self.model[place] = replace(self.model[place], scores={**self.model[place].scores, name: value})

    @precondition(lambda self: self.model)
    @rule(
        pick=PICK, reason=st.sampled_from(["too dark", "over 0.5"]), stage=st.sampled_from(["1-filter-x", "2-select-y"])
    )
    def drop(self, pick, reason, stage) -> None:
        places = self._some(pick)
        places = places[self.ledger.kept[places]]
        self.ledger.drop(places, [reason] * len(places), stage)
        for place in places:
            self.model[place] = replace(self.model[place], kept=False, dropped=reason, dropped_by=stage)

    @precondition(lambda self: self.model)
    @rule(pick=PICK, label=st.sampled_from(["cat", "dog", "new"]), allowed=st.booleans())
    def relabel(self, pick, label, allowed) -> None:
        places = self._some(pick)
        if len(places) and label not in self.classes and not allowed:
            with pytest.raises(RecipeError):
                self.ledger.relabel(places, [label] * len(places), "1-pseudo-label-x")
            return
        self.ledger.relabel(places, [label] * len(places), "1-pseudo-label-x", new_classes=allowed)
        if len(places) and label not in self.classes:
            self.classes.append(label)
        for place in places:
            self.model[place] = replace(self.model[place], label=label, labelled_by="1-pseudo-label-x")

    @precondition(lambda self: self.model)
    @rule(pick=PICK, split=st.sampled_from(["train", "validation"]))
    def resplit(self, pick, split) -> None:
        places = self._some(pick)
        self.ledger.resplit(places, [split] * len(places))
        for place in places:
            self.model[place] = replace(self.model[place], split=split)

    @precondition(lambda self: self.model)
    @rule(pick=PICK, weight=st.floats(0, 100))
    def weigh(self, pick, weight) -> None:
        places = self._some(pick)
        self.ledger.weight[places] = weight
        for place in places:
            self.model[place] = replace(self.model[place], weight=weight)

    @rule()
    def write_and_read_back(self) -> None:
        with TemporaryDirectory() as folder:
            write_ledger(self.ledger, Path(folder) / "samples.parquet")
            table = pq.read_table(Path(folder) / "samples.parquet")
        assert json.loads(table.schema.metadata[b"augforge"])["classes"] == self.classes
        for row, sample in zip(table.to_pylist(), self.model, strict=True):
            told = {name: row[name] for name in ("id", "label", "origin", "split", "note", "kept", "dropped", "weight")}
            assert told == {name: getattr(sample, name) for name in told}
            assert dict(row["scores"]) == dict(sample.scores) and tuple(row["parents"]) == sample.parents
            assert json.loads(row["sampled_params"]) == dict(sample.sampled_params)

    @invariant()
    def nothing_disappears(self) -> None:
        self.ledger.reconcile()
        assert len(self.ledger) == len(self.model)
        assert list(self.ledger.samples(np.arange(len(self.ledger)))) == self.model

    @invariant()
    def counts_are_those_of_the_samples(self) -> None:
        kept = [place for place, sample in enumerate(self.model) if sample.kept]
        assert self.ledger.visible().tolist() == kept and self.ledger.classes == self.classes
        dropped = sum(sum(reasons.values()) for reasons in self.ledger.drops_by_stage().values())
        assert dropped + len(kept) == len(self.model)
        counts = self.ledger.class_counts()
        assert all(counts[c] == sum(self.model[p].label == c for p in kept) for c in self.classes)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(
    max_examples=40, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
