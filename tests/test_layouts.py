"""The law of all layouts: whatever way a data set says which images are there to judge by, none of them becomes a
parent, a prototype, one that a selector chooses from, or a training image. A new layout is one line in LAYOUTS.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from augforge.data.images import digest
from augforge.engine.run import run
from augforge.engine.runners import filter as filters
from augforge.engine.runners import select
from augforge.engine.runners.train import training_roles
from augforge.errors import SourceError
from augforge.io import detect, open_source
from augforge.io.base import Entry
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.io import layouts as boxes
from tests.io.test_video import write_lossless
from tests.test_laws import rows

LABELS = ("cat", "dog")
EVERY = [
    (split, label, number)
    for split, count in (("train", 3), ("eval", 2))
    for label in LABELS
    for number in range(count)
]
"""Split, class and number of each image; a layout writes `eval` as it calls it."""


def photo(split: str, label: str, number: int) -> bytes:
    """A picture that no other is like."""
    seed = EVERY.index((split, label, number)) + 1
    stream = io.BytesIO()
    small = Image.frombytes("RGB", (4, 4), bytes((seed * 37 + place * 53 * seed) % 256 for place in range(48)))
    small.resize((32, 32), Image.Resampling.BICUBIC).save(stream, "PNG")
    return stream.getvalue()


Written = Path
Layout = Callable[[Path, str], Path]


def files(pattern: str) -> Layout:
    """Image files at a path of {split}, {label} and {n}."""

    def write(root: Path, name: str) -> Path:
        for split, label, number in EVERY:
            inside = pattern.format(split=name if split == "eval" else "train", label=label, n=number)
            boxes.put(root, {inside: photo(split, label, number)})
        return root

    return write


def metadata(root: Path, name: str, table: str, line: Callable[[dict[str, Any]], str], head: str = "") -> Path:
    """Images in one folder, and a table with a column `split`."""
    lines = [head] if head else []
    for split, label, number in EVERY:
        file = f"{label}{number}{split[0]}.png"
        boxes.put(root, {file: photo(split, label, number)})
        lines.append(line({"file_name": file, "label": label, "split": name if split == "eval" else "train"}))
    return boxes.put(root, {table: "\n".join(lines) + "\n"})


def imagefolder(root: Path, name: str) -> Path:
    return metadata(root, name, "metadata.jsonl", json.dumps)


def table(root: Path, name: str) -> Path:
    return metadata(root, name, "list.csv", lambda row: ",".join(row.values()), "file_name,label,split") / "list.csv"


def imagefolder_in_splits(root: Path, name: str) -> Path:
    for which in ("train", "eval"):
        folder = "train" if which == "train" else name
        said = []
        for split, label, number in EVERY:
            if split == which:
                boxes.put(root, {f"{folder}/{label}{number}.png": photo(split, label, number)})
                said.append(f"{label}{number}.png,{label}")
        boxes.put(root, {f"{folder}/metadata.csv": "file_name,label\n" + "\n".join(said) + "\n"})
    return root


def coco_json(which: str, prefix: str = "") -> str:
    images, annotations = [], []
    for place, (split, label, number) in enumerate(EVERY):
        if split == which:
            images.append({"id": place, "file_name": f"{prefix}{label}{number}.png", "width": 32, "height": 32})
            box = {"bbox": [4, 4, 8, 8], "area": 64, "iscrowd": 0, "category_id": LABELS.index(label) + 1}
            annotations.append({"id": place + 1, "image_id": place, **box})
    categories = [{"id": place + 1, "name": label} for place, label in enumerate(LABELS)]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})


def coco_2017(root: Path, name: str) -> Path:
    for split, label, number in EVERY:
        folder = "train2017" if split == "train" else f"{name}2017"
        boxes.put(root, {f"{folder}/{label}{number}.png": photo(split, label, number)})
    given = {"train2017": coco_json("train"), f"{name}2017": coco_json("eval")}
    return boxes.put(root, {f"annotations/instances_{folder}.json": text for folder, text in given.items()})


def roboflow_coco(root: Path, name: str) -> Path:
    for split, label, number in EVERY:
        folder = "train" if split == "train" else name
        boxes.put(root, {f"{folder}/{label}{number}.png": photo(split, label, number)})
    given = {"train": coco_json("train"), name: coco_json("eval")}
    return boxes.put(root, {f"{folder}/_annotations.coco.json": text for folder, text in given.items()})


def webdataset(root: Path, name: str) -> Path:
    root.mkdir()
    for which in ("train", "eval"):
        with tarfile.open(root / f"{'train' if which == 'train' else name}-000.tar", "w") as tar:
            for split, label, number in EVERY:
                if split == which:
                    for ending, data in (("png", photo(split, label, number)), ("cls", label.encode())):
                        member = tarfile.TarInfo(f"{which}{label}{number}.{ending}")
                        member.size = len(data)
                        tar.addfile(member, io.BytesIO(data))
    return root


def parquet(root: Path, name: str) -> Path:
    (root / "data").mkdir(parents=True)
    for which in ("train", "eval"):
        mine = [one for one in EVERY if one[0] == which]
        columns = {"image": [{"bytes": photo(*one), "path": None} for one in mine], "label": [one[1] for one in mine]}
        pq.write_table(
            pa.table(columns), root / "data" / f"{'train' if which == 'train' else name}-00000-of-00001.parquet"
        )
    return root


def dataset_dict(root: Path, name: str) -> Path:
    from datasets import Dataset, DatasetDict, Features, Value
    from datasets import Image as ImageFeature

    made = {}
    for which in ("train", "eval"):
        mine = [one for one in EVERY if one[0] == which]
        columns = {"image": [{"bytes": photo(*one), "path": None} for one in mine], "label": [one[1] for one in mine]}
        features = Features({"image": ImageFeature(), "label": Value("string")})
        made["train" if which == "train" else name] = Dataset.from_dict(columns, features)
    DatasetDict(made).save_to_disk(str(root))
    return root


def videos(root: Path, name: str) -> Path:
    """A lossless video of each class in each split."""
    for split, label in dict.fromkeys((split, label) for split, label, _ in EVERY):
        path = root / (name if split == "eval" else split) / label / "clip.mkv"
        path.parent.mkdir(parents=True)
        shown = [photo(*one) for one in EVERY if one[:2] == (split, label)]
        write_lossless(path, [np.asarray(Image.open(io.BytesIO(data))) for data in shown])
    return root


def evaluation_frames() -> set[str]:
    """As the frames of a video are read."""
    found = set()
    for one in EVERY:
        stream = io.BytesIO()
        Image.open(io.BytesIO(photo(*one))).save(stream, "PNG", compress_level=1)
        found |= {digest(stream.getvalue())} if one[0] == "eval" else set()
    return found


LAYOUTS: dict[str, tuple[Layout, str]] = {
    "splits above classes, val": (files("{split}/{label}/{n}.png"), "val"),
    "splits above classes, Testing": (files("{split}/{label}/{n}.png"), "Testing"),
    "splits deeper": (files("birds/{split}/{label}/{n}.png"), "valid"),
    "splits below a folder that is no class": (files("birds/{split}/{label}/{n}.png"), "val_set"),
    "splits two folders down": (files("all/birds/{split}/{label}/{n}.png"), "test"),
    "splits of years above classes": (files("{split}2017/{label}/{n}.png"), "val"),
    "splits with a word more": (files("{split}-set/{label}/{n}.png"), "Test"),
    "splits with a word more, inside": (files("{label}/{split}_images/{n}.png"), "validation"),
    "splits below classes, of a year": (files("{label}/{split}2017/{n}.png"), "val"),
    "splits below classes": (files("{label}/{split}/{n}.png"), "test"),
    "splits in the names of files": (files("{label}/{split}_{n}.png"), "dev"),
    "splits in the names of files, last": (files("{label}/{n}-{split}.png"), "eval"),
    "imagefolder, a column": (imagefolder, "validation"),
    "imagefolder, folders": (imagefolder_in_splits, "test"),
    "table": (table, "test"),
    "coco, as downloaded": (coco_2017, "val"),
    "coco, by Roboflow": (roboflow_coco, "valid"),
    "webdataset": (webdataset, "val"),
    "parquet, as on the Hub": (parquet, "test"),
    "dataset": (dataset_dict, "validation"),
}
"""What writes a layout, and what it calls the images to judge by."""


ASKING: dict[str, tuple[Layout, str]] = {
    "splits below a folder of a layout": (files("photos/{split}/{label}/{n}.png"), "valid"),
    "splits as part of the names of classes": (files("{label}_{split}/{n}.png"), "val"),
    "years beside splits, without annotations": (files("{split}2017/{label}{n}.png"), "val"),
    "splits below images, without labels": (files("images/{split}/{n}{label}.png"), "val"),
    "several folders above splits": (files("{label}s/{split}/small {label}/{n}.png"), "val"),
    "a folder above splits beside a class": (lambda root, name: _beside(root, name), "test"),
}
"""Where a class would have to be guessed: the run stops with a question."""


def _beside(root: Path, name: str) -> Path:
    boxes.put(root, {"cow/1.png": boxes.picture()})
    return files("birds/{split}/{label}/{n}.png")(root, name)


def cases() -> Iterator[Any]:
    for name, (write, split) in LAYOUTS.items():
        yield pytest.param(lambda root, w=write, s=split: (w(root, s), evaluation_photos()), id=name)
    yield pytest.param(lambda root: (videos(root, "val"), evaluation_frames()), id="videos")
    for name, (_, place) in boxes.LAYOUTS.items():
        yield pytest.param(lambda root, w=place: (w(root), evaluation_boxes()), id=name)


def evaluation_photos() -> set[str]:
    return {digest(photo(*one)) for one in EVERY if one[0] == "eval"}


def evaluation_boxes() -> set[str]:
    numbers = [place for place, (split, _) in enumerate(boxes.numbered()) if split != "train"]
    return {digest(boxes.picture(place, kind)) for place in numbers for kind in ("PNG", "JPEG")}


class Seen:
    """The ids of what filters take for what a class looks like, and of what selectors choose from."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.prototypes: set[str] = set()
        self.candidates: set[str] = set()
        reference, candidates = filters.Reference, select._Candidates

        def noted(vectors, classes, ids):
            self.prototypes |= set(ids)
            return reference(vectors, classes, ids)

        def chosen_from(*given):
            made = candidates(*given)
            self.candidates |= set(made.ids)
            return made

        monkeypatch.setattr(filters, "Reference", noted)
        monkeypatch.setattr(select, "_Candidates", chosen_from)


