"""Operators: one by one, in any number of processes, with the classes all in sight and no image of an evaluation."""

from __future__ import annotations

import gc
import io
import json
import os
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from augforge.data.ledger import Ledger
from augforge.data.pool import Pool, Pools
from augforge.data.sample import Sample
from augforge.engine.jobs import plan
from augforge.engine.run import run
from augforge.engine.runners import operate
from augforge.progress import Progress
from augforge.recipe import Recipe, SourceSpec
from augforge.reproduce.remake import Archive, remake
from augforge.stages import catalog
from augforge.stages.generator import Generator
from augforge.stages.generators import operator
from augforge.stages.stage import Stage
from tests.conftest import write_images
from tests.operators import Across, Tint, Triplet
from tests.stub import Bright


def made_by(stage: Stage, source: Path, out: Path, **options: Any) -> list[dict[str, Any]]:
    """The rows of the synthetic images of a run."""
    run(Recipe("operate", 3, (SourceSpec("folder", str(source)),), (stage,)), out, device="cpu", **options)
    table: list[dict[str, Any]] = pq.read_table(out / "samples.parquet").to_pylist()
    return [row for row in table if row["origin"] == "synthetic"]


def stored(out: Path) -> dict[str, np.ndarray]:
    """The pixels of the synthetic images in the parts of a run, by id."""
    found = {}
    for path in out.glob("parts/generate-*/*.arrow"):
        with pa.memory_map(str(path)) as file:
            for row in pa.ipc.open_file(file).read_all().to_pylist():
                found[row["id"]] = np.asarray(Image.open(io.BytesIO(row["image"]))) if row["image"] else None
    return found


def test_every_image_once_and_the_pixels_are_what_the_row_says(tmp_path: Path) -> None:
    source = write_images(tmp_path / "set", {"cat": 4, "dog": 2})
    rows = made_by(Tint(), source, tmp_path / "out")
    assert len({row["parents"][0] for row in rows}) == len(rows) == 6
    real = {row["id"]: row for row in pq.read_table(tmp_path / "out" / "samples.parquet").to_pylist()}
    pixels = stored(tmp_path / "out")
    for row in rows:
        path = source / real[row["parents"][0]]["source"].split(": ", 1)[1]
        grey = json.loads(row["sampled_params"])["grey"]
        expected = (np.asarray(Image.open(path).convert("RGB")).astype(int) + grey).clip(0, 255)[:, ::-1]
        assert (pixels[row["id"]] == expected).all()


@pytest.mark.parametrize("stage", [Tint, Triplet, Across])
def test_the_number_of_processes_changes_nothing(tmp_path: Path, stage: type[Stage]) -> None:
    source = write_images(tmp_path / "set", {"cat": 12, "dog": 9})
    found = []
    for processes in (1, 2, 3):
        options = {"processes": processes, "per-class": 25, "batch": processes}
        rows = made_by(stage.model_validate(options), source, tmp_path / str(processes))
        found.append({row["id"]: {k: v for k, v in row.items() if k != "ref"} for row in rows})
    assert len(found[0]) == 50 and found[0] == found[1] == found[2]


def test_a_second_parent_of_another_class_and_none_of_an_evaluation_split(tmp_path: Path) -> None:
    write_images(tmp_path / "set" / "train", {"cat": 5, "dog": 4})
    write_images(tmp_path / "set" / "test", {"cat": 9, "dog": 9}, seed=4)
    rows = made_by(Across.model_validate({"per-class": 20}), tmp_path / "set", tmp_path / "out")
    ledger = {row["id"]: row for row in pq.read_table(tmp_path / "out" / "samples.parquet").to_pylist()}
    assert len(rows) == 40 and all(len(row["parents"]) == 2 for row in rows)
    for row in rows:
        first, second = (ledger[parent] for parent in row["parents"])
        assert first["label"] == row["label"] != second["label"]
        assert first["split"] == second["split"] == "train"
    assert {row["parents"][1] for row in rows} == {
        i for i, r in ledger.items() if (r["split"], r["origin"]) == ("train", "real")
    }


