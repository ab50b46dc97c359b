"""What a model says of a moved image comes back where it was seen, from the image's row alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import augforge
from augforge.algorithms.geometry import Affine, Crop, Flip, Geometry, Jigsaw, Op, Resize, Shear, Shift, Turn, Warp
from augforge.data.annotations import move_annotations
from augforge.errors import AugforgeError
from augforge.provenance.undo import Undo, undo
from tests.conftest import write_images

VOID = 255
exact = st.one_of(
    st.builds(Flip, st.sampled_from(["horizontal", "vertical"])),
    st.builds(Turn, st.integers(-3, 5)),
    st.builds(Shift, st.integers(-9, 9), st.integers(-9, 9)),
)
smooth = st.one_of(
    st.builds(Resize, st.integers(10, 60), st.integers(10, 60)),
    st.builds(Affine, st.floats(-30, 30), st.floats(0.8, 1.3), st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)),
    st.builds(Shear, across=st.floats(-20, 20)),
    st.builds(Crop, st.integers(-4, 8), st.integers(-4, 8), st.integers(8, 40), st.integers(8, 40)),
    st.builds(Warp, st.integers(0, 99), st.floats(0, 0.05)),
)
sizes = st.tuples(st.integers(12, 40), st.integers(12, 40))


def recorded(ops: list[Op], size: tuple[int, int]) -> Undo:
    """The way back, as a row of the dataset would say it."""
    moved = {"size": list(size), "ops": Geometry(tuple(ops)).plain()}
    return undo({"id": "x", "provenance": json.dumps({"moved": moved})})


def blocks(size: tuple[int, int]) -> np.ndarray:
    labels = np.random.default_rng(3).choice(np.array([3, 40, 200], np.uint8), (size[0] // 3 + 1, size[1] // 3 + 1))
    return np.kron(labels, np.ones((3, 3), np.uint8))[: size[0], : size[1]]


@settings(max_examples=60, deadline=None)
@given(st.lists(exact, max_size=5), sizes)
def test_flips_turns_and_whole_shifts_come_back_to_the_bit(ops: list[Op], size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    geometry, back = Geometry(tuple(ops)), recorded(ops, size)
    known = back.known()
    assert (back.image(geometry.apply(image))[known] == image[known]).all()
    labels = back.label_map(geometry.apply_label(blocks(size)))
    assert (labels == np.where(known, blocks(size), VOID)).all()
    if not any(isinstance(op, Shift) for op in ops):
        assert known.all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(exact, smooth), max_size=3), sizes)
def test_label_maps_never_get_another_value(ops: list[Op], size: tuple[int, int]) -> None:
    moved = Geometry(tuple(ops)).apply_label(blocks(size))
    back = recorded(ops, size).label_map(moved)
    assert back.shape == size and set(np.unique(back)) <= {*np.unique(blocks(size)), VOID}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(exact, smooth), max_size=4), sizes)
def test_points_come_back_from_where_they_went(ops: list[Op], size: tuple[int, int]) -> None:
    xy = np.random.default_rng(2).random((9, 2)) * [size[1], size[0]]
    gone = Geometry(tuple(ops)).point_map(size).points(xy)
    far = 0.02 if any(isinstance(op, Warp) for op in ops) else 1e-6
    assert np.abs(recorded(ops, size).points(gone) - xy).max() < far


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(exact, smooth), max_size=3), sizes)
def test_a_mask_painted_from_the_box_comes_back_inside_the_box(ops: list[Op], size: tuple[int, int]) -> None:
    geometry = Geometry(tuple(ops))
    made = geometry.size(size)
    x0, y0, x1, y1 = (
        made[1] // 4,
        made[0] // 4,
        max(made[1] // 4 + 1, made[1] // 2),
        max(made[0] // 4 + 1, made[0] // 2),
    )
    painted = np.zeros(made, np.uint8)
    painted[y0:y1, x0:x1] = 1
    back = recorded(ops, size)
    rows, columns = np.nonzero(back.label_map(painted, void=0))
    (box,) = back.boxes([[x0, y0, x1, y1]])
    if len(rows):
        sides = [side for done in range(len(ops) + 1) for side in Geometry(tuple(ops[:done])).size(size)]
        edge = 0.01 + 0.75 * len(ops) * max(sides) / min(sides)  # half a px of each step, and what became of it since
        assert box[0] - edge <= columns.min() and columns.max() + 1 <= box[2] + edge
        assert box[1] - edge <= rows.min() and rows.max() + 1 <= box[3] + edge


def test_boxes_and_keypoints_come_back_with_their_names() -> None:
    ops: list[Op] = [Flip(), Turn(1), Shift(2, 0)]
    said: dict[str, Any] = {
        "boxes": [{"box": [4.0, 6.0, 12.0, 14.0], "label": "dog", "segmentation": [[4.0, 6.0, 12.0, 6.0, 8.0, 14.0]]}],
        "keypoints": [{"points": [[5.0, 7.0, 2.0], [11.0, 8.0, 1.0]], "names": ["left_eye", "right_eye"]}],
        "caption": "a dog",
    }
    moved = move_annotations(said, Geometry(tuple(ops)).point_map((20, 24)), 0.1)
    assert moved != said and recorded(ops, (20, 24)).annotations(moved) == said


def test_taken_back_in_the_wrong_order_it_does_not_fit() -> None:
    """The known wrong variant: the operations undone first to last."""
    ops: list[Op] = [Shift(3, 0), Turn(1)]
    image = np.arange(16 * 16, dtype=np.int64).reshape(16, 16)
    wrong = Geometry(tuple(ops)).apply(image)
    for op in ops:
        wrong = op.move_back(wrong, (16, 16), "bilinear", None)
    right, known = recorded(ops, (16, 16)), recorded(ops, (16, 16)).known()
    assert (right.image(Geometry(tuple(ops)).apply(image))[known] == image[known]).all()
    assert (wrong[known] != image[known]).any()


def test_a_jigsaw_comes_back_piece_by_piece() -> None:
    jigsaw = Jigsaw(7, 4, 9)
    image = np.random.default_rng(1).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    assert (recorded([jigsaw], (20, 24)).image(jigsaw.move(image, "bilinear", None)) == image).all()


def test_every_form_of_a_row_will_do() -> None:
    moved = {"moved": {"size": [4, 6], "ops": [{"op": "turn", "quarters": 1}]}}
    rows = [moved, json.dumps(moved), {"provenance": moved}, {"sampled_params": json.dumps(moved)}]
    assert all(augforge.undo(row).made == (6, 4) for row in rows)


@pytest.mark.parametrize("row", [{"provenance": '{"digest": "x"}'}, {"sampled_params": {"variant": 0}}, "{}"])
def test_a_row_that_does_not_say_how_is_refused(row: Any) -> None:
    with pytest.raises(AugforgeError, match="does not say how its image was moved"):
        undo(row)


def test_an_output_of_another_size_is_refused() -> None:
    with pytest.raises(AugforgeError, match=r"this is \(4, 6\) px"):
        recorded([Turn(1)], (4, 6)).image(np.zeros((4, 6)))


def test_the_rows_of_a_run_are_enough(tmp_path: Path) -> None:
    """A model that sees on shifted images what their masks say: in the source, that is what the source's mask says."""
    from PIL import Image

    folder = tmp_path / "set"
    write_images(folder / "images", {".": 12}, seed=2)
    (folder / "masks").mkdir()
    for path in sorted((folder / "images").glob("*.png")):
        width, height = Image.open(path).size
        Image.fromarray(blocks((height, width))).save(folder / "masks" / path.name)
    recipe = augforge.Recipe(str(folder), [{"generate": "shifts", "size": 40, "families": ["geometric", "colour"]}])
    run = recipe.run(tmp_path / "out", device="cpu")
    made = [image for image in run.images() if image.origin == "synthetic"]
    rows = {row["id"]: row for row in pq.read_table(tmp_path / "out" / "samples.parquet").to_pylist()}
    assert len(made) == 12
    for image in made:
        back = augforge.undo(rows[image.id])
        assert back.size == augforge.undo(image.sample).size and back.made == image.image.size[::-1]
        truth = blocks(back.size)
        labels = back.label_map(np.asarray(image.pictures["mask"]))
        assert (labels == truth)[labels != VOID].mean() > 0.8 and (labels != VOID).mean() > 0.3