def obeys(source: Path, held_out: set[str], seen: Seen, model: str, out: Path) -> None:
    """Run generator, filters, selector and trainer over a source, and look who was taken for what."""
    kind, value = detect(str(source))
    given = {"model": model, "on": "all"}
    stages = (
        build_stage("generate", "shifts", {"families": ["blur"], "size": 32}),
        build_stage("filter", "prototype", {**given, "min": -1.0}),
        build_stage("filter", "outlier", {**given, "max": 2.0}),
        build_stage("select", "facility-location", {**given, "on": "real", "share": 0.5}),
    )
    run(Recipe("law", 1, (SourceSpec(kind, value),), stages), out, device="cpu")
    ledger = rows(out)
    digests = {identity: row["digest"] for identity, row in ledger.items()}
    assert held_out & set(digests.values()), "the layout has images to judge by"
    parents = {parent for row in ledger.values() for parent in row["parents"]}
    learnt = {i for i, row in ledger.items() if row["origin"] == "real" and row["digest"] not in held_out}
    assert learnt == parents == seen.prototypes == seen.candidates
    assert not {digests[i] for i in parents | seen.prototypes | seen.candidates} & held_out
    trained = training(kind, value, out.with_name("trained"))
    assert trained and not trained & held_out
    kept = [row for row in ledger.values() if row["kept"] and row["digest"] in held_out]
    assert len(kept) == len(held_out & set(digests.values())), "and none of them is thrown away"


