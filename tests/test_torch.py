"""The loader for PyTorch: one mode and shape, whatever is stored, with the very pixels that the stages saw."""

from __future__ import annotations

import io
import pickle
import re
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from datasets import load_from_disk
from PIL import Image
from torch.utils.data import DataLoader

import augforge.torch
from augforge import Run
from augforge.data import images
from augforge.engine.run import run
from augforge.errors import RecipeError, SourceError
from augforge.recipe import Recipe, SourceSpec
from augforge.torch import NO_LABEL, as_tensors, collate
from tests.data.test_uniform import STORED
from tests.publish.annotated import make_run
from tests.saved import saved

SUFFIX = {"JPEG": "jpg", "CMYK": "jpg", "turned": "jpg", "F": "tif", "animated": "gif"}
FORMATS = ("folder", "parquet", "webdataset", "coco", "hf")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one picture in every mode, two classes; one without a label, and one with a mask."""
    folder = tmp_path_factory.mktemp("mixed")
    for number, (name, data) in enumerate(STORED.items()):
        place = folder / "set" / ("train", "test")[number % 2] / ("cat", "dog")[number // 2 % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{name.replace(';', '')}.{SUFFIX.get(name, 'png')}").write_bytes(data)
    (folder / "set" / "train" / "loose.png").write_bytes(STORED["RGB"])
    labels = Image.fromarray(np.arange(240, dtype=np.uint8).reshape(12, 20))
    (folder / "masks" / "cat").mkdir(parents=True)
    labels.save(folder / "masks" / "cat" / "RGB.png")
    spec = SourceSpec("folder", str(folder / "set"), {"masks": str(folder / "masks")})
    run(Recipe("mixed", 0, (spec,), ()), folder / "run", device="cpu")
    return folder / "run"


def test_what_datasets_makes_of_it_by_itself_has_many_modes(mixed):
    assert {row["image"].mode for row in saved(mixed)} >= {"RGB", "L", "P", "RGBA", "I;16"}


def test_every_mode_is_read_as_the_stages_saw_it(mixed):
    data = as_tensors(load_from_disk(str(mixed / "dataset")))
    bytes_of = {image.id: image.data for image in Run(mixed).images()}
    read = [row for part in data.values() for row in part]
    assert len(read) == len(STORED) + 1
    for row in read:
        seen = torch.from_numpy(np.asarray(images.decode(bytes_of[row["id"]])).copy()).permute(2, 0, 1) / 255
        assert row["image"].dtype == torch.float32 and torch.equal(row["image"], seen)
    assert sorted({row["label"] for row in read}) == [NO_LABEL, 0, 1]


@pytest.mark.parametrize(("mode", "workers"), [("RGB", 0), ("L", 0), ("L", 2)])
def test_a_data_loader_batches_it(mixed, mode, workers):
    data = as_tensors(load_from_disk(str(mixed / "dataset")), size=8, mode=mode)
    started = "spawn" if workers else None  # a fork of a process of many threads may hang
    loader = DataLoader(
        data["train"], batch_size=7, collate_fn=collate, num_workers=workers, multiprocessing_context=started
    )
    (batch,) = loader
    assert batch["image"].shape == (7, 3 if mode == "RGB" else 1, 8, 8) and batch["image"].dtype == torch.float32
    assert batch["label"].dtype == torch.int64 and batch["weight"].dtype == torch.float32
    assert 0 <= batch["image"].min() < batch["image"].max() <= 1
    masks = [mask for mask in batch["mask"] if mask is not None]
    assert len(masks) == 1 and masks[0].shape == (8, 8) and masks[0].dtype == torch.int64
    loss = torch.nn.functional.cross_entropy(torch.zeros(7, 2), batch["label"])
    assert torch.isfinite(loss)


def test_the_columns_that_are_asked_for_and_a_transform_of_torchvision(mixed):
    from torchvision.transforms import v2

    resized = v2.Compose([v2.Resize((4, 4)), v2.PILToTensor()])
    data = as_tensors(load_from_disk(str(mixed / "dataset")), transform=resized, columns=("image", "label"))
    batch = next(iter(DataLoader(data["test"], batch_size=3)))
    assert list(batch) == ["image", "label"] and batch["image"].shape == (3, 3, 4, 4)
    assert batch["image"].dtype == torch.uint8


def test_images_of_different_sizes_are_a_list(mixed):
    part = as_tensors(load_from_disk(str(mixed / "dataset")))["train"]
    batch = collate([part[i] for i in range(len(part))])
    assert isinstance(batch["image"], list) and batch["label"].shape == (7,) and collate([]) == {}


@pytest.mark.parametrize("to", ["parquet", "hf"])
def test_exports_are_read_alike(mixed, tmp_path, to):
    Run(mixed).export(to, tmp_path / "out")
    path = str(tmp_path / "out")
    loaded = load_from_disk(path) if to == "hf" else datasets.load_dataset(path, cache_dir=str(tmp_path / "cache"))
    mine = {
        row["id"]: row["image"] for part in as_tensors(load_from_disk(str(mixed / "dataset"))).values() for row in part
    }
    theirs = {row["id"]: row["image"] for part in as_tensors(loaded).values() for row in part}
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[i], theirs[i]) for i in mine)


def test_scores_are_batched_with_their_gaps():
    rows = [{"scores": {"clip": 0.5, "sharp": float("nan")}}, {"scores": {"clip": 0.25, "sharp": 1.0}}]
    batch = collate(rows)["scores"]
    assert torch.equal(batch["clip"], torch.tensor([0.5, 0.25])) and batch["sharp"].isnan().tolist() == [True, False]


def test_it_can_be_given_to_another_process(mixed):
    part = as_tensors(load_from_disk(str(mixed / "dataset")))["train"]
    assert torch.equal(pickle.loads(pickle.dumps(part))[0]["image"], part[0]["image"])


def test_what_cannot_be_read_is_refused_at_once(mixed):
    with pytest.raises(SourceError, match="no column 'image'"):
        as_tensors(datasets.Dataset.from_dict({"a": [1]}))
    with pytest.raises(RecipeError, match="mode"):
        as_tensors(load_from_disk(str(mixed / "dataset")), mode="CMYK")


def test_the_example_of_the_module_is_short_and_runs(mixed, monkeypatch, tmp_path):
    example = re.search(r"\n\n((?:    .*\n|\n)+)", augforge.torch.__doc__ or "")
    assert example is not None
    lines = [line[4:] for line in example[1].splitlines() if line.strip()]
    assert len(lines) <= 10
    (tmp_path / "runs" / "birds").mkdir(parents=True)
    (tmp_path / "runs" / "birds" / "dataset").symlink_to(mixed / "dataset")
    monkeypatch.chdir(tmp_path)
    found: dict[str, object] = {}
    exec("\n".join(lines), found)
    assert found["batch"]["image"].shape == (7, 3, 64, 64)  # type: ignore[index]


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize(("mode", "size"), [("RGB", None), ("L", 8), (None, 8)])
def test_every_export_makes_one_mode_and_size_if_asked(mixed, tmp_path, to, mode, size):
    from augforge.io import detect, open_source

    done = Run(mixed).export(to, tmp_path / "out", image_mode=mode, size=size)
    source = open_source(*detect(str(tmp_path / "out")))
    entries = list(source.entries())
    seen = {image.id: image.data for image in Run(mixed).images()}
    assert len(entries) == done.rows == len(seen)
    for entry in entries:
        with Image.open(io.BytesIO(source.read(entry.locator))) as image:
            assert image.mode == (mode or "RGB") and (size is None or image.size == (size, size))
            if size is None:
                assert (np.asarray(image) == np.asarray(images.decode(seen[entry.carried["id"]]))).all()
            if entry.pictures:
                assert images.decode_mask(source.read_picture(entry.locator, "mask")).shape[::-1] == image.size
    assert "All images were made " + (mode or "RGB") in (tmp_path / "out" / "README.md").read_text()
    again = Recipe("again", 0, (SourceSpec(*detect(str(tmp_path / "out"))),), ())
    assert run(again, tmp_path / "again", device="cpu").dropped == 0


def test_an_export_as_it_is_and_one_of_another_shape_are_not_taken_for_each_other(mixed, tmp_path):
    assert not Run(mixed).export("parquet", tmp_path / "out").up_to_date
    assert not Run(mixed).export("parquet", tmp_path / "out", size=8).up_to_date
    assert Run(mixed).export("parquet", tmp_path / "out", size=8).up_to_date
    assert not Run(mixed).export("parquet", tmp_path / "out").up_to_date


BOXES = [
    {"box": [2.0, 3.0, 12.0, 13.0], "label": "car", "iscrowd": True},
    {"box": [10.0, 4.0, 38.0, 20.0], "label": "bus"},
    {"box": [0.0, 0.0, 8.0, 24.0], "label": "car"},
]
POINTS = [{"points": [[12.0, 6.0, 2.0], [39.0, 1.0, 1.0]], "names": ["a", "b"]}]


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of pictures of 40x24 px with boxes, keypoints and several labels."""
    said = {"boxes": BOXES, "keypoints": POINTS, "labels": ["bus", "car"], "soft_label": {"car": 0.25, "bus": 0.75}}
    rows = [("car", None, said), ("bus", None, {"boxes": []}), ("car", None, {"caption": "no boxes known"})]
    return make_run(tmp_path_factory.mktemp("annotated"), rows)


