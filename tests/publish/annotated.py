"""Runs whose images have annotations, made up or given, for the tests of exports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from augforge import io
from augforge.data.annotations import parse_annotations, segmentation
from augforge.engine.run import run
from augforge.io import detect, open_source
from augforge.recipe import Recipe, SourceSpec
from tests.io.given import SIZE, Given
from tests.test_laws import rows

HEIGHT, WIDTH = SIZE
Given_ = tuple[str | None, str | None, dict[str, Any]]
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=4)
CLASSES = st.sampled_from(["car", "bus", "", " a|b/../c "])


def inside(side: int) -> st.SearchStrategy[list[float]]:
    """Two different numbers in [0, side], in order."""
    return st.lists(st.floats(0, side), min_size=2, max_size=2, unique=True).map(sorted).filter(lambda x: x[0] < x[1])


@st.composite
def outlines(draw: st.DrawFn) -> Any:
    """Polygons, or the run lengths of a random mask."""
    if draw(st.booleans()):
        pair = st.tuples(st.floats(0, WIDTH), st.floats(0, HEIGHT))
        polygon = st.lists(pair, min_size=3, max_size=4).map(lambda points: [value for xy in points for value in xy])
        return draw(st.lists(polygon, min_size=1, max_size=2))
    return segmentation.encoded(np.random.default_rng(draw(st.integers(0, 9))).integers(0, 2, SIZE, dtype=np.uint8))


@st.composite
def boxes(draw: st.DrawFn) -> dict[str, Any]:
    """A box, with any of what a box may have."""
    (x0, x1), (y0, y1) = draw(inside(WIDTH)), draw(inside(HEIGHT))
    more = st.fixed_dictionaries({}, optional={
        "label": CLASSES, "iscrowd": st.just(True), "id": st.sampled_from(["1", "7", "é"]), "segmentation": outlines(),
        "attributes": st.dictionaries(TEXTS, st.integers() | TEXTS | st.booleans(), min_size=1, max_size=2),
    })  # fmt: skip
    return {"box": [x0, y0, x1, y1], **draw(more)}


@st.composite
def keypoints(draw: st.DrawFn) -> dict[str, Any]:
    """An instance of two points."""
    point = st.tuples(st.floats(0, WIDTH), st.floats(0, HEIGHT), st.sampled_from([0.0, 1.0, 2.0]))
    points = [list(each) if each[2] else [0.0, 0.0, 0.0] for each in draw(st.tuples(point, point))]
    names = st.just(["left eye", "right eye"]) | st.lists(TEXTS, min_size=2, max_size=2)
    more = {"label": CLASSES, "id": st.sampled_from(["1", "7"]), "names": names}
    return {"points": points, **draw(st.fixed_dictionaries({}, optional=more))}


ANNOTATIONS = st.fixed_dictionaries({}, optional={
    "labels": st.lists(CLASSES, max_size=3, unique=True),
    "soft_label": st.floats(0.125, 0.875).map(lambda share: {"car": share, "bus": 1 - share}),
    "boxes": st.lists(boxes(), max_size=3),
    "keypoints": st.lists(keypoints(), max_size=3),
    "caption": TEXTS,
    "captioned_by": st.fixed_dictionaries({"stage": TEXTS}, optional={"model": TEXTS, "prompt": TEXTS}),
    "extra": st.fixed_dictionaries({}, optional={
        "camera": TEXTS.map(lambda text: {"type": "string", "value": text}),
        "frame": st.integers(-(2**63), 2**63 - 1).map(lambda number: {"type": "int64", "value": number}),
        "tags": st.lists(TEXTS, min_size=1, max_size=2).map(lambda v: {"type": "list<item: string>", "value": v}),
    }).filter(bool),
})  # fmt: skip
"""Any annotations of an image of SIZE that need no correction."""
ROWS = st.lists(
    st.tuples(st.none() | CLASSES, st.sampled_from([None, "train", "test"]), ANNOTATIONS), min_size=1, max_size=4
)


def make_run(folder: Path, given: Sequence[Given_]) -> Path:
    """A run below `folder` of pictures with what is given of them."""
    io.KINDS["given"] = "tests.io.given:Given"
    try:
        name = f"of {folder.name}"
        Given.contents[name] = given
        run(Recipe("annotated", 0, (SourceSpec("given", name),), ()), folder / "run", max_bad=1.0)
    finally:
        del io.KINDS["given"]
    return folder / "run"


Told = dict[str, tuple[str | None, str | None, dict[str, Any]]]


def of_run(folder: Path) -> Told:
    """Label, split and annotations of every sample of a run, by id."""
    return {i: (r["label"], r["split"], parse_annotations(r["annotations"])) for i, r in rows(folder).items()}


def of_source(folder: Path) -> Told:
    """The same of everything in an export, or in the dataset of a run."""
    entries = open_source(*detect(str(folder))).entries()
    return {(e.carried or {})["id"]: (e.label, e.split, dict(e.annotations)) for e in entries}
