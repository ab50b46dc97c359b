"""The data of the page: nothing in it can end a script element, and nothing is lost."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from augforge.report.collect import collect
from augforge.report.columns import as_json, coded, details, overview, samples

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_json_comes_back_and_holds_nothing_that_html_or_javascript_would_read(value):
    text = as_json(value)
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029")


def test_what_json_or_javascript_cannot_say_is_said_otherwise():
    said = json.loads(as_json({"a": float("nan"), "b": [float("inf"), 1.5], "c": 2**62 + 1, "d": True}))
    assert said == {"a": None, "b": [None, 1.5], "c": str(2**62 + 1), "d": True}


def test_texts_are_numbered_in_a_given_order_and_as_they_come():
    assert coded(["b", None, "c", "b"], ["a", "b"]) == {"values": ["a", "b", "c"], "codes": [1, -1, 2, 1]}


def test_every_sample_has_its_row_and_its_provenance(run):
    findings = collect(run)
    ledger = findings.rows.to_pylist()
    columns = samples(findings)
    told = {row: (group, place) for group in details(findings)["groups"] for place, row in enumerate(group["rows"])}
    assert sorted(told) == list(range(len(ledger)))
    for place, row in enumerate(ledger):
        group, at = told[place]
        drawn = {
            name: column.get("one", column.get("each", [])[at : at + 1])
            for name, column in group["sampled_params"].items()
        }
        assert columns["id"][place] == row["id"]
        assert columns["label"]["values"][columns["label"]["codes"][place]] == row["label"]
        assert [columns["id"][parent] for parent in columns["parents"][place]] == row["parents"]
        assert {name for name, values in columns["scores"].items() if values[place] is not None} == dict(
            row["scores"]
        ).keys()
        assert set(drawn) == json.loads(row["sampled_params"]).keys()
        assert (group["generation_config"] is None) == (row["generation_config"] is None)
    assert (columns["by"]["codes"].count(-1)) == sum(row["kept"] for row in ledger)


def test_provenance_of_some_rows_only(run):
    findings = collect(run)
    assert sorted(row for group in details(findings, [5, 2])["groups"] for row in group["rows"]) == [2, 5]


def test_places_on_the_map_keep_their_shape(run):
    findings = collect(run)
    told = overview(findings)["map"]["pca"]
    places = findings.layout.places
    far = abs(places[3] - places[7])
    drawn = [abs(told[axis][3] - told[axis][7]) for axis in "xy"]
    assert abs(drawn[0] / drawn[1] - far[0] / far[1]) < 0.01 * far[0] / far[1]
    assert min(told["x"]) == min(told["y"]) == 0 and max(*told["x"], *told["y"]) == 10_000