def test_shots_bound_the_second_parents_too(tmp_path: Path) -> None:
    source = write_images(tmp_path / "set", {"cat": 9, "dog": 9})
    rows = made_by(Across.model_validate({"per-class": 20, "shots": 2}), source, tmp_path / "out")
    assert len({parent for row in rows for parent in row["parents"]}) == 4


def test_images_of_one_call_have_the_same_parents_and_rows_of_their_own(tmp_path: Path) -> None:
    source = write_images(tmp_path / "set", {"cat": 3, "dog": 2})
    Tint.calls_seen.clear()
    rows = {row["id"]: row for row in made_by(Triplet(), source, tmp_path / "out")}
    assert len(rows) == 15 and [len(call) for call in Tint.calls_seen] == [3] * 5
    for call in Tint.calls_seen:
        assert len({rows[each]["parents"][0] for each in call}) == 1
        assert sorted(json.loads(rows[each]["sampled_params"])["variant"] for each in call) == [0, 1, 2]
    more = made_by(Triplet.model_validate({"per-class": 7}), source, tmp_path / "more")
    assert len(more) == 14 and len({row["id"] for row in more} & rows.keys()) == 7 + 6


def test_an_image_of_a_call_is_made_again_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_images(tmp_path / "set", {"cat": 3})
    rows = made_by(Triplet(), source, tmp_path / "out")
    monkeypatch.setitem(catalog.STAGES, ("generate", "triplet"), "tests.operators:Triplet")
    catalog.stage_class.cache_clear()
    archive = Archive(tmp_path / "out")
    samples = list(archive.ledger.by_id([row["id"] for row in rows[1:3]]).values())
    assert [again.equal for again in remake(archive, samples)] == [True, True]
    catalog.stage_class.cache_clear()


def test_what_cannot_be_made_costs_its_own_row(tmp_path: Path) -> None:
    source = write_images(tmp_path / "set", {"cat": 20})
    for processes in (1, 2):
        stage = Tint.model_validate({"bad": True, "processes": processes})
        rows = made_by(stage, source, tmp_path / str(processes))
        odd = [row for row in rows if json.loads(row["sampled_params"])["grey"] % 2]
        assert 0 < len(odd) < 20 and [row for row in rows if row["dropped"]] == odd
        assert all(row["dropped"].endswith("is odd") for row in odd)


def test_operators_go_in_rounds_until_enough_pass(tmp_path: Path) -> None:
    source = write_images(tmp_path / "set", {"cat": 4, "dog": 4})
    for processes in (1, 2):
        options = {"until-accepted": 5, "processes": processes}
        recipe = Recipe(
            "rounds", 3, (SourceSpec("folder", str(source)),), (Tint.model_validate(options), Bright(min=120))
        )
        run(recipe, tmp_path / str(processes), device="cpu", allow_empty=True)
    tables = [pq.read_table(tmp_path / name / "samples.parquet").to_pylist() for name in ("1", "2")]
    assert [{k: v for k, v in row.items() if k != "ref"} for row in tables[0]] == [
        {k: v for k, v in row.items() if k != "ref"} for row in tables[1]
    ]
    kept = [row for row in tables[0] if row["kept"] and row["origin"] == "synthetic"]
    tried = [row for row in tables[0] if row["origin"] == "synthetic"]
    assert 0 < len(kept) <= 10 < len(tried)


class Killed(Exception):
    pass


def test_a_run_that_was_broken_makes_only_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_images(tmp_path / "set", {"cat": 30})
    monkeypatch.setattr("augforge.data.parts.FLUSH_ROWS", 4)
    whole = operate._Operator.rows
    count = 0

    def failing(self: operate._Operator, made: operate.Images) -> operate.Made:
        nonlocal count
        count += 1
        if count == 11:
            raise Killed
        return whole(self, made)

    monkeypatch.setattr(operate._Operator, "rows", failing)
    with pytest.raises(Killed):
        made_by(Tint(), source, tmp_path / "out")
    monkeypatch.setattr(operate._Operator, "rows", whole)
    there = stored(tmp_path / "out")
    Tint.calls_seen.clear()
    rows = made_by(Tint.model_validate({"processes": 1}), source, tmp_path / "out")
    assert len(rows) == 30 and 0 < len(there) < 30
    assert {call[0] for call in Tint.calls_seen} == {row["id"] for row in rows} - there.keys()


