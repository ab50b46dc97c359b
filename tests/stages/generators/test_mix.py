"""The stage `mix`: pixels, labels and annotations of the result are those that the row says, to the byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augforge.algorithms.mix import blended, covering
from augforge.data.annotations import segmentation
from augforge.engine.run import run
from augforge.errors import AugforgeError
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.reproduce.remake import Archive, remake
from tests.conftest import write_images
from tests.saved import saved


def mix(source: Path, out: Path, kind: str = "folder", **options: Any) -> list[dict[str, Any]]:
    stage = build_stage("generate", "mix", {name.replace("_", "-"): value for name, value in options.items()})
    run(Recipe("mix", 3, (SourceSpec(kind, str(source)),), (stage,)), out, device="cpu", allow_empty=True)
    rows = saved(out)
    classes = rows.features["label"].names if "label" in rows.features else []
    return [{**row, "classes": classes, "drawn": json.loads(row["provenance"])} for row in rows]


def pixels(row: dict[str, Any]) -> np.ndarray:
    return np.asarray(row["image"].convert("RGB"))


def made(rows: list[dict[str, Any]]) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The mixed images, each with its parents."""
    by_id = {row["id"]: row for row in rows}
    return [
        (row, [by_id[parent["id"]] for parent in row["drawn"]["parents"]])
        for row in rows
        if row["origin"] == "synthetic"
    ]


