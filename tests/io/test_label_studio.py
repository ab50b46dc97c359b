"""Label Studio's own JSON export, in the form of its documentation: what people drew, chose and wrote comes back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from augforge.data.annotations import check_annotations, segmentation
from augforge.errors import SourceError
from augforge.io import detect, open_source
from augforge.io.base import Entry
from augforge.io.label_studio_regions import brush_mask, brush_runs
from augforge.io.understood import understanding, understood
from augforge.publish.export import export
from tests.io.given import SIZE as GIVEN_SIZE
from tests.io.layouts import HEIGHT, SIZE, WIDTH, picture, put
from tests.publish.annotated import ROWS, make_run, of_run, of_source

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["x", "y", "width", "height", "points", "rle", "rotation", "radiusX", "choices", "text",
                         "rectanglelabels", "labels", "data", "image", "annotations", "result", "value", "id", "type",
                         "from_name", "parentID", "meta", "predictions", "augforge", "model_version", "file"]),
        inner, max_size=6,
    ),
    max_leaves=12,
)  # fmt: skip


def result(kind: str, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    about = {"id": "r1", "from_name": "a", "to_name": "image", "type": kind, "origin": "manual", "image_rotation": 0}
    return {**about, "original_width": WIDTH, "original_height": HEIGHT, "value": value, **more}


def task(*results: dict[str, Any], image: str = "/data/upload/1/0a1b2c3d-a.png", **more: Any) -> dict[str, Any]:
    annotation = {"id": 1, "was_cancelled": False, "result": list(results), "created_at": "2024-01-01T00:00:00Z"}
    return {"id": 7, "annotations": [annotation], "predictions": [], "data": {"image": image}, **more}


def write(root: Path, *tasks: dict[str, Any]) -> Path:
    return put(root, {"project-1.json": json.dumps(list(tasks)), "a.png": picture()})


def read(root: Path) -> Entry:
    kind, value = detect(str(root))
    assert kind == "label-studio"
    (entry,) = open_source(kind, value).entries()
    return entry


def usable(entry: Entry) -> dict[str, Any]:
    said, wrong = check_annotations(entry.annotations, SIZE)
    assert not wrong, wrong
    return said


BOX = {"x": 25, "y": 25, "width": 50, "height": 50, "rotation": 0}


def test_rectangles_with_classes_of_their_own(tmp_path):
    entry = read(write(tmp_path, task(result("rectanglelabels", {**BOX, "rectanglelabels": ["car"]}))))
    assert (entry.locator, entry.label, entry.split, entry.size) == ("a.png", "car", None, (WIDTH, HEIGHT))
    assert usable(entry)["boxes"] == [{"box": [12.0, 8.0, 36.0, 24.0], "label": "car", "id": "r1"}]


def test_a_rectangle_is_turned_around_its_upper_left_corner(tmp_path):
    turned = {"x": 50, "y": 0, "width": 25, "height": 25, "rotation": 90, "rectanglelabels": ["car"]}
    (box,) = usable(read(write(tmp_path, task(result("rectanglelabels", turned)))))["boxes"]
    assert np.allclose(box["box"], [24 - 8, 0, 24, 12])  # 12 px wide and 8 px high, then upright
    assert np.allclose(segmentation.area(box["segmentation"], SIZE), 96)


def test_the_labels_of_a_region_may_be_a_result_of_their_own(tmp_path):
    shared = task(result("rectangle", BOX), result("labels", {**BOX, "labels": ["car"]}))
    (box,) = usable(read(write(tmp_path, shared)))["boxes"]
    assert (box["label"], box["box"]) == ("car", [12.0, 8.0, 36.0, 24.0])


def test_polygons_ellipses_and_brushes_are_boxes_with_outlines(tmp_path):
    inside = np.zeros(SIZE, np.uint8)
    inside[4:9, 10:20] = 1
    corners = [[0, 0], [50, 0], [50, 50]]
    entry = read(
        write(
            tmp_path,
            task(
                result("polygonlabels", {"points": corners, "closed": True, "polygonlabels": ["a"]}, id="p"),
                result(
                    "ellipselabels", {"x": 50, "y": 50, "radiusX": 25, "radiusY": 25, "ellipselabels": ["b"]}, id="e"
                ),
                result("brushlabels", {"format": "rle", "rle": brush_runs(inside), "brushlabels": ["c"]}, id="b"),
            ),
        )
    )
    polygon, ellipse, brush = usable(entry)["boxes"]
    assert polygon["segmentation"] == [[0.0, 0.0, 24.0, 0.0, 24.0, 16.0]] and polygon["box"] == [0.0, 0.0, 24.0, 16.0]
    assert ellipse["box"] == [12.0, 8.0, 36.0, 24.0]
    assert segmentation.area(ellipse["segmentation"], SIZE) == pytest.approx(math.pi * 12 * 8, rel=0.02)
    assert brush["box"] == [10.0, 4.0, 20.0, 9.0]
    assert np.array_equal(segmentation.decoded(brush["segmentation"], SIZE), inside)
    assert entry.annotations["labels"] == ["a", "b", "c"] and entry.label is None


def test_points_below_one_region_are_one_instance(tmp_path):
    point = {"x": 50, "y": 50, "width": 0.5}
    entry = read(
        write(
            tmp_path,
            task(
                result("rectanglelabels", {**BOX, "rectanglelabels": ["person"]}, id="box"),
                result("keypointlabels", {**point, "keypointlabels": ["nose"]}, id="n", parentID="box"),
                result("keypointlabels", {**point, "x": 25, "keypointlabels": ["ear"]}, id="e", parentID="box"),
                result("keypointlabels", {**point, "keypointlabels": ["tip"]}, id="t"),
            ),
        )
    )
    said = usable(entry)
    assert len(said["boxes"]) == 1 and said["keypoints"] == [
        {"points": [[24, 16, 2], [12, 16, 2]], "names": ["nose", "ear"], "label": "person", "id": "box"},
        {"points": [[24, 16, 2]], "names": ["tip"]},
    ]


def test_choices_and_texts(tmp_path):
    entry = read(
        write(
            tmp_path,
            task(
                result("choices", {"choices": ["good"]}, id="c1", from_name="quality"),
                result("choices", {"choices": ["cat"]}, id="c2", from_name="class"),
                result("textarea", {"text": ["a cat", "two words"]}, id="t", from_name="caption"),
                result("rating", {"rating": 4}, id="s", from_name="stars"),
            ),
        )
    )
    assert entry.label == "cat" and entry.annotations["caption"] == "a cat"
    extra = entry.annotations["extra"]
    assert extra["quality"] == {"type": "string", "value": "good"}
    assert extra["captions"]["value"] == ["a cat", "two words"]
    several = write(tmp_path, task(result("choices", {"choices": ["cat", "dog"]}, id="c", from_name="animals")))
    assert read(several).annotations["labels"] == ["cat", "dog"]


def test_what_is_said_of_one_region_is_an_attribute_of_it(tmp_path):
    box = result("rectanglelabels", {**BOX, "rectanglelabels": ["car", "red"]}, meta={"text": ["late"]})
    seen = result("choices", {**BOX, "choices": ["hidden"]}, from_name="visibility")
    entry = read(write(tmp_path, task(box, seen)))
    (found,) = usable(entry)["boxes"]
    assert entry.label == "car"
    assert found["attributes"] == {"text": ["late"], "visibility": "hidden", "labels": ["car", "red"]}


def sentence(root: Path) -> str:
    source = open_source(*detect(str(root)))
    told = understood(source)
    assert list(understanding(source, told))
    return told.sentence()


def test_the_last_annotation_counts_and_what_is_not_read_is_said(tmp_path):
    old = {"result": [result("choices", {"choices": ["dog"]}, id="c")], "created_at": "2024-01-03"}
    new = {
        "result": [result("choices", {"choices": ["cat"]}, id="c")],
        "created_at": "2024-01-01",
        "updated_at": "2025",
    }
    skipped = {"result": [], "was_cancelled": True, "created_at": "2026"}
    root = put(
        tmp_path,
        {f"{name}.png": picture(place) for place, name in enumerate("abcde")}
        | {
            "tasks.json": json.dumps(
                [
                    {**task(image="a.png"), "annotations": [new, old, skipped]},
                    {**task(image="b.png"), "annotations": [skipped]},
                    {**task(image="c.png"), "annotations": [], "predictions": [{"model_version": "y", "result": []}]},
                    task(result("rating", {"rating": 4}), image="d.png"),
                ]
            )
        },
    )
    entries = {entry.locator: entry for entry in open_source(*detect(str(root))).entries()}
    assert [entries[f"{name}.png"].label for name in "abcd"] == ["cat", None, None, None]
    text = sentence(root)
    for said in (
        "1 task is annotated more than once", "1 task is read as not annotated, being skipped",
        "having predictions alone",
        "1 result is of the type rating, which is not read", "1 image is not used, as no task names it: e.png",
    ):  # fmt: skip
        assert said in text


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("/data/local-files/?d=deep/images/val/a%20b.png", "images/val/a b.png"),
        ("/data/upload/12/0a1b2c3d-x.png", "images/x.png"),
        ("s3://bucket/set/images/x.png", "images/x.png"),
        ("https://host/some/images/x.png?token=1", "images/x.png"),
        ("images\\x.png", "images/x.png"),
        ("http://host/data/local-files/?d=C%3A%5Cset%5Cimages%5Cx.png", "images/x.png"),
    ],
)
def test_images_are_found_by_the_ends_of_their_paths(tmp_path, address, file):
    root = put(tmp_path, {file: picture(), "tasks.json": json.dumps([task(image=address)])})
    entry = read(root)
    assert (entry.locator, entry.problem) == (file, "")
    assert entry.split == ("validation" if "val" in file else None)


def test_images_that_are_not_there_or_not_clear(tmp_path):
    tasks = [
        task(image="gone.png"),
        task(image="x/twice.png"),
        task(image="../../etc/a.png"),
        {"id": 1},
        task(image=""),
    ]
    root = put(tmp_path, {"a/twice.png": picture(), "b/twice.png": picture(), "tasks.json": json.dumps(tasks)})
    problems = [entry.problem for entry in open_source(*detect(str(root))).entries()]
    assert problems == [
        "missing file", "several images are called twice.png", "its name leads out of the source",
        "it is no task: it has no data", "its task names no image",
    ]  # fmt: skip


def test_other_json_is_no_list_of_tasks(tmp_path):
    put(
        tmp_path,
        {"cat/a.png": picture(), "x.json": '[{"data": {"a": 1}}]', "y.json": '{"annotations": [], "data": {}}'},
    )
    assert detect(str(tmp_path))[0] == "folder"
    put(tmp_path / "no", {"x.json": "{}"})
    for name, why in (("", "there is no JSON file"), ("x.json", "no list of tasks"), ("y.json", "is damaged")):
        put(tmp_path / "no", {"y.json": "[{"})
        with pytest.raises(SourceError, match=why):
            list(open_source("label-studio", str(tmp_path / "no" / name)).entries())


def submitted(folder: Path, change: Any = lambda results: results, keep_meta: bool = False) -> None:
    """What an export is after people looked through all of it and submitted what was predicted, or a change of it."""
    tasks = json.loads((folder / "tasks.json").read_text())
    for one in tasks:
        results = change(one["predictions"][0]["result"])
        kept = [{name: each for name, each in result.items() if keep_meta or name != "meta"} for result in results]
        one["annotations"] = [{"id": 1, "result": kept, "was_cancelled": False}]
    (folder / "tasks.json").write_text(json.dumps(tasks))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=ROWS)
def test_what_people_submit_without_a_change_is_what_was_exported(rows):
    with TemporaryDirectory() as place:
        finished = make_run(Path(place), rows)
        export(finished, "label-studio", Path(place) / "out")
        submitted(Path(place) / "out")
        assert of_source(Path(place) / "out") == of_run(finished)


CAR = {"box": [2.5, 3.25, 10.1, 20.3], "label": "car", "id": "a", "attributes": {"n": 3}, "iscrowd": True}
BUS = {"box": [0.1, 0.2, 30.3, 12.0], "label": "bus", "segmentation": [[0.1, 0.2, 30.3, 0.2, 30.3, 12.0]]}
PERSON = {"points": [[1.5, 2.1, 2.0], [0.0, 0.0, 0.0], [3.3, 4.1, 1.0]], "names": ["nose", "l", "r"], "id": "a"}
SAID = {"boxes": [CAR, BUS], "keypoints": [PERSON], "caption": "a car", "soft_label": {"car": 1.0}}


def corrected(tmp_path: Path, change: Any) -> tuple[str | None, dict[str, Any]]:
    """Label and annotations after people changed the results of an export."""
    export(make_run(tmp_path, [("car", "train", SAID)]), "label-studio", tmp_path / "out")
    submitted(tmp_path / "out", change)
    ((label, split, said),) = of_source(tmp_path / "out").values()
    assert split == "train"
    return label, said


def test_a_box_that_was_moved_keeps_all_but_its_place(tmp_path):
    def moved(results):
        return [
            {**one, "value": {**one["value"], "x": 50, "width": 25}} if one["id"] == "box-0" else one for one in results
        ]

    label, said = corrected(tmp_path, moved)
    _, width = GIVEN_SIZE
    box, other = said["boxes"]
    assert {**box, "box": None} == {**CAR, "box": None} and other == BUS and label == "car"
    assert box["box"] == [pytest.approx(v) for v in (width / 2, CAR["box"][1], width * 3 / 4, CAR["box"][3])]
    assert {name: said[name] for name in SAID if name != "boxes"} == {k: v for k, v in SAID.items() if k != "boxes"}


def test_what_was_deleted_is_gone_and_what_was_drawn_is_there(tmp_path):
    height, width = GIVEN_SIZE
    drawn = {"x": 0, "y": 0, "width": 50, "height": 50, "rotation": 0, "rectanglelabels": ["dog"]}

    def changed(results):
        left = [one for one in results if one["id"] not in ("box-0", "points-0-0")]
        return [*left, {**results[1], "id": "Xy1", "value": drawn}]

    _, said = corrected(tmp_path, changed)
    assert said["boxes"] == [BUS, {"box": [0, 0, width / 2, height / 2], "label": "dog", "id": "Xy1"}]
    assert said["keypoints"] == [{**PERSON, "points": [[0.0, 0.0, 0.0], *PERSON["points"][1:]]}]


def test_an_outline_whose_box_was_deleted_has_a_box_of_its_own(tmp_path):
    inside = np.zeros(GIVEN_SIZE, np.uint8)
    inside[3:9, 4:20] = 1
    masked = {"box": [1.0, 1.0, 30.0, 20.0], "label": "car", "segmentation": segmentation.encoded(inside)}
    finished = make_run(tmp_path, [(None, None, {"boxes": [masked, BUS]})])
    export(finished, "label-studio", tmp_path / "out")
    submitted(tmp_path / "out", lambda results: [one for one in results if one["id"] not in ("box-0", "box-1")])
    ((label, _, said),) = of_source(tmp_path / "out").values()
    brush, polygon = said["boxes"]
    assert brush == {"box": [4.0, 3.0, 20.0, 9.0], "label": "car", "segmentation": masked["segmentation"]}
    assert polygon["label"] == "bus" and np.allclose(polygon["segmentation"], BUS["segmentation"]) and label is None
    assert np.allclose(polygon["box"], BUS["box"])


def test_labels_and_captions_that_were_changed(tmp_path):
    def changed(results):
        found = []
        for one in results:
            value = {"label": {"choices": ["dog"]}, "caption": {"text": ["a dog"]}}.get(one["id"], one["value"])
            if one["id"] == "box-1":
                value = {**value, "rectanglelabels": ["dog"]}
            found.append({**one, "value": value})
        return found

    label, said = corrected(tmp_path, changed)
    assert label == "dog" and said["caption"] == "a dog" and "soft_label" not in said
    assert said["boxes"] == [CAR, {**BUS, "label": "dog"}]


def test_all_may_be_taken_away(tmp_path):
    label, said = corrected(tmp_path, lambda results: [])
    assert label is None and said == {"boxes": [], "keypoints": []}


@given(st.integers(0, 99), st.integers(1, 9), st.integers(1, 9))
def test_any_mask_goes_to_a_brush_and_back(seed, height, width):
    mask = np.random.default_rng(seed).integers(0, 2, (height, width), dtype=np.uint8)
    assert np.array_equal(brush_mask(brush_runs(mask), (height, width)), mask)


def test_runs_of_unlike_values_and_damaged_ones():
    bits = f"{8:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}" + "1" + "00" + "011" + f"{255:08b}"
    bits += "0" + "00" + "011" + "".join(f"{value:08b}" for value in (1, 2, 3, 0))
    bits += "0" * (-len(bits) % 8)
    runs = list(int(bits, 2).to_bytes(len(bits) // 8, "big"))
    assert brush_mask(runs, (1, 2)).tolist() == [[1, 0]]
    for wrong, why in ((runs[:-3], "too early"), ([], "too early"), ("x", "too early"), ([999], "no bytes")):
        with pytest.raises(ValueError, match=why):
            brush_mask(wrong, (1, 2))
    with pytest.raises(ValueError, match="not of 2x2"):
        brush_mask(runs, (2, 2))


@settings(max_examples=150, deadline=None)
@given(st.lists(JSON, max_size=3), st.lists(JSON, max_size=3))
def test_whatever_a_file_says_costs_its_own_rows(tmp_path_factory, results, tasks):
    root = tmp_path_factory.mktemp("hostile")
    annotation = {"result": results}
    good = task(result("rectanglelabels", {**BOX, "rectanglelabels": ["car"]}))
    put(root, {"a.png": picture(), "t.json": json.dumps([{**task(), "annotations": [annotation]}, *tasks, good])})
    source = open_source("label-studio", str(root / "t.json"))
    entries = list(source.entries())
    assert len(entries) == 2 + len(tasks) and source.classes() is not None and source.remarks is not None
    for entry in entries:
        check_annotations(entry.annotations, SIZE)