def training(kind: str, value: str, folder: Path) -> set[str]:
    """The digests of what a trainer would learn from."""
    from augforge.data.store import Store
    from augforge.engine.ingest import read_sources
    from augforge.progress import Progress

    ledger, _ = read_sources([open_source(kind, value)], Store(folder), Progress())
    roles = training_roles(build_stage("train", "paired", {"condition": "edges"}), ledger)
    return {sample.digest for samples in roles.values() for sample in samples}


@pytest.mark.parametrize("write", cases())
def test_no_image_to_judge_by_is_learnt_from(write, tmp_path, tiny_clip, monkeypatch):
    source, held_out = write(tmp_path / "set")
    obeys(source, held_out, Seen(monkeypatch), str(tiny_clip), tmp_path / "out")


@pytest.mark.parametrize("name", ASKING)
def test_a_question_where_a_class_would_be_guessed(name, tmp_path):
    write, split = ASKING[name]
    kind, value = detect(str(write(tmp_path / "set", split)))
    shifts = build_stage("generate", "shifts", {"families": ["blur"]})
    with pytest.raises(SourceError) as raised:
        run(Recipe("law", 1, (SourceSpec(kind, value),), (shifts,)), tmp_path / "out", device="cpu")
    assert "not as " in raised.value.message and raised.value.hint


@pytest.mark.parametrize("name", ["splits below classes", "coco, as downloaded", "parquet, as on the Hub"])
def test_a_reader_that_loses_the_split_breaks_the_law(name, tmp_path, tiny_clip, monkeypatch):
    write, split = LAYOUTS[name]
    source = write(tmp_path / "set", split)
    cls = type(open_source(*detect(str(source))))
    entries = cls.entries

    def forgetful(self) -> Iterator[Entry]:
        return (replace(entry, split=None) for entry in entries(self))

    monkeypatch.setattr(cls, "entries", forgetful)
    with pytest.raises(AssertionError):
        obeys(source, evaluation_photos(), Seen(monkeypatch), str(tiny_clip), tmp_path / "out")


def test_other_images_to_judge_by_change_nothing(tmp_path, tiny_clip):
    """Not only by who is taken for what: of two sets that differ in what they judge by, all else comes out alike."""
    found = []
    for place, turned in enumerate((False, True)):
        root = files("{split}/{label}/{n}.png")(tmp_path / f"set{place}", "test")
        if turned:
            for path in root.glob("test/*/*.png"):
                with Image.open(path) as image:
                    image.rotate(180).save(path)
        given = {"model": str(tiny_clip), "on": "all"}
        stages = (
            build_stage("filter", "prototype", {**given, "min": -1.0}),
            build_stage("filter", "outlier", {**given, "max": 2.0}),
            build_stage("select", "facility-location", {**given, "share": 0.5}),
        )
        run(Recipe("law", 1, (SourceSpec("folder", str(root)),), stages), tmp_path / f"out{place}", device="cpu")
        names = ("scores", "kept", "dropped", "weight")
        found.append(
            {i: [row[n] for n in names] for i, row in rows(tmp_path / f"out{place}").items() if row["split"] == "train"}
        )
    assert found[0] == found[1] and len(found[0]) == 6
