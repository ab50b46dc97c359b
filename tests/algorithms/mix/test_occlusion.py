"""What is left of boxes, outlines and keypoints of which a part is covered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms.mix import Scene, both, covered, overlay
from augforge.data.annotations import segmentation

SIZE = (20, 30)


def hidden(x0, y0, x1, y1, size=SIZE):
    mask = np.zeros(size, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def outlined(x0, y0, x1, y1, **more):
    return {"box": [x0, y0, x1, y1], "segmentation": [[x0, y0, x1, y0, x1, y1, x0, y1]], **more}


def inside(box):
    return segmentation.decoded(box["segmentation"], SIZE).astype(bool)


def only(annotations, where, least=0.1):
    return covered(annotations, where, least)["boxes"]


def test_what_is_not_touched_stays_as_it_is():
    box, plain = outlined(2.0, 3.0, 12.0, 13.0, label="a"), {"box": [1.5, 2.5, 4.25, 9.0]}
    assert only({"boxes": [box, plain]}, hidden(15, 0, 30, 20)) == [box, plain]


def test_an_outline_loses_what_is_covered_and_its_box_follows():
    (left,) = only({"boxes": [outlined(2.0, 3.0, 12.0, 13.0, label="a", id="7")]}, hidden(0, 0, 6, 20))
    assert left["box"] == [6.0, 3.0, 12.0, 13.0] and (left["label"], left["id"]) == ("a", "7")
    assert np.array_equal(inside(left), hidden(6, 3, 12, 13))


def test_a_hole_in_the_middle_leaves_the_box_and_cuts_the_outline():
    (left,) = only({"boxes": [outlined(2.0, 3.0, 12.0, 13.0)]}, hidden(5, 6, 8, 9))
    assert left["box"] == [2.0, 3.0, 12.0, 13.0] and inside(left).sum() == 100 - 9
    (plain,) = only({"boxes": [{"box": [2.0, 3.0, 12.0, 13.0]}]}, hidden(5, 6, 8, 9))
    assert plain == {"box": [2.0, 3.0, 12.0, 13.0]}


def test_a_box_without_an_outline_moves_in_where_a_whole_side_is_covered():
    (left,) = only({"boxes": [{"box": [2.25, 3.5, 12.0, 13.75]}]}, hidden(0, 0, 30, 8))
    assert left["box"] == [2.25, 8.0, 12.0, 13.75]


@pytest.mark.parametrize("thing", [outlined(0.0, 0.0, 10.0, 10.0), {"box": [0.0, 0.0, 10.0, 10.0]}])
def test_too_small_a_share_is_dropped_and_exactly_the_share_is_kept(thing):
    assert len(only({"boxes": [thing]}, hidden(0, 0, 9, 20), 0.1)) == 1
    assert only({"boxes": [thing]}, hidden(0, 0, 9, 20), 0.11) == []
    assert only({"boxes": [thing]}, hidden(0, 0, 10, 20), 0.0) == []


def test_keypoints_are_hidden_and_go_with_their_box():
    points = [[2.0, 2.0, 2.0], [15.0, 5.0, 2.0], [0.0, 0.0, 0.0], [3.0, 4.0, 1.0]]
    said = {"boxes": [{"box": [0.0, 0.0, 20.0, 10.0], "id": "1"}], "keypoints": [{"points": points, "id": "1"}]}
    found = covered(said, hidden(0, 0, 10, 20), 0.1)
    assert found["keypoints"][0]["points"] == [[2.0, 2.0, 1.0], [15.0, 5.0, 2.0], [0.0, 0.0, 0.0], [3.0, 4.0, 1.0]]
    assert covered(said, hidden(0, 0, 20, 20), 0.1) == {"boxes": [], "keypoints": []}
    alone = {"keypoints": [{"points": points}]}
    assert covered(alone, hidden(0, 0, 30, 20), 0.1) == {"keypoints": []}


def test_of_two_images_only_what_both_know_is_said_and_ids_stay_apart():
    first = {"boxes": [{"box": [0.0, 0.0, 2.0, 2.0], "id": "a"}], "keypoints": [], "caption": "one"}
    second = {"boxes": [{"box": [4.0, 4.0, 6.0, 6.0], "id": "a"}, {"box": [7.0, 7.0, 9.0, 9.0], "id": "a-2"}]}
    made = both(first, second)
    assert [box["id"] for box in made["boxes"]] == ["a", "a-3", "a-2"] and set(made) == {"boxes"}
    numbered = [{"boxes": [{"box": [0.0, 0.0, 2.0, 2.0], "id": id}]} for id in ("7", "7")]
    assert [box["id"] for box in both(*numbered)["boxes"]] == ["7", "8"]
    assert both({"boxes": []}, {"boxes": []}) == {"boxes": []} and both({}, second) == {}


BOX = st.tuples(st.integers(0, 28), st.integers(0, 18), st.integers(1, 12), st.integers(1, 12)).map(
    lambda b: (float(b[0]), float(b[1]), float(min(30, b[0] + b[2])), float(min(20, b[1] + b[3])))
)


@given(st.lists(BOX, max_size=4), st.lists(BOX, max_size=4), BOX)
def test_every_pixel_of_an_outline_is_seen_and_lies_in_its_box(firsts, seconds, over):
    where = hidden(*(int(side) for side in over))
    sides = [{"boxes": [outlined(*box, label=name) for box in boxes]} for name, boxes in
             (("first", firsts), ("second", seconds))]  # fmt: skip
    scenes = [Scene(np.zeros((*SIZE, 3), np.uint8), side) for side in sides]
    for box in overlay(*scenes, where, 0.0).annotations.get("boxes", ()):
        mask = inside(box)
        assert mask.any() and not (mask & (where if box["label"] == "first" else ~where)).any()
        x0, y0, x1, y1 = (int(side) for side in box["box"])
        assert not (mask & ~hidden(x0, y0, x1, y1)).any()
