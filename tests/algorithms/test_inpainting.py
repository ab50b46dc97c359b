"""What is painted and what is not: exact weights, exact bits, and what is said afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.algorithms.inpainting import (
    Said,
    Thing,
    annotations_after,
    area_of,
    compose,
    crop_around,
    made_up_thing,
    pictures_after,
    things_in_boxes,
    things_in_map,
    weights_around,
    weights_of,
)


def square(size: int = 12, low: int = 4, high: int = 8) -> np.ndarray:
    region = np.zeros((size, size), bool)
    region[low:high, low:high] = True
    return region


def noise(seed: int = 0, size: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)


def test_weights_by_distance() -> None:
    row = np.zeros((1, 12), bool)
    row[0, 2] = True
    assert weights_around(row, 2, 3)[0].tolist() == [1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0, 0, 0]
    assert weights_around(row, 0, 0)[0].tolist() == [0, 0, 1, *[0] * 9]
    assert not weights_around(np.zeros((3, 3), bool), 5, 5).any()
    assert (weights_around(np.ones((3, 3), bool), 0, 0) == 1).all()


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 99))
def test_weights_are_those_of_the_nearest_pixel(dilate: int, feather: int, seed: int) -> None:
    """By brute force over all pairs of pixels."""
    region = np.random.default_rng(seed).random((7, 6)) < 0.1
    found = weights_around(region, dilate, feather)
    places = np.argwhere(region)
    for place in np.ndindex(region.shape):
        nearest = np.sqrt(((places - place) ** 2).sum(1)).min() if len(places) else np.inf
        assert found[place] == pytest.approx(np.clip(1 - (nearest - dilate) / (feather + 1), 0, 1), abs=1e-6)


def test_a_background_is_painted_up_to_the_grown_things() -> None:
    thing = Thing(square(), "cat")
    weights = weights_of([thing], [], (12, 12), (1, 2), outside=True)
    assert (weights[square()] == 0).all()
    assert weights[5, 8] == 0, "grown by one"
    assert weights[5, 9] == pytest.approx(1 / 3)
    assert weights[5, 11] == 1


def test_other_things_with_an_outline_are_never_painted() -> None:
    other = np.zeros((12, 12), bool)
    other[4:8, 8:10] = True
    chosen = Thing(square(), "cat")
    assert (weights_of([chosen], [Thing(other, "dog")], (12, 12), (3, 3), False)[other] == 0).all()
    assert (weights_of([chosen], [Thing(other, "dog", False)], (12, 12), (3, 3), False)[other] > 0).all()


def test_nothing_painted_is_the_parent_and_all_painted_none_of_it() -> None:
    parent, paint = noise(), np.random.default_rng(1).random((12, 12, 3), np.float32)
    none, full = np.zeros((12, 12), np.float32), np.ones((12, 12), np.float32)
    assert (np.round(compose(parent, paint, none) * 255) == parent).all()
    assert (np.round(compose(parent, None, full) * 255) == parent).all()
    assert (compose(parent, paint, full) == paint).all()
    assert (compose(255 - parent, paint, full) == compose(parent, paint, full)).all()


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 99))
def test_outside_of_the_reach_not_a_bit_changes(dilate: int, feather: int, seed: int) -> None:
    parent, paint = noise(seed), np.random.default_rng(seed).random((12, 12, 3), np.float32)
    weights = weights_around(square(), dilate, feather)
    made = np.round(compose(parent, paint, weights) * 255)
    assert (made[weights == 0] == parent[weights == 0]).all()
    assert (made[weights == 1] == np.round(paint[weights == 1] * 255)).all()
    lower = np.minimum(parent / 255, paint)[weights > 0] - 1e-6
    upper = np.maximum(parent / 255, paint)[weights > 0] + 1e-6
    inside = compose(parent, paint, weights)[weights > 0]
    assert ((lower <= inside) & (inside <= upper)).all()


def test_broken_paint_stays_visible_and_breaks_nothing_else() -> None:
    parent, weights = noise(), weights_around(square(), 1, 1)
    made = compose(parent, np.full((12, 12, 3), np.nan, np.float32), weights)
    assert np.isnan(made[weights > 0]).all()
    assert (np.round(made[weights == 0] * 255) == parent[weights == 0]).all()


def test_paint_of_another_size_is_stretched() -> None:
    paint = np.full((4, 6, 3), 0.25, np.float32)
    assert np.abs(compose(noise(), paint, np.ones((12, 12), np.float32)) - 0.25).max() < 1e-6


def test_things() -> None:
    boxes = [{"box": [1.0, 2.0, 4.0, 6.0], "label": "cat"}, {"box": [0.0, 0.0, 2.0, 2.0]}]
    found = things_in_boxes(boxes, (8, 8))
    assert [thing.label for thing in found] == ["cat", ""]
    assert found[0].area.sum() == 12
    assert not found[0].outlined
    triangle = {"box": [0, 0, 8, 8], "segmentation": [[0, 0, 8, 0, 0, 8]]}
    (outlined,) = things_in_boxes([triangle], (8, 8))
    assert outlined.outlined
    assert 24 <= outlined.area.sum() <= 40
    numbers = np.array([[0, 1, 1], [7, 255, 0]])
    assert [(t.label, int(t.area.sum()), t.outlined) for t in things_in_map(numbers, classes=True)] == [
        ("1", 2, False),
        ("7", 1, False),
    ]
    assert [thing.label for thing in things_in_map(numbers)] == ["1", "7", "255"]


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.01, 1), st.integers(0, 99))
def test_a_made_up_thing_covers_its_share(height: int, width: int, share: float, seed: int) -> None:
    thing = made_up_thing((height, width), share, np.random.default_rng(seed))
    rows, columns = np.nonzero(thing.area)
    assert thing.area.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1), "a rectangle"
    if min(height, width) >= 8 and share <= 0.5 and max(height, width) < 2 * min(height, width):
        assert abs(thing.area.mean() - share) < 0.15


@given(st.integers(0, 99), st.floats(0, 3))
def test_what_is_shown_holds_what_is_painted(seed: int, context: float) -> None:
    random = np.random.default_rng(seed)
    size = tuple(int(side) for side in random.integers(1, 30, 2))
    region = random.random(size) < 0.05
    region[tuple(int(random.integers(side)) for side in size)] = True
    left, top, right, bottom = crop_around(region, context)
    assert 0 <= left < right <= size[1] and 0 <= top < bottom <= size[0]
    assert region[top:bottom, left:right].sum() == region.sum()


def test_what_is_shown_is_a_square_around_it() -> None:
    region = np.zeros((40, 60), bool)
    region[10:14, 20:28] = True
    assert crop_around(region, 0.0) == (20, 8, 28, 16)
    assert crop_around(region, 0.5) == (16, 4, 32, 20)
    assert crop_around(region, 9.0) == (0, 0, 60, 40)


BOXES = [
    {"box": [4.0, 4.0, 8.0, 8.0], "label": "cat", "segmentation": [[4, 4, 8, 4, 8, 8, 4, 8]], "id": "1"},
    {"box": [0.0, 0.0, 3.0, 3.0], "label": "dog", "iscrowd": True},
]
KNOWN = {
    "boxes": BOXES,
    "keypoints": [{"points": [[5.0, 5.0, 2], [6.0, 6.0, 2], [0.0, 0.0, 0]]}, {"points": [[1.0, 1.0, 1]]}],
    "labels": ["cat", "dog", "indoors"],
    "caption": "a cat and a dog",
    "extra": {"camera": 3},
}


def test_what_is_said_of_a_replaced_thing() -> None:
    weights = weights_around(square(), 0, 1)
    assert annotations_after(KNOWN, weights, Said("keep")) == KNOWN
    dropped = annotations_after(KNOWN, weights, Said("drop"))
    assert dropped["boxes"] == BOXES[1:]
    assert dropped["keypoints"] == KNOWN["keypoints"][1:]
    assert dropped["labels"] == ["dog", "indoors"]
    assert dropped["extra"] == KNOWN["extra"]
    assert "caption" not in dropped
    renamed = annotations_after(KNOWN, weights, Said("fox"))
    assert renamed["boxes"] == [{"box": BOXES[0]["box"], "label": "fox"}, BOXES[1]]
    assert renamed["labels"] == ["dog", "indoors", "fox"]
    assert KNOWN["labels"] == ["cat", "dog", "indoors"], "what was given is left alone"


def test_nothing_painted_changes_nothing_that_is_said() -> None:
    assert annotations_after(KNOWN, np.zeros((12, 12), np.float32), Said("drop")) == KNOWN


def test_a_new_background_hides_what_was_in_it() -> None:
    weights = weights_of([Thing(square(), "cat")], [], (12, 12), (0, 0), outside=True)
    for label in ("keep", "drop"):
        found = annotations_after(KNOWN, weights, Said(label, outside=True))
        assert found["boxes"] == BOXES[:1]
        assert found["keypoints"] == KNOWN["keypoints"][:1]
        assert found["labels"] == ["cat", "indoors"]


@pytest.mark.parametrize(("share", "stays"), [(0.4, True), (0.6, False)])
def test_a_thing_is_replaced_if_half_of_it_is(share: float, stays: bool) -> None:
    weights = np.zeros((10, 10), np.float32)
    weights[:, : round(10 * share)] = 1
    found = annotations_after({"boxes": [{"box": [0.0, 0.0, 10.0, 10.0], "label": "cat"}]}, weights, Said("drop"))
    assert bool(found["boxes"]) is stays


def test_pictures() -> None:
    region = square()
    weights = weights_around(region, 1, 1)
    pictures = {
        "mask": np.full((12, 12), 3, np.uint8),
        "instances": np.full((12, 12), 9, np.uint16),
        "depth": np.full((12, 12), 700, np.uint16),
    }
    for label, mask, instance in (("keep", 3, 9), ("drop", 5, 0), ("fox", 5, 9)):
        found = pictures_after(pictures, region, weights, Said(label, 5))
        assert (found["mask"] == np.where(region, mask, 3)).all()
        assert (found["instances"] == np.where(region, instance, 9)).all()
        assert (found["depth"] == np.where(weights > 0, 0, 700)).all()
    assert (pictures["mask"] == 3).all()
    assert (pictures_after(pictures, region, weights, Said("keep", outside=True))["instances"][region] == 0).all()


def test_the_pixels_of_a_box() -> None:
    assert area_of({"box": [0.6, 0.0, 2.4, 1.0]}, (2, 4)).tolist() == [[False, True, False, False], [False] * 4]
