"""Every kind: what is usable of a value, and the way into a column of `datasets` and back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.data.annotations import (
    KINDS,
    annotation_features,
    check_annotations,
    dump_annotations,
    parse_annotations,
    segmentation,
)

SIZE = (24, 40)
CLASSES = ("car", "bus")
INSIDE = np.zeros(SIZE, np.uint8)
INSIDE[2:7, 3:8] = 1
RLE = segmentation.encoded(INSIDE)
EXAMPLES = {
    "labels": ["bus", "tram"],
    "soft_label": {"car": 0.25, "bus": 0.75},
    "boxes": [
        {"box": [1.5, 2.25, 30.0, 20.125], "label": "bus", "iscrowd": True, "id": "7", "segmentation": RLE},
        {"box": [0.0, 0.0, 3.0, 4.0], "segmentation": [[0.0, 0.0, 3.0, 0.0, 3.0, 4.0]], "attributes": {"occluded": 1}},
    ],
    "keypoints": [
        {"points": [[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]], "names": ["a", "b"], "label": "car", "id": "7", "flip": [1, 0]}
    ],
    "caption": "ein Bus, «rot»",
    "captioned_by": {"stage": "1-caption-vlm", "model": "blip", "digest": "ab" * 32, "prompt": "¿qué?"},
    "extra": {"camera": {"type": "string", "value": "left"}, "frame": {"type": "int32", "value": 3}},
}


def test_every_kind_has_an_example():
    assert EXAMPLES.keys() == KINDS.keys()


@pytest.mark.parametrize("name", KINDS)
def test_a_sound_value_is_taken_as_it_is(name):
    assert check_annotations({name: EXAMPLES[name]}, SIZE) == ({name: EXAMPLES[name]}, [])
    assert KINDS[name].described(EXAMPLES[name])


@pytest.mark.parametrize("name", KINDS)
def test_through_a_column_and_back(name):
    from datasets import Dataset, Features

    kind = KINDS[name]
    features = Features(
        {"other": annotation_features([], ()), **annotation_features([{name: EXAMPLES[name]}], CLASSES)}
    )
    del features["other"]
    cells = [kind.cell(EXAMPLES[name], features[name], CLASSES), None]
    stored = Dataset.from_dict({name: cells}, features=features)
    found = [kind.value(cell, features[name], CLASSES) for cell in stored.data.column(name).to_pylist()]
    assert found == [EXAMPLES[name], None]


@pytest.mark.parametrize("name", KINDS)
def test_as_text_and_back(name):
    text = dump_annotations({name: EXAMPLES[name]})
    assert parse_annotations(text) == {name: EXAMPLES[name]} and dump_annotations({}) == ""
    assert dump_annotations(dict(reversed({"caption": "a", name: EXAMPLES[name]}.items()))) == dump_annotations(
        {"caption": "a", name: EXAMPLES[name]} if name != "caption" else {name: EXAMPLES[name]}
    )


@pytest.mark.parametrize(
    ("box", "left", "said"),
    [
        ([-5, 2, 10, 9], [0, 2, 10, 9], "is cut at the border"),
        ([30, 2, 90, 9], [30, 2, 40, 9], "is cut at the border"),
        ([50, 2, 90, 9], None, "lies outside of the image"),
        ([3, 3, 3, 9], None, "has no area"),
        ([9, 3, 3, 9], None, "has no area"),
        ([float("nan"), 3, 3, 9], None, "a corner is no number"),
        ([1, 2, 3], None, "not four corners"),
        (None, None, "not four corners"),
        (["1", 2, 3, 4], None, "a corner is no number"),
    ],
)
def test_a_malformed_box_costs_itself_only(box, left, said):
    good, wrong = check_annotations({"boxes": [{"box": box}, {"box": [1, 1, 2, 2]}]}, SIZE)
    assert good["boxes"] == ([{"box": left}] if left else []) + [{"box": [1, 1, 2, 2]}]
    assert len(wrong) == 1 and wrong[0].startswith("box 0: ") and said in wrong[0]


@pytest.mark.parametrize(
    ("segmented", "said"),
    [
        ([[1, 2, 3, 4]], "three or more points"),
        ([[1, 2, 3, 4, 5]], "three or more points"),
        ("x", "neither polygons nor run lengths"),
        ({"size": [1, 1], "counts": "0"}, "its run lengths are of [1, 1]"),
        ({"size": [24, 40], "counts": [3]}, "sum to 3"),
        ({"size": [24, 40]}, "sum to 0"),
    ],
)
def test_a_malformed_outline_leaves_the_box(segmented, said):
    good, wrong = check_annotations({"boxes": [{"box": [1, 1, 2, 2], "segmentation": segmented}]}, SIZE)
    assert good["boxes"] == [{"box": [1, 1, 2, 2]}] and said in wrong[0]


def test_shares_of_the_sides_become_px_rounded_once():
    given = {
        "boxes": [{"box": ["0.1", "0.25", 0.5, "1"], "segmentation": [["0.5", "0.5", 0, 0, 1, 1]], "relative": True}],
        "keypoints": [{"points": [["0.3", "0.125", 2]], "relative": True}],
    }
    good, wrong = check_annotations(given, SIZE)
    outline = [[20, 12, 0, 0, 40, 24]]
    assert good["boxes"] == [{"box": [4, 6, 20, 24], "segmentation": outline}] and not wrong
    assert good["keypoints"] == [{"points": [[12, 3, 2]]}]
    longer = {"boxes": [{"box": [0, 0, "0.0025000000000000000000000000000001", 1], "relative": True}]}
    assert check_annotations(longer, SIZE)[0]["boxes"][0]["box"][2] == 0.1, "more digits than a float has"


def test_numbers_that_json_has_not_are_null():
    box = {"box": [1.0, 1.0, 2.0, 2.0], "attributes": {"score": float("nan"), "more": [float("inf"), 1.5]}}
    good, _ = check_annotations({"boxes": [box]}, SIZE)
    assert good["boxes"][0]["attributes"] == {"score": None, "more": [None, 1.5]}
    assert dump_annotations({"boxes": [{"box": [float("nan"), 1]}]}) == '{"boxes":[{"box":[null,1]}]}'


def test_run_lengths_of_numbers_are_compressed():
    counts = [2 * 24 + 3, 5, 24 * 40 - 2 * 24 - 8]
    good, wrong = check_annotations(
        {"boxes": [{"box": [1, 1, 9, 9], "segmentation": {"size": [24, 40], "counts": counts}}]}, SIZE
    )
    found = segmentation.decoded(good["boxes"][0]["segmentation"], SIZE)
    assert not wrong and found.sum() == 5 and found[3:8, 2].all()


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("labels", "cat", "is no list"),
        ("labels", ["cat", 3], "3 is no text"),
        ("soft_label", {"a": 0.5}, "sum to 0.5"),
        ("soft_label", {"a": -1, "b": 2}, "negative"),
        ("caption", 3, "is no text"),
        ("keypoints", [{"points": [[1, 2]]}], "is no x, y and visibility"),
        ("keypoints", [{"points": [[1, 2, 3]]}], "is no x, y and visibility"),
        ("keypoints", [{"points": [[99, 2, 2]]}], "lies outside of the image"),
        ("keypoints", [{"points": [[9, 2, 2]], "names": ["a", "b"]}], "1 points for 2 names"),
        ("keypoints", [{"points": [[9, 2, 2], [9, 3, 2]], "flip": [0, 0]}], "its flip is [0, 0]"),
        ("keypoints", [{"points": [[9, 2, 2]], "flip": [0, 1]}], "its flip is [0, 1]"),
        ("keypoints", [{"points": [["x", 0.5, 2]], "relative": True}], "is no x, y and visibility"),
        ("boxes", [{"box": ["x", 0.5, 1, 1], "relative": True}], "a corner is no number"),
        ("boxes", ["line 3: 'x' is no number"], "box 0: line 3: 'x' is no number, left out"),
    ],
)
def test_other_malformed_values_are_said(kind, value, said):
    wrong = check_annotations({kind: value}, SIZE)[1]
    assert len(wrong) == 1 and said in wrong[0]


FINITE = st.floats(-1e6, 1e6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(FINITE, FINITE, FINITE, FINITE), max_size=5))
def test_boxes_come_back_to_the_last_bit(corners):
    good, _ = check_annotations({"boxes": [{"box": list(box)} for box in corners]}, SIZE)
    assert parse_annotations(dump_annotations(good)) == good
    for one in good["boxes"]:
        x0, y0, x1, y1 = one["box"]
        assert 0 <= x0 < x1 <= 40 and 0 <= y0 < y1 <= 24
    assert check_annotations(good, SIZE) == (good, [])
    json.dumps(good, allow_nan=False)
