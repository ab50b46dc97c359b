"""The ledger loses nothing, says why, and fits a million samples in 1 GB."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from augforge.data.ledger import Ledger
from augforge.data.sample import Sample
from augforge.data.schema import ledger_schema
from augforge.errors import RecipeError


def some(count, **given):
    return [Sample(id=f"{i:020x}", label="ab"[i % 2], digest=f"d{i}", **given) for i in range(count)]


@pytest.fixture
def ledger():
    ledger = Ledger(["a", "b", "empty"])
    ledger.extend(some(6))
    ledger.extend(
        [
            Sample(
                id="s1",
                label="a",
                origin="synthetic",
                parents=("0" * 20,),
                seed=3,
                sampled_params={"lam": 0.5},
                generation_config="{}",
            )
        ]
    )
    return ledger


def test_samples_come_back_equal(ledger):
    samples = [
        Sample(id="x", label=None, sampled_params={"box": [0.1, 0.2]}, note="é", scores={"clip": 0.5}, weight=2.0),
        Sample(id="m", label="a", pictures={"mask": "ab" * 32}, labelled_by="1-pseudo-label-confidence"),
        Sample(id="y", label="a", kept=False, dropped="bad", dropped_by="source", parents=("x", "z"), seed=2**62),
    ]
    ledger.extend(samples)
    assert list(ledger.samples(np.array([7, 8, 9]))) == samples


def test_visible_follows_on_and_drops(ledger):
    assert len(ledger.visible()) == 7
    assert ledger.visible("synthetic").tolist() == [6]
    ledger.drop(np.array([0, 6]), ["one", "two"], "1-filter-x")
    assert ledger.visible("real").tolist() == [1, 2, 3, 4, 5]
    assert ledger.drops_by_stage() == {"1-filter-x": {"one": 1, "two": 1}}
    assert ledger.class_counts() == {"a": 2, "b": 3, "empty": 0}
    ledger.reconcile()


def test_a_drop_without_a_reason_is_a_defect(ledger):
    ledger.kept[0] = False
    with pytest.raises(ValueError, match="no reason"):
        ledger.reconcile()


def test_an_id_twice_is_a_defect(ledger):
    ledger.extend(some(1))
    with pytest.raises(ValueError, match="share an id"):
        ledger.reconcile()


def test_an_evaluation_split_never_conditions():
    ledger = Ledger(["a", "b"])
    ledger.extend(some(2, split="train"))
    ledger.extend([Sample(id=name, label="a", split=name) for name in ("validation", "test", "val", "extra")])
    ledger.extend([Sample(id="free", label="a")])
    assert {s.id for s in ledger.conditioning("train")["a"]} == {f"{0:020x}", "free"}
    assert {s.id for s in ledger.conditioning("test")["a"]} == {"free"}  # even when asked for


def test_the_unlabelled_condition_only_where_they_are_asked_for(ledger):
    ledger.extend([Sample(id="loose", label=None), Sample(id="held", label=None, split="test")])
    assert set(ledger.conditioning("train")) == {"a", "b", "empty"}
    pools = ledger.conditioning("train", unlabelled=True)
    assert [s.id for s in pools[None]] == ["loose"] and len(pools["a"]) == 3 and pools["empty"] == []
    assert "loose" not in ledger.column("id", ledger.reference())


def test_a_label_that_no_source_announced_becomes_a_class(ledger):
    ledger.extend([Sample(id="n1", label="night"), Sample(id="n2", label="a"), Sample(id="n3", label="dusk")])
    assert ledger.classes == ["a", "b", "empty", "night", "dusk"]


def test_relabel_writes_label_and_who_gave_it_in_any_order(ledger):
    ledger.extend([Sample(id=name, label=None) for name in ("x", "y", "z")])
    before = {s.id: s for s in ledger.samples(np.arange(len(ledger)))}
    ledger.relabel(np.array([9, 7]), ["b", "empty"], "1-pseudo-label-confidence")
    after = {s.id: s for s in ledger.samples(np.arange(len(ledger)))}
    assert (after["z"].label, after["x"].label, after["y"].label) == ("b", "empty", None)
    assert after["z"].labelled_by == after["x"].labelled_by == "1-pseudo-label-confidence"
    assert all(after[i] == before[i] for i in after if i not in ("x", "z"))
    assert ledger.class_counts()["empty"] == 1 and ledger.class_index(np.array([7, 8, 9])).tolist() == [2, -1, 1]
    ledger.extend([Sample(id="later", label="a", labelled_by="else")])
    assert ledger.column("labelled_by")[-2:] == ["1-pseudo-label-confidence", "else"]
    ledger.relabel(np.zeros(0, dtype=np.int64), [], "nobody")


def test_a_class_that_nobody_knows_is_refused_unless_it_may_be_added(ledger):
    with pytest.raises(RecipeError, match="'c' is no class") as caught:
        ledger.relabel(np.array([0]), ["c"], "x")
    assert "a, b, empty" in caught.value.hint and ledger.column("label")[0] == "a"
    ledger.relabel(np.array([0]), ["c"], "x", new_classes=True)
    assert ledger.classes == ["a", "b", "empty", "c"] and ledger.column("label")[0] == "c"


def test_resplit_writes_splits(ledger):
    ledger.resplit(np.array([3, 0]), ["test", "train"])
    assert ledger.column("split") == ["train", None, None, "test", None, None, None]
    table = pa.concat_tables(ledger.tables())
    assert table.schema.equals(ledger_schema(ledger.classes)) and table.column("split").to_pylist()[3] == "test"


def test_the_table_has_the_documented_columns_and_scores(ledger):
    ledger.score("clip", np.array([1, 3]), np.array([0.25, 0.5]))
    table = pa.concat_tables(ledger.tables(size=4))
    assert table.schema.names[:8] == ["id", "label", "origin", "kept", "dropped", "parents", "stage", "seed"]
    assert table.schema.equals(ledger_schema(["a", "b", "empty"]))
    assert json.loads(table.schema.metadata[b"augforge"])["classes"] == ["a", "b", "empty"]
    assert [dict(scores) for scores in table.column("scores").to_pylist()] == [
        {},
        {"clip": 0.25},
        {},
        {"clip": 0.5},
        {},
        {},
        {},
    ]


def test_an_empty_ledger_can_be_written():
    assert pa.concat_tables(Ledger().tables()).num_rows == 0


MILLION = """
import resource, sys
from pathlib import Path
import numpy as np
from augforge.engine.finish import write_ledger
from augforge.data.ledger import Ledger
from augforge.algorithms.rules import Rule
from augforge.data.sample import Sample
n = int(sys.argv[2])
maker = '{"generator": "x", "options": "' + "y" * 800 + '"}'
def samples():
    for i in range(n):
        yield Sample(id=f"{i:020x}", label=f"class {i % 100}", origin="synthetic", parents=(f"{i:020x}", f"{i+1:020x}"),
                     stage="1-generate-x", seed=i, digest=f"{i:064x}", width=64, height=64, ref="generated:x",
                     generation_config=maker,
                     sampled_params={"mode": "embed-cutmix-dropout", "lam": i / n, "p": 0.4, "mask-seed": i * 7919,
                                     "slot": 3})
