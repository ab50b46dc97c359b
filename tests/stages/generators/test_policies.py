"""The stages of the policies: what is drawn is in the row, the row alone makes the image again, annotations follow."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import augforge
from augforge.algorithms.policies import GEOMETRIC, applied, mixed
from augforge.data.images import decode_mask
from augforge.engine.run import run
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.reproduce.remake import Archive, remake
from tests.conftest import write_images
from tests.saved import saved

POLICIES = ["randaugment", "trivialaugment", "autoaugment", "augmix"]
NOTHING = {"randaugment": {"magnitude": 0}, "trivialaugment": {"severity": 0}, "autoaugment": {"severity": 0}} | {
    "augmix": {"severity": 0}
}


def made_by(name: str, source: Path, out: Path, **options: Any) -> list[dict[str, Any]]:
    stage = build_stage("generate", name, options)
    run(Recipe("policy", 5, (SourceSpec("folder", str(source)),), (stage,)), out, device="cpu")
    return [row for row in pq.read_table(out / "samples.parquet").to_pylist() if row["origin"] == "synthetic"]


def masked(folder: Path, count: int = 10) -> Path:
    """Pictures with a mask of four quarters each."""
    write_images(folder / "images", {".": count}, seed=2)
    (folder / "masks").mkdir(parents=True)
    for path in sorted((folder / "images").glob("*.png")):
        width, height = Image.open(path).size
        quarters = np.kron(np.arange(4, dtype=np.uint8).reshape(2, 2) + 1, np.ones((height, width), np.uint8))
        Image.fromarray(quarters[::2, ::2]).save(folder / "masks" / path.name)
    return folder


@pytest.mark.parametrize("name", POLICIES)
def test_an_image_is_what_its_row_says(tmp_path: Path, name: str) -> None:
    source = write_images(tmp_path / "set", {"cat": 6, "dog": 6})
    rows = made_by(name, source, tmp_path / "out")
    assert len(rows) == 12
    archive = Archive(tmp_path / "out")
    for sample in archive.ledger.by_id([row["id"] for row in rows]).values():
        (parent,) = archive.ledger.by_id(sample.parents).values()
        image = Image.open(io.BytesIO(archive.bytes_of(parent))).convert("RGB")
        drawn = sample.sampled_params
        expected = mixed(image, drawn) if name == "augmix" else np.asarray(applied(image, drawn["steps"])[0])
        assert (np.asarray(Image.open(io.BytesIO(archive.bytes_of(sample)))) == expected).all()
    again = remake(archive, list(archive.ledger.by_id([row["id"] for row in rows[:4]]).values()))
    assert all(each.equal for each in again)


@pytest.mark.parametrize("name", POLICIES)
def test_without_strength_the_pixels_are_those_of_the_parent(tmp_path: Path, name: str) -> None:
    source = masked(tmp_path / "set")
    rows = made_by(name, source, tmp_path / "out", **NOTHING[name])
    archive = Archive(tmp_path / "out")
    for sample in archive.ledger.by_id([row["id"] for row in rows]).values():
        (parent,) = archive.ledger.by_id(sample.parents).values()
        for what in ("image", "mask"):
            pair = [np.asarray(Image.open(io.BytesIO(archive.bytes_of(s, what)))) for s in (sample, parent)]
            assert (pair[0] == pair[1]).all()


@pytest.mark.parametrize("name", POLICIES[:3])
def test_masks_follow_geometric_operations_and_no_others(tmp_path: Path, name: str) -> None:
    rows = made_by(name, masked(tmp_path / "set"), tmp_path / "out", **{"per-class": None, "real-to-synthetic": "1:6"})
    archive, moved = Archive(tmp_path / "out"), 0
    for sample in archive.ledger.by_id([row["id"] for row in rows]).values():
        (parent,) = archive.ledger.by_id(sample.parents).values()
        before, after = (decode_mask(archive.bytes_of(each, "mask")) for each in (parent, sample))
        _, moves = applied(Image.new("RGB", (parent.width, parent.height)), sample.sampled_params["steps"])
        assert (after == moves.apply_label(before)).all()
        assert set(np.unique(after)) <= {*np.unique(before), 255}
        known = augforge.undo(sample).label_map(after) != 255
        assert (augforge.undo(sample).label_map(after) == before)[known].mean() > 0.9
        geometric = any(step in GEOMETRIC and magnitude for step, magnitude in sample.sampled_params["steps"])
        assert geometric or (after == before).all()
        moved += geometric
    assert len(rows) == 60 and 5 < moved < 60


def test_boxes_follow_too(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_images(folder, {".": 12}, seed=4)
    sides = {path.name: Image.open(path).size for path in folder.glob("*.png")}
    lines = [
        {"file_name": name, "objects": {"bbox": [[4, 6, w - 12, h - 12]], "category": ["cat"]}}
        for name, (w, h) in sides.items()
    ]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    recipe = augforge.Recipe(str(folder), [{"generate": "randaugment", "magnitude": 20, "real-to-synthetic": "1:4"}])
    result = recipe.run(tmp_path / "out", device="cpu")
    by_id = {image.id: image.sample for image in result.images()}
    made, moved = [sample for sample in by_id.values() if sample.origin == "synthetic"], 0
    assert len(made) == 48
    for sample in made:
        parent = by_id[sample.parents[0]]
        back = augforge.undo(sample)
        if not back.geometry.ops:
            assert sample.annotations == parent.annotations
        elif sample.annotations["boxes"]:
            moved += 1
            corners = np.array(
                [[4, 6], [parent.width - 8, 6], [parent.width - 8, parent.height - 6], [4, parent.height - 6]]
            )
            gone = back.geometry.point_map(back.size).points(corners.astype(float))
            around = [*gone.min(axis=0), *gone.max(axis=0)]
            limits = [sample.width, sample.height] * 2
            assert sample.annotations["boxes"][0]["box"] == pytest.approx(np.clip(around, 0, limits).tolist())
    assert moved > 5


def test_augmix_moves_nothing_where_something_has_its_place(tmp_path: Path) -> None:
    plain = made_by("augmix", write_images(tmp_path / "plain", {"cat": 12}), tmp_path / "one")
    placed = made_by("augmix", masked(tmp_path / "set", 12), tmp_path / "two")

    def names(rows: list[dict[str, Any]]) -> set[str]:
        return {name for row in rows for chain in json.loads(row["sampled_params"])["chains"] for name, _ in chain}

    assert names(plain) & set(GEOMETRIC) and not names(placed) & set(GEOMETRIC)
    data = saved(tmp_path / "two")
    assert all(row["mask"] is not None for row in data if row["origin"] == "synthetic")