def test_boxes_are_what_the_detectors_of_torchvision_take(annotated):
    first, nothing, unknown = as_tensors(load_from_disk(str(annotated / "dataset")))
    target = first["target"]
    assert target["boxes"].dtype == torch.float32 and target["boxes"].tolist() == [box["box"] for box in BOXES]
    assert target["labels"].dtype == torch.int64 and target["labels"].tolist() == [1, 2, 1]
    assert target["iscrowd"].tolist() == [1, 0, 0]
    assert nothing["target"]["boxes"].shape == (0, 4) and nothing["target"]["labels"].shape == (0,)
    assert unknown["target"] is None and unknown["keypoints"] is None and "boxes" not in first
    assert first["keypoints"][0].tolist() == POINTS[0]["points"]
    assert first["labels"].tolist() == [1, 0] and first["soft_label"].tolist() == [0.25, 0.75]


def test_boxes_go_where_the_cropped_pixels_go(annotated):
    first = as_tensors(load_from_disk(str(annotated / "dataset")), size=48)[0]
    assert first["image"].shape == (3, 48, 48)
    assert first["target"]["boxes"].tolist() == [[0.0, 6.0, 8.0, 26.0], [4.0, 8.0, 48.0, 40.0]]
    assert first["target"]["labels"].tolist() == [1, 2]
    assert first["keypoints"][0].tolist() == [[8.0, 12.0, 2.0], [0.0, 0.0, 0.0]]


def test_columns_of_annotations_can_be_chosen_and_batched(annotated):
    data = as_tensors(load_from_disk(str(annotated / "dataset")), size=24, columns=("image", "boxes"))
    batch = collate([data[0], data[1]])
    assert batch["image"].shape == (2, 3, 24, 24)
    assert [len(target["boxes"]) for target in batch["target"]] == [2, 0]
    assert pickle.loads(pickle.dumps(data))[0].keys() == {"image", "target"}


def test_boxes_without_a_class_are_all_of_the_first(tmp_path):
    finished = make_run(tmp_path, [(None, None, {"boxes": [{"box": [0.0, 0.0, 4.0, 4.0]}]})])
    row = as_tensors(load_from_disk(str(finished / "dataset")))[0]
    assert row["target"]["labels"].tolist() == [1]