@pytest.fixture
def two_colours(tmp_path: Path) -> Path:
    """Nearly constant images, of classes that tell their colour: what is changed can be counted."""
    for name, value in (("dark", 10), ("light", 200)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(6):
            image = np.full((23, 31, 3), value + number, np.uint8)
            Image.fromarray(image).save(tmp_path / "set" / name / f"{number}.png")
    return tmp_path / "set"


@pytest.mark.parametrize("op", ["cutmix", "resizemix"])
def test_the_soft_label_is_the_share_of_the_changed_pixels(two_colours, tmp_path, op):
    found = made(mix(two_colours, tmp_path / "out", op=op, partner="other-class", per_class=12))
    assert len(found) == 24
    drawn_wrong = 0
    for row, (first, second) in found:
        seen = float((pixels(row) == pixels(second)[0, 0]).all(axis=2).mean())
        shares = dict(zip(row["classes"], row["soft_label"], strict=True))
        assert row["label"] is None and len(row["soft_label"]) == 2
        assert shares[row["classes"][second["label"]]] == pytest.approx(seen, abs=1e-9)
        assert shares[row["classes"][first["label"]]] == pytest.approx(1 - seen, abs=1e-9)
        drawn = 1 - row["drawn"]["lam"] if op == "cutmix" else row["drawn"]["scale"] ** 2
        drawn_wrong += abs(drawn - seen) > 1e-3
    assert drawn_wrong > 12  # what was drawn is no label: boxes are rounded, and cut at the border


def test_mixup_is_the_mean_and_its_label_the_lambda(two_colours, tmp_path):
    for row, (first, second) in made(mix(two_colours, tmp_path / "out", op="mixup", per_class=5, alpha=1)):
        lam = row["drawn"]["lam"]
        assert np.array_equal(pixels(row), blended(pixels(first), pixels(second), lam))
        shares = np.zeros(2)
        shares[first["label"]] += lam
        shares[second["label"]] += 1 - lam
        assert row["soft_label"] == pytest.approx(shares, abs=1e-8)


@pytest.mark.parametrize("op", ["mixup", "cutmix", "resizemix"])
def test_severity_0_is_the_first_image_to_the_byte(tmp_path, op):
    source = write_images(tmp_path / "set", {"cat": 4, "dog": 3})
    for row, (first, _) in made(mix(source, tmp_path / "out", op=op, severity=0)):
        assert np.array_equal(pixels(row), pixels(first))
        assert row["soft_label"] == [float(number == first["label"]) for number in range(2)]


def test_images_of_other_sizes_are_scaled_to_cover_the_first(tmp_path):
    write_images(tmp_path / "set", {"a": 2}, size=20)
    write_images(tmp_path / "set", {"b": 2}, size=48, seed=1)
    for row, (first, second) in made(mix(tmp_path / "set", tmp_path / "out", op="mixup", partner="other-class")):
        moved = covering(pixels(second).shape[:2], pixels(first).shape[:2]).apply(pixels(second), "bicubic")
        assert np.array_equal(pixels(row), blended(pixels(first), moved, row["drawn"]["lam"]))


def test_partners_of_the_same_class_keep_the_label_and_those_of_another_are_of_another(tmp_path):
    source = write_images(tmp_path / "set", {"cat": 4, "dog": 3, "lone": 1})
    for row, (first, second) in made(mix(source, tmp_path / "same", partner="same-class")):
        assert row["label"] == first["label"] == second["label"] and not row.get("soft_label")
    alone = [row for row in ledger(tmp_path / "same") if row["dropped"]]
    assert [row["dropped"] for row in alone] == ["there is no other image to mix it with"]
    for _, (first, second) in made(mix(source, tmp_path / "other", partner="other-class")):
        assert first["label"] != second["label"]


def ledger(out: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(out / "samples.parquet").to_pylist()
    return rows


def test_transmix_weighs_area_by_attention(tmp_path, tiny_models):
    source = write_images(tmp_path / "set", {"cat": 3, "dog": 3})
    options = {"op": "transmix", "model": tiny_models["attention"], "partner": "other-class"}
    found = made(mix(source, tmp_path / "out", **options, attention=0.5))
    different = 0
    for row, (_, second) in found:
        left, top, right, bottom = row["drawn"]["box"]
        area = (right - left) * (bottom - top) / 32**2
        share = (area + row["drawn"]["attention-share"]) / 2
        assert row["soft_label"][second["label"]] == pytest.approx(share, abs=1e-8)
        different += abs(row["drawn"]["attention-share"] - area) > 1e-3
    assert len(found) == 6 and different >= 3 and found[0][0]["drawn"]["model"]["digest"]
    by_area = made(mix(source, tmp_path / "area", **options, attention=0))
    for row, (_, second) in by_area:
        left, top, right, bottom = row["drawn"]["box"]
        assert row["soft_label"][second["label"]] == pytest.approx((right - left) * (bottom - top) / 32**2, abs=1e-8)
    with pytest.raises(AugforgeError, match="op transmix needs a model that looks"):
        build_stage("generate", "mix", {"op": "transmix"})


@pytest.fixture
def instances(tmp_path: Path) -> Path:
    """A COCO data set of plain images with one square thing each, in the colour of its class."""
    folder = tmp_path / "coco"
    (folder / "images").mkdir(parents=True)
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    content["categories"] = [{"id": 1, "name": "red"}, {"id": 2, "name": "blue"}]
    for number in range(8):
        x, y, side = 3 + number, 2 + number, 8 + number
        image = np.full((30, 40, 3), 120 + number, np.uint8)
        image[y : y + side, x : x + side] = (200 + number, 0, 0) if number % 2 else (0, 0, 200 + number)
        Image.fromarray(image).save(folder / "images" / f"{number}.png")
        content["images"].append({"id": number, "file_name": f"{number}.png", "width": 40, "height": 30})
        corners = [x, y, x + side, y, x + side, y + side, x, y + side]
        content["annotations"].append(
            {"id": number, "image_id": number, "category_id": 1 if number % 2 else 2, "area": side**2, "iscrowd": 0,
             "bbox": [x, y, side, side], "segmentation": [corners]}
        )  # fmt: skip
    (folder / "instances.json").write_text(json.dumps(content))
    return folder


def test_copy_paste_outlines_are_what_is_seen(instances, tmp_path):
    found = made(mix(instances, tmp_path / "out", kind="coco", op="copy-paste"))
    assert len(found) == 8
    for row, (_, second) in found:
        image, boxes = pixels(row), row["boxes"]
        assert len(boxes) in (1, 2)
        for box in boxes:
            inside = segmentation.decoded(outline(box), image.shape[:2]).astype(bool)
            left, below = int(box["box"][0]), int(np.ceil(box["box"][3]))
            assert inside.any() and not inside[:, :left].any() and not inside[below:].any()
            red = image[..., 0].astype(int) - image[..., 2] > 60
            blue = image[..., 2].astype(int) - image[..., 0] > 60
            core = inside & ~np.roll(~inside, 1, 0) & ~np.roll(~inside, -1, 0)
            core &= ~np.roll(~inside, 1, 1) & ~np.roll(~inside, -1, 1)
            name = found_label(row, box)
            assert not core.any() or (red if name == "red" else blue)[core].mean() > 0.9
        assert found_label(row, boxes[-1]) == found_label(second, second["boxes"][0])


def outline(box: dict[str, Any]) -> Any:
    stored = box["segmentation"]
    return stored["rle"] if stored["rle"] and stored["rle"]["counts"] else stored["polygons"]


def found_label(row: dict[str, Any], box: dict[str, Any]) -> str:
    return ["red", "blue"][box["label"]] if isinstance(box["label"], int) else str(box["label"])


def test_copy_paste_with_severity_0_is_the_first_image_with_all_that_is_known(instances, tmp_path):
    for row, (first, _) in made(mix(instances, tmp_path / "out", kind="coco", op="copy-paste", severity=0)):
        assert np.array_equal(pixels(row), pixels(first)) and row["boxes"] == first["boxes"]


@pytest.mark.parametrize("op", ["mixup", "cutmix", "resizemix", "copy-paste"])
def test_images_are_made_again_from_their_rows_alone(instances, tmp_path, op):
    mix(instances, tmp_path / "out", kind="coco", op=op)
    archive = Archive(tmp_path / "out")
    everything = archive.ledger.samples(np.arange(len(archive.ledger)))
    synthetic = [sample for sample in everything if sample.origin == "synthetic" and sample.kept]
    again = list(remake(archive, synthetic, "cpu"))
    assert len(again) == 8 and all(one.equal for one in again)


def test_a_mixed_image_has_the_label_maps_of_both(tmp_path):
    (tmp_path / "set" / "images").mkdir(parents=True)
    (tmp_path / "set" / "masks").mkdir()
    for number in range(4):
        image = np.random.default_rng(number).integers(0, 255, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / "set" / "images" / f"{number}.png")
        Image.fromarray(np.full((20, 20), number + 1, np.uint8)).save(tmp_path / "set" / "masks" / f"{number}.png")
    rows = mix(tmp_path / "set", tmp_path / "out", kind="segmentation", op="cutmix")
    for row, (first, second) in made(rows):
        taken = (pixels(row) == pixels(second)).all(axis=2)
        mask = np.asarray(row["mask"])
        assert ((mask == np.asarray(second["mask"])[0, 0]) == taken).all()
        assert ((mask == np.asarray(first["mask"])[0, 0]) == ~taken).all()


def test_a_plan_counts_what_was_mixed_for_the_class_of_the_first_image(tmp_path):
    from augforge.engine.estimate import tried_so_far

    source = write_images(tmp_path / "set", {"cat": 4, "dog": 3})
    mix(source, tmp_path / "out", op="cutmix", of="dog", per_class=5)
    assert tried_so_far(tmp_path / "out", "1-generate-mix") == {"dog": (5, 5)}


def test_the_soft_label_is_a_column_of_one_length(tmp_path):
    source = write_images(tmp_path / "set", {"cat": 4, "dog": 3, "owl": 2})
    mix(source, tmp_path / "out")
    feature = saved(tmp_path / "out").features["soft_label"]
    assert feature.length == 3 and feature.feature.dtype == "float64"
    real, synthetic = (
        {json.dumps(row["annotations"]) for row in ledger(tmp_path / "out") if row["origin"] == origin}
        for origin in ("real", "synthetic")
    )
    assert len(real) == 1 and all("soft_label" in text for text in synthetic)


def test_the_loop_of_the_page_trains_with_soft_and_hard_labels(tmp_path):
    import torch

    source = write_images(tmp_path / "set", {"cat": 4, "dog": 3, "owl": 2})
    mix(source, tmp_path / "out", op="cutmix")
    page = (Path(__file__).parents[3] / "docs" / "mixing.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], names)
    batch = saved(tmp_path / "out")[:18]
    wanted = names["targets"](batch, 3)
    assert wanted.shape == (18, 3) and torch.allclose(wanted.sum(1), torch.ones(18))
    assert {len(set(row.tolist())) for row in wanted[:9]} == {2}
    perfect = wanted.clamp_min(1e-9).log()
    assert names["loss"](perfect, batch) < names["loss"](torch.zeros(18, 3), batch)


def test_only_images_of_which_the_same_is_known_are_mixed():
    from augforge.data.pool import Pool, Pools
    from augforge.data.sample import Sample

    def sample(name: str, label: str | None = None, **said: Any) -> Sample:
        return Sample(name, label, digest=name, width=8, height=8, annotations=said)

    labelled = [sample(f"l{n}", "cat" if n % 2 else "dog") for n in range(6)]
    soft = [sample(f"s{n}", soft_label={"cat": 0.5, "dog": 0.5}) for n in range(6)]
    several = [sample(f"m{n}", labels=["cat", "dog"]) for n in range(6)]
    unknown = [sample(f"u{n}") for n in range(6)]
    pools = Pools({None: Pool([*soft, *several, *unknown]), "cat": Pool(labelled[1::2]), "dog": Pool(labelled[::2])})
    stage = build_stage("generate", "mix", {})
    for group in ((labelled, soft), (several,), (unknown,)):
        names = {each.id for part in group for each in part}
        met = set()
        for parent in (each for part in group for each in part):
            for variant in range(4):
                parents, drawn = stage.draw(parent.label, parent, pools, variant, variant)
                met.add(parents[1].id[0])
                assert parents[0] is parent and parents[1].id in names - {parent.id}
                assert json.loads(json.dumps(drawn)) == drawn
        assert met == {name[0] for name in names}


def test_the_classes_of_an_image_with_pasted_things_are_those_of_its_things(instances, tmp_path):
    mix(instances, tmp_path / "out", kind="coco", op="copy-paste", per_class=16)
    by_id = {row["id"]: row for row in ledger(tmp_path / "out")}
    seen = set()
    for row in by_id.values():
        if row["origin"] == "synthetic":
            said = json.loads(row["annotations"])
            labels = {box["label"] for box in said["boxes"]}
            assert labels == ({row["label"]} if row["label"] else set(said["labels"]))
            seen.add((bool(row["label"]), len(labels)))
            assert by_id[row["parents"][0]]["label"] == (row["label"] or by_id[row["parents"][0]]["label"])
    assert (True, 1) in seen and (False, 2) in seen


def test_the_class_of_a_scene_stays_whatever_is_pasted():
    from augforge.data.pool import Pool, Pools
    from augforge.data.sample import Sample

    thing = {"box": [1.0, 1.0, 5.0, 5.0], "segmentation": [[1.0, 1.0, 5.0, 1.0, 5.0, 5.0]], "label": "car"}
    scene, other, of_cars = (
        Sample(name, label, digest=name, width=8, height=8, annotations={"boxes": [thing]})
        for name, label in (("a", "street"), ("b", "street"), ("c", "car"))
    )
    stage = build_stage("generate", "mix", {"op": "copy-paste"})
    pools = Pools({"street": Pool([scene, other])})
    parents, drawn = stage.draw("street", scene, pools, 0, 1)
    assert drawn["instances"] == [0] and stage.made_label("street", parents, drawn) == "street"
    assert stage.made_label("car", [of_cars, scene], drawn) == "car"
    walker = Sample("d", None, annotations={"boxes": [{**thing, "label": "walker"}]})
    assert stage.made_label("car", [of_cars, walker], drawn) is None