def planned_ledger(images: int) -> Ledger:
    ledger = Ledger(["cat"])
    ledger.extend(Sample(f"{number:020}", "cat", digest=str(number), width=8, height=8) for number in range(images))
    return ledger


def test_a_plan_is_compact_rows_and_no_million_objects() -> None:
    """Bytes that stay for each planned image: a few hundred, where the jobs themselves take over a thousand."""
    ledger, stage = planned_ledger(50), Tint.model_validate({"per-class": 4_000})
    jobs = [lambda: operate._Planned(plan(stage, ledger, 1, "t"), ledger), lambda: list(plan(stage, ledger, 1, "t"))]
    taken = []
    for make in jobs:
        gc.collect()
        arrow = pa.total_allocated_bytes()
        tracemalloc.start()
        held = make()
        gc.collect()
        taken.append((tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes() - arrow) / 4_000)
        tracemalloc.stop()
        del held
    assert taken[0] < 450 and taken[1] > 2 * taken[0], taken


def test_jobs_come_from_the_plan_as_they_were_drawn() -> None:
    ledger, stage = planned_ledger(7), Tint.model_validate({"per-class": 30})
    drawn = list(plan(stage, ledger, 1, "t"))
    planned = operate._Planned(iter(drawn), ledger)
    again = list(planned.jobs(np.arange(30)))
    assert [(job.sample, job.parents) for job in again] == [(job.sample, job.parents) for job in drawn]


def test_little_is_under_way_in_one_process_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parents that are decoded and images that are not stored yet: some tens, whatever their number."""
    source = write_images(tmp_path / "set", {"cat": 3}, size=16)
    under_way, most = 0, 0
    read, rows = operate._Operator.load, operate._Operator.rows

    def reading(self: operate._Operator, batch: Sequence[operate.Call]) -> operate.Read:
        nonlocal under_way, most
        under_way += sum(map(len, batch))
        most = max(most, under_way)
        return read(self, batch)

    def stored(self: operate._Operator, made: operate.Images) -> operate.Made:
        nonlocal under_way
        under_way -= len(made[0])
        return rows(self, made)

    monkeypatch.setattr(operate._Operator, "load", reading)
    monkeypatch.setattr(operate._Operator, "rows", stored)
    made_by(Tint.model_validate({"per-class": 200}), source, tmp_path / "out")
    assert under_way == 0 and most <= 16


def test_as_many_processes_as_pay() -> None:
    stage = Tint()
    assert stage.processes_for(10) == 1 and stage.processes_for(10**6) == len(os.sched_getaffinity(0))
    assert Tint.model_validate({"processes": 5}).processes_for(10) == 5


def test_the_bar_counts_every_image(tmp_path: Path) -> None:
    class Counting(Progress):
        totals: ClassVar[list[tuple[str, int]]] = []

        def bar(self, title: str, total: int, unit: str = "images") -> Any:
            self.totals.append((title, total))
            return super().bar(title, total, unit)

    source = write_images(tmp_path / "set", {"cat": 5})
    made_by(Tint(), source, tmp_path / "out", progress=Counting())
    assert ("tint", 5) in Counting.totals


def test_pools_are_by_class_and_all_together() -> None:
    cats, dogs = ([Sample(f"{label}{n}", label, digest=f"{label}{n}") for n in range(4)] for label in ("cat", "dog"))
    pools = Pools({"cat": Pool(cats), "dog": Pool(dogs)})
    assert set(pools) == {"cat", "dog"} and len(pools) == 2 and len(pools["dog"]) == 4
    assert {sample.id for sample in pools.together.samples} == {sample.id for sample in cats + dogs}
    others = [pools.together.partner(cats[0], n, lambda s: s.label == "dog") for n in range(40)]
    assert {other.label for other in others if other} == {"dog"} and len({o.id for o in others if o}) > 1
    assert pools.together.partner(cats[0], 0, lambda s: s.label == "bird") is None


def test_the_base_is_a_generator_with_its_own_runner() -> None:
    from augforge.engine.kinds import of_kind
    from augforge.engine.runners.table import RUNNERS

    assert issubclass(operator.OperatorGenerator, Generator)
    assert of_kind(RUNNERS, Tint()) is operate.run_operator
