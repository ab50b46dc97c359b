"""Companion pictures: what each kind keeps, how it moves, and that all of them go through a run and every export."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import load_from_disk
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from typer.testing import CliRunner

from augforge.algorithms.geometry import Flip, Geometry, Shift, Turn
from augforge.cli.app import app
from augforge.data import images
from augforge.data.pictures import (
    KINDS,
    dump_pictures,
    encode_pictures,
    identity_of,
    is_free,
    kind_of,
    move_pictures,
    parse_pictures,
)
from augforge.engine.run import run
from augforge.errors import BadImage
from augforge.io import open_source
from augforge.publish.export import export
from augforge.recipe import Recipe, SourceSpec, build_stage

SIZE = (12, 16)
OBJECTS = [{"bbox": [1.0, 2.0, 5.0, 6.0], "category": "a"}]


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def photo(number: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)


def beside(number: int = 0) -> dict[str, np.ndarray]:
    """One picture of each kind; the view is larger than the image."""
    random = np.random.default_rng(100 + number)
    return {
        "mask": random.integers(0, 5, SIZE, dtype=np.uint8),
        "instances": random.integers(0, 40_000, SIZE, dtype=np.uint16),
        "depth": random.integers(0, 65_536, SIZE, dtype=np.uint16),
        "view": photo(200 + number, (20, 10)),
    }


@pytest.fixture
def set_of_all(tmp_path):
    """Four images of two classes with every kind of picture, as `imagefolder` has them."""
    folder = tmp_path / "set"
    folder.mkdir()
    lines = []
    for number in range(4):
        (folder / f"{number}.png").write_bytes(png(photo(number)))
        line = {"file_name": f"{number}.png", "label": "ab"[number % 2], "objects": OBJECTS}
        for name, pixels in beside(number).items():
            (folder / f"{number}_{name}.png").write_bytes(png(pixels))
            line[f"{name}_file_name"] = f"{number}_{name}.png"
        lines.append(json.dumps(line))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return folder


whole = arrays(np.uint16, array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9))


@given(pixels=whole, name=st.sampled_from(["instances", "depth"]))
def test_whole_numbers_come_back_to_the_bit(pixels, name):
    kind = kind_of(name)
    assert (kind.decoded(kind.encoded(pixels)) == pixels).all()


@given(pixels=whole, quarter=st.integers(0, 3), down=st.integers(-3, 3))
def test_nothing_appears_that_was_not_there(pixels, quarter, down):
    moves = Geometry((Turn(quarter), Shift(down, 1), Flip()))
    for name in ("instances", "depth"):
        assert set(np.unique(kind_of(name).moved(pixels, moves))) <= {0, *np.unique(pixels)}


def test_an_interpolated_depth_would_invent_things():
    from augforge.algorithms.geometry import Resize

    edge = np.array([[0, 1000], [0, 1000]], dtype=np.uint16)
    moves = Geometry((Resize(8, 8),))
    assert set(np.unique(kind_of("depth").moved(edge, moves))) == {0, 1000} != set(np.unique(moves.apply(edge)))


def test_a_mask_in_colours_gets_no_new_ones():
    from augforge.algorithms.geometry import Affine, Resize, Warp

    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], dtype=np.uint8)[photo(3)[..., 0] % 3]
    for moves in (Geometry((Affine(20.0),)), Geometry((Resize(31, 17), Warp(3, 0.1))), Geometry((Turn(1),))):
        moved = kind_of("mask").moved(colours, moves)
        assert {tuple(c) for c in moved.reshape(-1, 3)} <= {tuple(c) for c in colours.reshape(-1, 3)}
        assert moved.shape[:2] == moves.size(SIZE)


def test_a_picture_of_another_size_cannot_follow():
    data = encode_pictures(beside(), {}, SIZE)
    moved = move_pictures(data, Geometry((Flip(),)), SIZE)
    assert set(moved) == {"mask", "instances", "depth"}
    assert (moved["depth"] == beside()["depth"][:, ::-1]).all()


def test_a_made_picture_of_another_size_is_a_defect():
    with pytest.raises(ValueError, match="depth"):
        encode_pictures({"depth": np.zeros((3, 3), np.uint16)}, {}, SIZE)
    assert encode_pictures({"view": photo(0, (3, 3))}, {}, SIZE)


def test_instances_keep_eight_bits_while_they_are_enough():
    narrow = png(np.zeros(SIZE, np.uint8))
    kind = kind_of("instances")
    assert Image.open(io.BytesIO(kind.encoded(np.full(SIZE, 255, np.uint16), narrow))).mode == "L"
    assert Image.open(io.BytesIO(kind.encoded(np.full(SIZE, 256, np.uint16), narrow))).mode.startswith("I")


def test_colours_are_no_depth():
    with pytest.raises(BadImage, match="one whole number"):
        kind_of("depth").decoded(png(photo()))


def test_a_lone_mask_adds_its_digest_to_the_identity_as_it_always_did():
    assert identity_of({"mask": "ab"}) == "ab" and identity_of({}) == "" == identity_of("")
    assert identity_of({"depth": "ab"}) != identity_of({"instances": "ab"}) != "ab"
    assert parse_pictures(dump_pictures({"mask": "x"})) == {"mask": "x"} and dump_pictures({}) == ""


def test_a_name_of_another_column_is_not_free():
    assert not any(map(is_free, ("image", "label", "boxes", "caption", ""))) and all(map(is_free, (*KINDS, "view")))


def test_all_go_through_a_run_and_follow_the_image(set_of_all, tmp_path):
    stage = build_stage("generate", "shifts", {"families": ["geometric"], "size": 24, "per-class": 3})
    run(recipe(set_of_all, stage), tmp_path / "out")
    rows = pq.read_table(tmp_path / "out" / "samples.parquet").to_pylist()
    assert {tuple(parse_pictures(row["pictures"])) for row in rows if row["origin"] == "real"} == {
        ("depth", "instances", "mask", "view")
    }
    data = load_from_disk(str(tmp_path / "out" / "dataset"))
    data = next(iter(data.values())) if hasattr(data, "values") else data
    assert {"mask", "instances", "depth", "view"} <= set(data.column_names)
    made = [row for row in rows if row["origin"] == "synthetic"]
    assert made and all(set(parse_pictures(row["pictures"])) == {"mask", "instances", "depth"} for row in made)
    parents = {row["id"]: row for row in rows}
    for row in made:
        moves = Geometry.from_plain(json.loads(row["sampled_params"])["parameters"]["geometry"])
        number = int(parents[row["parents"][0]]["source"].rpartition(" ")[2].partition(".")[0])
        from augforge.algorithms.geometry import Resize

        chain = Geometry((Resize(24, 32), *moves.ops))
        expected = chain.apply_label(beside(number)["instances"], void=0)
        (cell,) = [r["instances"] for r in every(tmp_path / "out") if r["id"] == row["id"]]
        assert (np.asarray(cell) == expected).all()


def recipe(folder, *stages):
    return Recipe("pictures", 7, [SourceSpec("imagefolder", str(folder))], list(stages))


def every(out):
    data = load_from_disk(str(out / "dataset"))
    parts = data.values() if hasattr(data, "values") else [data]
    return [row for part in parts for row in part]


FORMATS = {
    "folder": "folder", "coco": "coco", "parquet": "parquet", "webdataset": "webdataset", "hf": "dataset",
    "yolo": "yolo", "voc": "voc",
}  # fmt: skip


@pytest.mark.parametrize("to", FORMATS)
def test_every_export_brings_them_back_to_the_byte(set_of_all, tmp_path, to):
    run(recipe(set_of_all), tmp_path / "out")
    export(tmp_path / "out", to, tmp_path / "exported")
    source = open_source(FORMATS[to], str(tmp_path / "exported"))
    entries = list(source.entries())
    assert len(entries) == 4 and not any(entry.problem for entry in entries)
    assert not [remark for remark in getattr(source, "remarks", []) if "not" in remark]
    for entry in entries:
        number = next(n for n in range(4) if png(photo(n)) == source.read(entry.locator))
        assert set(entry.pictures) == set(beside())
        for name, pixels in beside(number).items():
            assert source.read_picture(entry.locator, name) == png(pixels)


def test_a_damaged_view_costs_itself_and_a_damaged_depth_its_image(set_of_all, tmp_path):
    (set_of_all / "0_view.png").write_bytes(b"no picture")
    (set_of_all / "1_depth.png").write_bytes(b"no picture")
    (set_of_all / "2_depth.png").write_bytes(png(np.zeros((3, 3), np.uint16)))
    run(recipe(set_of_all), tmp_path / "out", max_bad=1.0)
    rows = {row["source"][-5]: row for row in pq.read_table(tmp_path / "out" / "samples.parquet").to_pylist()}
    assert rows["0"]["kept"] and "its view" in rows["0"]["note"]
    assert set(parse_pictures(rows["0"]["pictures"])) == {"mask", "instances", "depth"}
    assert rows["1"]["dropped"].startswith("its depth: ")
    assert rows["2"]["dropped"] == "its depth is 3x3 px, the image 16x12"


def test_digest_of_a_picture_is_that_of_its_bytes(set_of_all, tmp_path):
    run(recipe(set_of_all), tmp_path / "out")
    row = pq.read_table(tmp_path / "out" / "samples.parquet").to_pylist()[0]
    assert parse_pictures(row["pictures"])["depth"] == images.digest((set_of_all / "0_depth.png").read_bytes())


def test_an_export_of_one_size_keeps_sixteen_bits_of_a_mask(tmp_path):
    wide = np.full((12, 16), 40_000, dtype=np.uint16)
    cut = kind_of("mask").resized(png(wide), (6, 6), (2, 0, 14, 12))
    assert np.asarray(Image.open(io.BytesIO(cut))).tolist() == [[40_000] * 6] * 6


@pytest.mark.parametrize("other", [True, False])
def test_copies_that_differ_in_their_masks_are_said(tmp_path, other):
    folder = tmp_path / "set"
    (folder / "images" / "a").mkdir(parents=True)
    (folder / "masks" / "a").mkdir(parents=True)
    for number in range(3):
        seen = photo(0 if number < 2 else 1)
        (folder / "images" / "a" / f"{number}.png").write_bytes(png(seen))
        mask = np.full(SIZE, number if other else 1, dtype=np.uint8)
        (folder / "masks" / "a" / f"{number}.png").write_bytes(png(mask))
    command = ["filter", "duplicates", str(folder), "--on", "all", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert ("different masks or annotations" in result.output) == other
    assert sum(row["kept"] for row in pq.read_table(tmp_path / "out" / "samples.parquet").to_pylist()) == 2