ledger = Ledger([f"class {i}" for i in range(100)])
ledger.extend(samples())
scores = np.random.default_rng(0).normal(size=n)
everyone = ledger.visible("synthetic")
ledger.score("clip", everyone, scores)
ids, classes = ledger.column("id", everyone), ledger.class_index(everyone)
stays, reasons = Rule(keep=0.8).apply(scores, ids, classes, "its class")
del ids
ledger.drop(everyone[~stays], reasons[~stays], "2-filter-clip")
write_ledger(ledger, Path(sys.argv[1]) / "samples.parquet")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, int(stays.sum()))
"""


def peak_megabytes(folder, count):
    run = subprocess.run(
        [sys.executable, "-c", MILLION, str(folder), str(count)], capture_output=True, text=True, check=True
    )
    megabytes, kept = run.stdout.split()
    assert int(kept) == 0.8 * count
    return float(megabytes)


def test_memory_grows_by_less_than_a_kilobyte_a_sample(tmp_path):
    small, large = peak_megabytes(tmp_path, 50_000), peak_megabytes(tmp_path, 150_000)
    assert (large - small) * 2**20 / 100_000 < 900


@pytest.mark.slow
def test_a_million_samples_fit_in_a_gigabyte(tmp_path):
    assert peak_megabytes(tmp_path, 1_000_000) < 1024


def test_drops_are_listed_in_the_order_of_the_recipe_whatever_was_dropped_first():
    ledger = Ledger(["a"])
    ledger.extend([Sample(id=str(number), label="a") for number in range(6)])
    dropped = [(0, "y", "10-select-x"), (1, "z", "2-filter-x"), (2, "b", "2-filter-x"), (3, "a", "2-filter-x")]
    for place, reason, stage in [*dropped, (4, "a", "2-filter-x"), (5, "bad", "source")]:
        ledger.drop(np.array([place]), reason, stage)
    counted = ledger.drops_by_stage()
    assert list(counted) == ["source", "2-filter-x", "10-select-x"]
    assert list(counted["2-filter-x"].items()) == [("a", 2), ("b", 1), ("z", 1)]
