"""Queries against a walk through all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from augforge.algorithms.selection.by_rows import ArrayRows
from augforge.view.plane import inside_of, plane_of
from tests.view.made import FILTER, GENERATOR, MEASURE, digest, identity


@pytest.fixture(scope="module")
def rows(thousand) -> list[dict[str, Any]]:
    return pq.read_table(thousand / "samples.parquet").to_pylist(maps_as_pydicts="strict")


def wanted(rows, passes) -> list[str]:
    return [row["id"] for row in rows if passes(row)]


FILTERS = [
    ({"label": ["class 03", "class 07"]}, lambda row: row["label"] in ("class 03", "class 07")),
    ({"label": []}, lambda row: False),
    ({"label": [None]}, lambda row: row["label"] is None),
    ({"label": ["no such class"]}, lambda row: False),
    ({"origin": ["real"]}, lambda row: row["origin"] == "real"),
    ({"stage": [GENERATOR]}, lambda row: row["stage"] == GENERATOR),
    ({"by": [FILTER]}, lambda row: row["dropped_by"] == FILTER),
    ({"by": [None]}, lambda row: row["dropped_by"] is None),
    ({"reason": ["clip-prompt: under …"]}, lambda row: row["dropped"] is not None),
    ({"kept": True}, lambda row: row["kept"]),
    ({"kept": False, "origin": ["synthetic"]}, lambda row: not row["kept"] and row["origin"] == "synthetic"),
    ({"outcome": ["filtered out"]}, lambda row: not row["kept"]),
    ({"outcome": ["synthetic"]}, lambda row: row["kept"] and row["origin"] == "synthetic"),
    ({"scores": {MEASURE: {"min": 0.3}}}, lambda row: row["scores"].get(MEASURE, -1) >= 0.3),
    ({"scores": {MEASURE: {"min": 0.3, "missing": True}}}, lambda row: row["scores"].get(MEASURE, 1) >= 0.3),
    ({"scores": {MEASURE: {"min": 0.28, "max": 0.3}}}, lambda row: 0.28 <= row["scores"].get(MEASURE, -1) <= 0.3),
    ({"ids": [identity(5), identity(7), "unknown"]}, lambda row: row["id"] in (identity(5), identity(7))),
    ({"parents": identity(900)}, None),
    ({"children": identity(7)}, lambda row: identity(7) in row["parents"]),
    ({"has": ["boxes"]}, lambda row: False),
    ({"without": ["boxes"]}, lambda row: True),
    ({"hidden": [0]}, lambda row: True),
    ({"duplicates": True}, lambda row: False),
]  # fmt: skip


@pytest.mark.parametrize(("filters", "passes"), FILTERS)
def test_a_filter_lets_pass_what_it_says(thousand_page, rows, filters, passes):
    if passes is None:
        parents = set(rows[900]["parents"])
        passes = lambda row: row["id"] in parents  # noqa: E731
    assert thousand_page.ids(filters=filters) == wanted(rows, passes)


def test_scores_sort_either_way_and_those_without_one_come_last(thousand_page, rows):
    scored = {row["id"]: row["scores"].get(MEASURE) for row in rows}
    missing = [identity for identity, score in scored.items() if score is None]
    for descending in (False, True):
        found = thousand_page.ids(sort={"by": f"score:{MEASURE}", "descending": descending})
        known = [scored[each] for each in found[: len(found) - len(missing)]]
        assert known == sorted(known, reverse=descending) and found[len(known) :] == missing


def test_other_orders(thousand_page, rows):
    ids = [row["id"] for row in rows]
    assert thousand_page.ids(sort={"by": "id"}) == sorted(ids)
    assert thousand_page.ids(sort={"by": "ledger", "descending": True}) == ids[::-1]
    files = [row["source"] for row in sorted((r for r in rows if r["source"]), key=lambda r: r["source"])]
    found = thousand_page.ids(filters={"origin": ["real"]}, sort={"by": "file"})
    assert [rows[ids.index(each)]["source"] for each in found] == files
    random = thousand_page.ids(sort={"by": "random", "seed": 1})
    assert sorted(random) == sorted(ids) != random and random != thousand_page.ids(sort={"by": "random", "seed": 2})


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("photos: CLASS 03/", lambda row: "class 03/" in (row["source"] or "")),
        ("photo of class", lambda row: row["origin"] == "synthetic"),
        ("of a photo class 07", lambda row: row["origin"] == "synthetic" and row["label"] == "class 07"),
        (identity(8)[:6], lambda row: row["id"].startswith(identity(8)[:6])),
        ("%_.*", lambda row: False),
    ],
)
def test_all_words_of_a_text_are_looked_for(thousand_page, rows, text, passes):
    assert thousand_page.ids(search=text) == wanted(rows, passes)


def test_pages_facets_histograms_and_positions_tell_of_the_same_rows(thousand_page, rows):
    kept = [row for row in rows if row["kept"]]
    found = thousand_page.ask(filters={"kept": True})
    place = f"/api/query/{found['query']}"
    assert (found["total"], found["of"]) == (len(kept), len(rows))
    middle = thousand_page.get(f"{place}/rows", offset=100, limit=3).json()["rows"]
    assert [row["id"] for row in middle] == [row["id"] for row in kept[100:103]]
    index = thousand_page.get(f"{place}/index.i32")
    assert np.frombuffer(index.content, "<i4").tolist() == [n for n, row in enumerate(rows) if row["kept"]]
    assert (index.headers["x-shape"], index.headers["x-dtype"]) == (str(len(kept)), "int32")
    assert thousand_page.get(f"{place}/position", id=kept[50]["id"]).json() == {"position": 50}
    facets = thousand_page.get(f"{place}/facets").json()
    names = thousand_page.get("/api/run").json()["columns"]["label"]
    counted = {names[code]: count for code, count in facets["label"]}
    assert counted == {name: n for name in names if (n := sum(row["label"] == name for row in kept))}
    histogram = thousand_page.get(f"{place}/histogram", score=MEASURE, bins=10).json()
    scores = [row["scores"][MEASURE] for row in rows if MEASURE in row["scores"]]
    edges = np.histogram_bin_edges(scores, 10)
    assert np.allclose(histogram["edges"], edges)
    mine = [row["scores"][MEASURE] for row in kept if MEASURE in row["scores"]]
    assert histogram["counts"] == np.histogram(mine, edges)[0].tolist() == histogram["kept"]
    assert histogram["missing"] == len(kept) - len(mine)


def test_a_query_has_the_same_name_whenever_it_is_asked_and_one_never_asked_is_gone(thousand_page):
    first, again = (thousand_page.ask(filters={"kept": True})["query"] for _ in range(2))
    assert first == again != thousand_page.ask(filters={"kept": False})["query"]
    answer = thousand_page.get("/api/query/q-0123/rows")
    assert (answer.status_code, answer.json()["kind"]) == (404, "gone")


def test_an_answer_that_was_let_go_is_worked_out_again(thousand_page, monkeypatch):
    monkeypatch.setattr("augforge.view.query.KEPT_BYTES", 10)
    first = thousand_page.ask(filters={"kept": True})["query"]
    thousand_page.ask(filters={"kept": False})
    assert first not in thousand_page.run.queries._answers
    assert len(thousand_page.get(f"/api/query/{first}/rows", limit=5).json()["rows"]) == 5


@pytest.mark.parametrize(
    "body",
    [
        {"filters": {"colour": ["red"]}},
        {"filters": {"label": "cat"}},
        {"filters": {"scores": {"nothing": {"min": 0}}}},
        {"filters": {"has": ["wings"]}},
        {"filters": {"lasso": {"polygon": [[0, 0], [1, 1]]}}},
        {"filters": {"lasso": {"map": "moon", "polygon": [[0, 0], [1, 1], [1, 0]]}}},
        {"filters": {"children": "zzzz"}},
        {"filters": {"compare": ["changed"]}},
        {"filters": {"cut": {"stage": FILTER, "options": {"model": "x"}, "which": "go"}}},
        {"sort": {"by": "colour"}},
        {"sort": {"by": "score:nothing"}},
        {"like": {}},
        {"like": {"id": "a", "text": "b"}},
        {"like": {"image": "never"}},
        {"top": 0},
        {"search": "x" * 2000},
        [],
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_sentence(thousand_page, body):
    answer = thousand_page.post("/api/query", body)
    assert answer.status_code in (400, 404) and answer.json()["error"]


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"top": NaN}', b"[" * 100_000])
def test_what_is_no_json_is_refused(thousand_page, content):
    assert thousand_page.post("/api/query", content).status_code == 400


@pytest.mark.parametrize(
    "query", [{"offset": "-1"}, {"limit": "0"}, {"limit": "1001"}, {"offset": "x"}, {"limit": "9" * 5000}]
)
def test_numbers_out_of_bounds_are_refused(thousand_page, query):
    name = thousand_page.ask()["query"]
    assert thousand_page.get(f"/api/query/{name}/rows", **query).status_code == 400


def vectors_of(page) -> np.ndarray:
    found = page.run.embedded
    return found.vectors.read(np.arange(len(found.rows)))


@pytest.mark.parametrize("much", [4, 0])
def test_the_nearest_are_those_of_largest_cosine(thousand_page, monkeypatch, much):
    """However the store is read: as it lies, or row by row."""
    monkeypatch.setattr("augforge.view.embedded.MUCH", much)
    vectors = vectors_of(thousand_page)
    cosines = vectors @ vectors[17]
    order = np.argsort(-cosines, kind="stable")
    found = thousand_page.ask(like={"id": identity(17)}, top=20)
    rows = thousand_page.get(f"/api/query/{found['query']}/rows").json()["rows"]
    assert [row["row"] for row in rows] == order[:20].tolist() and found["similarity"]
    assert np.allclose([row["similarity"] for row in rows], cosines[order[:20]], atol=1e-6)
    kept = thousand_page.run.index.column("kept")
    among = thousand_page.ids(like={"id": identity(17)}, top=20, filters={"kept": True})
    assert among == [identity(row) for row in order.tolist() if kept[row]][:20]


def test_vectors_are_those_of_the_digests(thousand, thousand_page):
    from augforge.data.store import Store
    from augforge.engine.embedding import stored_vectors

    stored = stored_vectors("builtin-clip", "image-embedding", Store(thousand))
    assert (vectors_of(thousand_page) == stored.matrix([digest(place) for place in range(1000)])).all()


def test_the_map_is_that_of_a_principal_component_analysis(thousand_page):
    vectors = vectors_of(thousand_page)
    expected = PCA(2, svd_solver="covariance_eigh").fit_transform(vectors)
    answer = thousand_page.get("/api/map/pca/places.f32")
    places = np.frombuffer(answer.content, "<f4").reshape(-1, 2)
    assert answer.headers["x-shape"] == "1000,2" and np.allclose(places, expected, atol=1e-4)
    (told,) = thousand_page.get("/api/maps").json()["maps"]
    assert np.allclose(told["bounds"], [*places.min(axis=0), *places.max(axis=0)])


def test_a_lasso_finds_what_is_inside(thousand_page):
    places = thousand_page.run.plane().places
    corners = [[-0.2, -0.3], [0.3, -0.1], [0.0, 0.0], [0.25, 0.3], [-0.3, 0.2]]
    found = thousand_page.post("/api/lasso", {"polygon": corners}).json()
    rows = np.frombuffer(thousand_page.get(f"/api/query/{found['query']}/index.i32").content, "<i4").tolist()
    assert rows == [n for n, point in enumerate(places.tolist()) if winding(point, corners)]
    assert 10 < len(rows) < 900
    kept = thousand_page.ask(filters={"kept": True})["query"]
    within = thousand_page.post("/api/lasso", {"polygon": corners, "query": kept}).json()
    assert within["total"] == sum(bool(thousand_page.run.index.column("kept")[row]) for row in rows)


def winding(point, corners) -> bool:
    """Whether a ray to the right crosses the outline an odd number of times, edge by edge."""
    x, y = point
    crossings = 0
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if (y0 <= y < y1 or y1 <= y < y0) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            crossings += 1
    return crossings % 2 == 1


whole = st.integers(-6, 6).map(float)
corner = st.tuples(whole, whole)


@given(st.lists(corner, min_size=3, max_size=12), st.lists(corner, min_size=1, max_size=40))
@settings(deadline=None, max_examples=150)
def test_the_inside_of_any_polygon_is_that_of_the_walk_along_its_edges(polygon, points):
    """Of polygons that cross themselves, too, and points that lie on edges and corners."""
    ordered = np.array(sorted(points, key=lambda point: point[1]))
    assert inside_of(ordered, np.array(polygon)).tolist() == [winding(point, polygon) for point in ordered.tolist()]


def test_a_map_of_few_numbers_or_equal_vectors_is_one():
    rows = np.arange(4, dtype=np.int32)
    line = plane_of(ArrayRows(np.array([[0.0], [1], [2], [5]], dtype=np.float32)), rows)
    assert np.allclose(line.places[:, 0], [-2, -1, 0, 3]) and not line.places[:, 1].any()
    assert line.explained == (1.0, 0.0)
    same = plane_of(ArrayRows(np.ones((4, 3), dtype=np.float32)), rows)
    assert not same.places.any() and np.isfinite(same.explained).all()
