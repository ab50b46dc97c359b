"""What `inspect` says of a source, and the examples that it draws."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

import augforge
from augforge.cli.app import app
from augforge.errors import SourceError, StoreError
from augforge.io import KINDS, open_source
from augforge.report.drawing import colour_of
from augforge.report.inspection import COLUMNS, SIDE, inspected
from tests.conftest import write_images
from tests.io.layouts import HEIGHT, WIDTH, YOLO_LINE, picture, put, voc_xml
from tests.told import KIND, PLACE, write_told

BOX = {"box": [8, 8, 24, 24], "label": "cat"}


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(KINDS, KIND, PLACE)
    said = [
        {"label": "cat", "split": "train", "annotations": {"boxes": [BOX], "caption": "a <b>cat</b>"}},
        {"annotations": {"labels": ["cat", "dog"], "boxes": [BOX, {"box": [40, 40, 50, 50], "label": "dog"}]}},
        {"label": "dog", "split": "test"},
    ]
    return write_told(tmp_path / "told", said)


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in ("inspect", *arguments)])
    assert result.exit_code == code, result.output
    return result.output


def test_every_class_and_split_has_its_turn_and_always_the_same(tmp_path: Path) -> None:
    write_images(tmp_path / "set" / "train", {"cat": 40, "dog": 3, "lone": 1})
    write_images(tmp_path / "set" / "test", {"cat": 5}, seed=1)
    source = open_source("folder", str(tmp_path / "set"))
    found = inspected(source, 8)
    groups = {(one.label, one.split) for one in found.examples}
    assert groups == {("cat", "train"), ("dog", "train"), ("lone", "train"), ("cat", "test")}
    assert [one.locator for one in found.examples] == [one.locator for one in inspected(source, 8).examples]
    assert {one.locator for one in inspected(source, 4).examples} < {one.locator for one in found.examples}
    assert len({one.locator for one in inspected(source, 100).examples}) == 49
    first = [entry.locator for entry, _ in zip(source.entries(), range(8), strict=False)]
    assert {name.rsplit("/", 1)[0] for name in first} == {"test/cat", "train/cat"}  # the wrong variant: the first ones


def test_annotations_are_counted_drawn_and_what_is_wrong_is_said(told: Path) -> None:
    found = inspected(open_source(KIND, str(told)))
    assert dict(found.annotations) == {"boxes": (2, 3), "caption": (1, 1), "labels": (1, 2)}
    assert "1 image with several labels" in str(found) and "classes (cat 2, dog 2)" in str(found)
    boxed = next(one for one in found.examples if "caption" in one.annotations)
    corner = tuple(SIDE * place // 32 for place in (8, 23))
    assert boxed.picture.getpixel((corner[0], corner[1] - SIDE // 16)) == colour_of("cat")
    (wrong,) = [one.wrong for one in found.examples if one.wrong]
    assert "outside of the image" in wrong[0]


def test_an_image_that_cannot_be_used_is_an_example_with_its_reason(tmp_path: Path) -> None:
    write_images(tmp_path / "set", {"cat": 2})
    (tmp_path / "set" / "cat" / "bad.png").write_bytes(b"no picture")
    found = inspected(open_source("folder", str(tmp_path / "set")))
    assert [bool(one.problem) for one in found.examples].count(True) == 1
    assert found.sheet.size[0] == 3 * (SIDE + 8) <= COLUMNS * (SIDE + 8)


def test_a_source_without_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError):
        augforge.inspect(tmp_path / "empty")


def test_a_picture_of_someones_is_never_written_over(told: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.png"
    Image.new("RGB", (4, 4)).save(mine)
    before = mine.read_bytes()
    assert "is no sheet of examples" in run(f"{KIND}:{told}", "--png", mine, code=2)
    with pytest.raises(StoreError):
        augforge.inspect({KIND: str(told)}, png=mine)
    assert mine.read_bytes() == before
    sheet = tmp_path / "new" / "sheet.png"
    for _ in range(2):  # its own is
        run(f"{KIND}:{told}", "--png", sheet)
    with Image.open(sheet) as opened:
        assert opened.size[0] == 3 * (SIDE + 8)


def test_the_command_says_it_and_writes_nothing_else(told: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    shown = run(f"{KIND}:{told}")
    assert "told folder, 3 images, 2 classes" in shown and "boxes: 3 in 2 images" in shown
    assert "outside of the image, left out" in " ".join(shown.split())
    plain = json.loads(run(f"{KIND}:{told}", "--json", "--limit", 2))
    assert plain["classes"] == {"cat": 2, "dog": 2} and plain["several-labels"] == 1 and len(plain["examples"]) == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_a_notebook_shows_it_and_trusts_no_text(told: Path) -> None:
    found = augforge.inspect({KIND: str(told)}, limit=3)
    shown = found._repr_html_()
    assert shown.startswith("<p>") and "data:image/png;base64," in shown and "<b>" not in shown
    assert len(found.examples) == 3 and found.plain()["images"] == 3


def test_two_sources_are_refused(told: Path) -> None:
    with pytest.raises(augforge.AugforgeError, match="one source"):
        augforge.inspect([{KIND: str(told)}, {KIND: str(told)}])


def test_boxes_that_cannot_be_used_are_counted_apart(tmp_path: Path) -> None:
    """The first line, the table below it and what a run uses have one number: three of the seven lines are boxes."""
    lines = [
        "0 0.5 0.5 0.25 0.5",
        "0 0.5",
        "9 0.5 0.5 0.1 0.1",
        "0 0.5 0.5 0 0.2",
        "0 3 0.5 0.2 0.2",
        YOLO_LINE.strip(),
    ]
    files = {"images/0.png": picture(0), "images/1.png": picture(1), "data.yaml": "names: [car]\ntrain: images\n"}
    put(tmp_path, {**files, "labels/0.txt": "\n".join(lines), "labels/1.txt": YOLO_LINE})
    found = inspected(open_source("yolo", str(tmp_path)))
    assert "3 boxes, 4 boxes that cannot be used" in str(found) and found.annotations["boxes"] == (2, 3)
    assert sum(len(one.annotations["boxes"]) for one in found.examples) == 3
    assert sum(len(one.wrong) for one in found.examples) == 4


def test_a_box_outside_of_the_size_that_is_said_cannot_be_used(tmp_path: Path) -> None:
    inside = voc_xml(xmin=40, ymin=9, xmax=90, ymax=24).replace("</annotation>", "")
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height></size></annotation>"
    put(tmp_path, {"a.png": picture(), "a.xml": inside + size, "b.png": picture(1)})
    put(tmp_path, {"b.xml": inside.replace(">40<", ">60<") + size})
    found = inspected(open_source("voc", str(tmp_path)))
    assert "1 box, 1 box that cannot be used" in str(found) and found.annotations["boxes"] == (1, 1)
