"""Runs that are odd: empty, of one image, of one class, with nothing kept, without scores, or not finished."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from augforge.view.routes import ROUTES
from augforge.view.rows import edges_of
from tests.view.made import FILTER, MEASURE, identity, many


def changed(folder: Path, **columns: Callable[[pa.Table], Any]) -> Path:
    """The run with other columns in its ledger."""
    path = folder / "samples.parquet"
    table = pq.read_table(path)
    for name, make in columns.items():
        kind = table.schema.field(name)
        place = table.schema.get_field_index(name)
        table = table.set_column(place, kind, pa.array(make(table), _plain(kind.type)).cast(kind.type))
    pq.write_table(table, path)
    return folder


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def scored(*values: float) -> Callable[[pa.Table], list[Any]]:
    """These scores in turn, of all samples."""
    return lambda table: [[(MEASURE, values[place % len(values)])] if values else [] for place in range(len(table))]


RUNS: dict[str, Callable[[Path], Path]] = {
    "empty": lambda at: many(at, 0),
    "three": lambda at: many(at, 3, 8),
    "one class": lambda at: changed(many(at, 40, 8), label=lambda t: ["only"] * len(t)),
    "no class": lambda at: changed(many(at, 40), label=lambda t: [None] * len(t)),
    "nothing kept": lambda at: changed(
        many(at, 40, 8), kept=lambda t: [False] * len(t), dropped_by=lambda t: [FILTER] * len(t)
    ),
    "all synthetic": lambda at: changed(many(at, 40), origin=lambda t: ["synthetic"] * len(t)),
    "no scores": lambda at: changed(many(at, 40), scores=scored()),
    "one score": lambda at: changed(many(at, 40), scores=scored(0.3)),
    "not numbers": lambda at: changed(many(at, 40), scores=scored(float("nan"), float("inf"), float("-inf"))),
    "near scores": lambda at: changed(many(at, 40), scores=scored(1.0, 1.0 - 2**-53)),
    "huge scores": lambda at: changed(many(at, 40), scores=scored(-1.7e308, 1.7e308, 5e-324)),
    "texts that are none": lambda at: changed(
        many(at, 40),
        sampled_params=lambda t: [""] * len(t),
        digest=lambda t: ["../../../../etc/passwd"] * len(t),
        ref=lambda t: ["generated:../../x", "9999:/etc/passwd", "x", ""] * (len(t) // 4),
    ),
    "parents of itself": lambda at: changed(
        many(at, 40), parents=lambda t: [[i, *t["id"].to_pylist()[:5]] for i in t["id"].to_pylist()]
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_every_address_answers(opened, tmp_path, name):
    other = many(tmp_path / "other", 0)
    page = opened(RUNS[name](tmp_path / "run"), compare=other)
    for base in ("", "/b"):
        query = page.post(f"{base}/api/query", {"sort": {"by": f"score:{MEASURE}"}})
        query = query if query.status_code == 200 else page.post(f"{base}/api/query", {})
        words = {"query": query.json()["query"], "id": identity(0), "parent": identity(1), "name": "mask", "map": "pca"}
        words["column"] = f"score:{MEASURE}"
        for route in ROUTES:
            if route.method == "GET" and not (base and route.first):
                asked = {"score": MEASURE, "stage": FILTER, "id": identity(0)}
                answer = page.get(base + route.path.format(**words), **asked)
                assert answer.status_code < 500, route.path
        for spec in ({"like": {"id": identity(0)}}, {"search": "a"}, {"filters": {"scores": {MEASURE: {"min": 0}}}}):
            assert page.post(f"{base}/api/query", spec).status_code < 500
        lasso = {"polygon": [[-9, -9], [9, -9], [0, 9]]}
        assert page.post(f"{base}/api/lasso", lasso).status_code < 500
        for rule in ({"min": 0.5}, {"keep": 0.5, "min": None}, {"mean-minus-std": 1, "min": None}):
            assert page.post(f"{base}/api/cut", {"stage": FILTER, "options": rule}).status_code < 500


def test_the_scores_that_are_counted_are_numbers(opened, tmp_path):
    table = pq.read_table(RUNS["not numbers"](tmp_path / "run") / "samples.parquet")
    assert pc.map_lookup(table["scores"].combine_chunks(), MEASURE, "first").null_count == 0
    (facts,) = opened(tmp_path / "run").get("/api/run").json()["scores"]
    assert (facts["count"], facts["min"], facts["max"]) == (0, None, None)


def test_where_all_is_decided_nothing_is_left_to_look_at(opened, tmp_path):
    page = opened(many(tmp_path / "run", 10))
    page.post("/api/review", {"ids": [identity(place) for place in range(10)], "verdict": "keep"})
    assert page.get("/api/review/next").json()["ids"] == []


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.0, 0.1), (0.3, 0.3), (1 - 2**-53, 1.0), (-1.7e308, 1.7e308)])
def test_bins_are_those_of_numpy_where_it_has_some(low, high):
    edges = edges_of(low, high, 40)
    assert len(edges) == 41 and np.isfinite(edges).all() and (np.diff(edges) >= 0).all()
    assert np.histogram([low, high], edges)[0].sum() == 2
    if 1e-9 < high - low < 1e9 or low == high:
        np.testing.assert_array_equal(edges, np.histogram_bin_edges([low, high], 40))
