"""Annotations in the report: drawn over the picture where it is looked at closely, and told in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augforge.data.annotations import dump_annotations, segmentation
from augforge.report import write_report
from augforge.report.shapes import MOST, shapes
from tests.io.given import SIZE
from tests.publish.annotated import make_run
from tests.report.browsing import needs_chromium, shown
from tests.report.runs import EVIL

INSIDE = np.zeros(SIZE, np.uint8)
INSIDE[4:8, 10:20] = 1
SAID = {
    "boxes": [
        {"box": [10.0, 4.0, 20.0, 8.0], "label": EVIL[0], "segmentation": segmentation.encoded(INSIDE)},
        {"box": [1.0, 2.0, 5.25, 9.0], "iscrowd": True, "segmentation": [[1.0, 2.0, 5.0, 2.0, 5.0, 9.0]]},
    ],
    "keypoints": [{"points": [[3.0, 4.0, 2.0], [0.0, 0.0, 0.0], [6.0, 7.0, 1.0]]}],
    "caption": EVIL[1],
}


def test_what_is_drawn_is_in_px_of_the_image():
    bars, polygon, *others = json.loads(shapes(dump_annotations(SAID), SIZE))
    assert bars["d"] == "".join(f"M10 {row}h10v1h-10z" for row in range(4, 8))
    assert polygon["d"] == "M1 2L5 2L5 9Z"
    assert [one["b"] for one in others[:2]] == [[10.0, 4.0, 20.0, 8.0], [1.0, 2.0, 5.2, 9.0]]
    assert [one["t"] for one in others[:2]] == [EVIL[0], " (crowd)"]
    assert [one["p"] for one in others[2:]] == [[3.0, 4.0, 1], [6.0, 7.0, 0]]


def test_nothing_is_drawn_of_what_has_no_place():
    assert shapes("", SIZE) == shapes(dump_annotations({"caption": "x", "labels": ["a"], "boxes": []}), SIZE) == ""


def test_what_is_drawn_of_one_picture_is_bounded():
    size = (3000, 4000)
    noise = np.random.default_rng(0).integers(0, 2, size, dtype=np.uint8)
    box = {"box": [0.0, 0.0, 4000.0, 3000.0], "segmentation": segmentation.encoded(noise)}
    many = {"boxes": [box] + [{"box": [0.0, 0.0, 9.0, 9.0]}] * 5000}
    drawn = shapes(dump_annotations(many), size)
    assert len(json.loads(drawn)) == MOST + 1 and len(drawn) < 300_000


@needs_chromium
def test_boxes_are_drawn_over_the_picture_and_can_be_hidden(tmp_path: Path, opened: Callable[..., Any]):
    finished = make_run(tmp_path, [("car", None, SAID), ("bus", None, {"caption": "empty street"})])
    written = write_report(finished)
    page = opened(written.path, "#gallery")
    told = {}
    for number in range(2):
        page.locator(".card").nth(number).click()
        detail = page.locator("#detail")
        told[detail.locator("h2").first.inner_text()] = shown(detail), detail.locator("svg.shapes rect").count()
        if detail.locator("svg.shapes").count():
            assert detail.locator("svg.shapes path").count() == 2 and detail.locator("svg.shapes circle").count() == 2
            assert detail.locator("svg.shapes text").all_text_contents()[0] == EVIL[0]
            places = [detail.locator(tag).first.bounding_box() for tag in ("svg.shapes", ".shot.large")]
            assert places[0] == pytest.approx(places[1], abs=1)
            page.get_by_label("boxes and points").uncheck()
            assert not detail.locator("svg.shapes").is_visible()
        page.keyboard.press("Escape")
    words = {title.partition(",")[0]: (text, count) for title, (text, count) in told.items()}
    assert words["car"][1] == 2 and "3 labelled" not in words["car"][0] and "2 labelled points" in words["car"][0]
    assert EVIL[1] in words["car"][0] and "empty street" in words["bus"][0] and words["bus"][1] == 0
