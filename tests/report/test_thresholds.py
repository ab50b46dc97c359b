"""What `thresholds` counts, against brute force over the same ledger, and against runs with the cut that it names."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.data.ledger import Ledger
from augforge.data.sample import Sample
from augforge.engine.finish import write_ledger
from augforge.engine.run import run
from augforge.errors import RecipeError, StoreError
from augforge.recipe import Recipe, SourceSpec
from augforge.report import thresholds as module
from augforge.report.thresholds import falling_measures, thresholds
from augforge.stages.catalog import STAGES
from augforge.stages.filters.quality import Quality
from augforge.stages.filters.sharpness import Sharpness

RANDOM = np.random.default_rng(0)
ROWS = [
    Sample(
        id=f"{number:03d}",
        label=("cat", "dog", None)[number % 3],
        origin="real" if number < 30 else "synthetic",
        scores={"sharpness": float(score)} if number % 7 else {},
        kept=number % 2 == 0,
        dropped=None if number % 2 == 0 else "not chosen",
        dropped_by=None if number % 2 == 0 else "1-select-random",
    )
    for number, score in enumerate(RANDOM.normal(size=60))
]


def write(folder, samples):
    ledger = Ledger(["cat", "dog"])
    ledger.extend(samples)
    folder.mkdir(exist_ok=True)
    write_ledger(ledger, folder / "samples.parquet")
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "out", ROWS)


def members(origin, label):
    return [r for r in ROWS if origin in (None, r.origin) and label in (None, r.label)]


def test_groups_are_counted_as_by_hand(folder):
    (measure,) = thresholds(folder, bins=8)
    assert measure.name == "sharpness" and not measure.lower_is_better
    named = {(group.origin, group.label): group for group in measure.groups}
    assert set(named) == {(o, c) for o in (None, "real", "synthetic") for c in (None, "cat", "dog")}
    assert next(iter(named)) == (None, None)
    for (origin, label), group in named.items():
        mine = members(origin, label)
        scores = [r.scores["sharpness"] for r in mine if r.scores]
        assert (group.count, group.missing) == (len(scores), len(mine) - len(scores))
        assert group.mean == pytest.approx(np.mean(scores)) and group.std == pytest.approx(np.std(scores, ddof=1))
        assert group.quantiles[0.5] == pytest.approx(np.median(scores)) and group.quantiles[1.0] == max(scores)
        assert len(group.counts) == 8 and sum(group.counts) == group.count
        for low, high, count in list(zip(group.edges, group.edges[1:], group.counts, strict=False))[:-1]:
            assert count == sum(low <= score < high for score in scores)


def cuts(folder, **options):
    (measure,) = thresholds(folder, **options)
    return {(cut.option, cut.value): cut for cut in measure.groups[0].cuts}


def test_cuts_are_counted_as_by_hand(folder):
    found = cuts(folder, minimums=[-0.5, 9.0], outliers=[3.5], shares=[0.29, 1.0], deviations=[1.0])
    scores = sorted((r.scores["sharpness"] for r in ROWS if r.scores), reverse=True)
    assert list(found) == [
        ("min", -0.5),
        ("min", 9.0),
        ("outliers", 3.5),
        ("keep", 0.29),
        ("keep", 1.0),
        ("mean-minus-std", 1.0),
    ]
    assert found["min", -0.5].kept == found["min", -0.5].kept_by_class == sum(s >= -0.5 for s in scores)
    assert (found["min", 9.0].kept, found["min", 9.0].bound) == (0, None)
    expected = int(0.29 * len(scores))
    assert (found["keep", 0.29].kept, found["keep", 0.29].bound) == (expected, scores[expected - 1])
    floor = np.mean(scores) - np.std(scores, ddof=1)
    assert found["mean-minus-std", 1.0].kept == sum(s >= floor for s in scores)
    by_class = [
        [r.scores["sharpness"] for r in ROWS if r.scores and r.label == label] for label in ("cat", "dog", None)
    ]
    assert found["keep", 0.29].kept_by_class == sum(int(0.29 * len(part)) for part in by_class)
    floors = [sum(s >= np.mean(part) - np.std(part, ddof=1) for s in part) for part in by_class]
    assert found["mean-minus-std", 1.0].kept_by_class == sum(floors)


def test_without_minimums_quantiles_are_tried(folder):
    tried = [cut for (option, _), cut in cuts(folder).items() if option == "min"]
    assert [cut.kept for cut in tried] == sorted((cut.kept for cut in tried), reverse=True)
    measured = sum(bool(row.scores) for row in ROWS)
    assert len(tried) == 7 and tried[3].kept == pytest.approx(measured / 2, abs=1)  # the median


def test_where_less_is_better_the_lowest_stay(folder, monkeypatch):
    monkeypatch.setattr(module, "falling_measures", lambda: {"sharpness"})
    found = cuts(folder, minimums=[0.0], shares=[0.5], deviations=[1.0])
    scores = np.array(sorted(r.scores["sharpness"] for r in ROWS if r.scores))
    assert found["max", 0.0].kept == (scores <= 0).sum()
    assert found["keep", 0.5].bound == scores[len(scores) // 2 - 1]
    assert found["mean-minus-std", 1.0].kept == (scores <= scores.mean() + scores.std(ddof=1)).sum()


def test_falling_measures_are_those_of_the_catalog(monkeypatch):
    monkeypatch.setitem(STAGES, ("filter", "quality"), "augforge.stages.filters.quality:Quality")
    falling_measures.cache_clear()
    assert "quality-clipped" in falling_measures() and "sharpness" not in falling_measures()
    falling_measures.cache_clear()


def test_a_constant_score_and_a_lone_image(tmp_path):
    (measure,) = thresholds(write(tmp_path / "one", [Sample(id="a", label="cat", scores={"x": 2.0})]))
    group = measure.groups[0]
    assert (group.count, group.std, sum(group.counts)) == (1, 0.0, 1)
    assert all(cut.kept == 1 for cut in group.cuts)


def test_nothing_measured_unknown_names_and_other_folders(tmp_path, folder):
    assert thresholds(write(tmp_path / "bare", [Sample(id="a", label="cat")])) == []
    with pytest.raises(RecipeError, match="no score 'blur'"):
        thresholds(folder, names=["blur"])
    with pytest.raises(StoreError, match="is no run folder"):
        thresholds(tmp_path / "nowhere")


@pytest.mark.parametrize("option", ["min", "outliers", "keep", "mean-minus-std"])
def test_a_run_with_the_cut_keeps_what_was_promised(pictures, tmp_path, option):
    source = (SourceSpec("folder", str(pictures)),)
    run(Recipe("cut", 0, source, (Sharpness(keep=1.0),)), tmp_path / "out")
    for scope in ("all", "class"):
        for cut in thresholds(tmp_path / "out")[0].groups[0].cuts:
            if cut.option == option:
                stage = Sharpness.model_validate({option: cut.value, "scope": scope}, by_alias=True)
                summary = run(Recipe("cut", 0, source, (stage,)), tmp_path / "out")
                assert summary.kept == (cut.kept if scope == "all" else cut.kept_by_class)


def test_every_measure_of_a_filter_is_there(pictures, tmp_path):
    run(Recipe("q", 0, (SourceSpec("folder", str(pictures)),), (Quality(keep=1.0),)), tmp_path / "out")
    assert {measure.name for measure in thresholds(tmp_path / "out")} == set(Quality.measures)
