"""Annotations in the dataset of a run and in its exports: whatever there is comes back to the last bit."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from augforge.io.own import extent
from augforge.publish.export import export
from tests.publish.annotated import ROWS, make_run, of_run, of_source

FORMATS = ("folder", "parquet", "webdataset", "coco", "hf")
CAR = {"box": [2.5, 3.25, 10.1, 20.3], "label": "car", "id": "a"}
UNREACHABLE = (1.65090344643977, 131074.29950994978)
"""Two numbers without a width between them."""
PERSON = {"points": [[1.5, 2.0, 2.0], [0.0, 0.0, 0.0]], "names": ["left eye", "right eye"], "label": "car", "id": "a"}


@pytest.mark.parametrize("to", [*FORMATS, None])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=ROWS)
@example(rows=[("car", None, {"boxes": [CAR], "keypoints": [PERSON]}), (None, "test", {"boxes": [], "keypoints": []})])
@example(
    rows=[
        ("", None, {"labels": []}),
        ("car", None, {"caption": " a\n"}),
        (None, None, {"boxes": [{"box": [0.0, 0.0, 1.0, 1.0]}]}),
    ]
)
@example(rows=[(None, None, {"boxes": [{"box": [0.06370652012974531, 1.0, 35.533451780618755, 2.0]}]})])
@example(
    rows=[
        (
            "bus",
            None,
            {"boxes": [CAR, {**CAR, "label": "bus"}], "labels": ["bus", "car"], "keypoints": [PERSON, PERSON]},
        )
    ]
)
def test_what_is_said_of_an_image_comes_back(to, rows):
    with TemporaryDirectory() as place:
        folder = Path(place)
        finished = make_run(folder, rows)
        if to:
            export(finished, to, folder / "out")
        wanted = of_run(finished)
        assert len(wanted) == len(rows)
        assert of_source(folder / "out" if to else finished / "dataset") == wanted


@given(st.floats(0, 1e6), st.floats(0, 1e6))
@example(*UNREACHABLE)
@example(0.1, 0.30000000000000004)
@example(5e-324, 1.0)
def test_a_width_gives_the_second_corner_back(one, other):
    low, high = sorted([one, other])
    found = low + extent(low, high)
    assert found == high or (found in (math.nextafter(high, 0), math.nextafter(high, 1e9)) and no_width(low, high))


def no_width(low: float, high: float) -> bool:
    """Whether every sum of `low` and a width lies in the middle of two numbers, and so is rounded to the even one."""
    gap = math.ulp(high)
    return (Fraction(high) - Fraction(low)) % Fraction(gap) == Fraction(gap) / 2
