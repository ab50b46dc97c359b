"""Masks go beside their images from the source to the dataset and on, with their bytes as they are."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from datasets import Dataset, Image, load_from_disk
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Picture
from pydantic import ValidationError

from augforge.data.ids import key
from augforge.data.images import decode_mask, digest, encode_mask
from augforge.data.pictures import dump_pictures, parse_pictures
from augforge.data.pictures.mask_modes import encode_mask_like
from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.data.store import Store
from augforge.engine.ingest import open_sources, read_sources
from augforge.engine.pixels import Pixels
from augforge.engine.run import run
from augforge.errors import BadImage, StoreError
from augforge.progress import Progress
from augforge.recipe import Recipe, SourceSpec
from augforge.stages.catalog import stage_class
from augforge.stages.generator import GeneratedImage, GenerationInput, Generator, LoadedGenerator, SampledParams
from tests.bad_inputs import colours, encoded
from tests.conftest import write_images
from tests.test_laws import NoModels, decisions, rows

SHARP = stage_class("filter", "sharpness")(keep=1.0)


class Mirror(Generator):
    """Mirrors its parent and the parent's mask."""

    name: ClassVar[str] = "mirror"
    needs_labels: ClassVar[bool] = False
    uses_pictures: ClassVar[frozenset[str] | None] = frozenset({"mask"})
    suffix: str = ""
    crooked: bool = False

    def child_label(self, label: str | None) -> str | None:
        return label + self.suffix if label and self.suffix else label

    def sample_params(self, label, parent: Sample | None, pool: Pool, variant: int, seed: int) -> SampledParams:
        assert parent is not None
        return [parent], {"variant": variant}

    def load(self, device: str) -> LoadedGenerator:
        return LoadedGenerator(self._make, {})

    def _make(self, batch: Sequence[GenerationInput]) -> list[GeneratedImage]:
        made = []
        for item in batch:
            mask = item.pictures[0].get("mask")
            assert (mask is None) == (not item.job.parents[0].pictures)
            label = None if mask is None else decode_mask(mask)[:, :: -1 if not self.crooked else 2]
            made.append(
                GeneratedImage(
                    np.asarray(item.images[0], dtype=np.float32)[:, ::-1] / 255,
                    pictures={} if label is None else {"mask": label},
                )
            )
        return made


class Blind(Mirror):
    """Asks for no masks and is given none."""

    name: ClassVar[str] = "blind"
    needs_labels: ClassVar[bool] = True
    uses_pictures: ClassVar[frozenset[str] | None] = frozenset()

    def _make(self, batch: Sequence[GenerationInput]) -> list[GeneratedImage]:
        assert all(item.pictures == () for item in batch)
        return [GeneratedImage(np.asarray(item.images[0], dtype=np.float32)[:, ::-1] / 255) for item in batch]


def recipe(*sources: Path | SourceSpec, stages: Sequence = (SHARP,), **options: str) -> Recipe:
    specs = [s if isinstance(s, SourceSpec) else SourceSpec("folder", str(s), options) for s in sources]
    return Recipe("masks", 1, tuple(specs), tuple(stages))


def write_masks(folder: Path, names: Sequence[str], size: int = 32, seed: int = 0) -> dict[str, bytes]:
    """A random label map for each name; their bytes."""
    random = np.random.default_rng(seed)
    made = {name: encode_mask(random.integers(0, 5, (size, size), dtype=np.uint8)) for name in names}
    for name, data in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return made


def masks_in(out: Path) -> dict[str, bytes | None]:
    """The masks of the dataset by id, undecoded."""
    data = load_from_disk(str(out / "dataset")).cast_column("mask", Image(decode=False))
    return {row["id"]: row["mask"] and row["mask"]["bytes"] for row in data}


@pytest.fixture
def camvid(tmp_path):
    """A folder of six unlabelled images, four with masks, and those masks by file name."""
    folder = write_images(tmp_path / "camvid", {"train/images": 6})
    return folder, write_masks(folder / "train" / "masks", [f"{n:04d}.png" for n in range(4)])


@pytest.fixture
def streets(tmp_path):
    folder = write_images(tmp_path / "streets", {"day": 3, "night": 2})
    for place, path in enumerate(sorted(folder.rglob("*.png"))):
        path.rename(path.with_name(f"{path.parent.name}-{place}.png"))
    return folder, write_masks(folder / "masks", ["day-0.png", "day-1.png", "day-2.png"])


def by_file(out: Path) -> dict[str, str]:
    return {row["id"]: Path(row["source"]).name for row in rows(out).values() if row["source"]}


def test_masks_come_last_in_the_dataset_with_their_bytes(camvid, tmp_path):
    folder, masks = camvid
    summary = run(recipe(folder), tmp_path / "out")
    assert summary.kept == 6 and summary.classes == {}
    names = by_file(tmp_path / "out")
    assert {names[i]: data for i, data in masks_in(tmp_path / "out").items()} == masks | {
        "0004.png": None,
        "0005.png": None,
    }
    for row in rows(tmp_path / "out").values():
        data = masks.get(Path(row["source"]).name)
        assert row["pictures"] == (dump_pictures({"mask": digest(data)}) if data else "") and row["split"] == "train"
    assert load_from_disk(str(tmp_path / "out" / "dataset")).column_names[-1] == "mask"
    decoded = load_from_disk(str(tmp_path / "out" / "dataset"))[0]["mask"]
    assert decoded.size == (32, 32)
    assert run(recipe(folder), tmp_path / "out", progress=NoModels()).up_to_date


def test_without_masks_nothing_is_as_it_was_not(pictures, tmp_path):
    run(recipe(pictures), tmp_path / "out")
    assert "mask" not in load_from_disk(str(tmp_path / "out" / "dataset")).column_names
    for row in rows(tmp_path / "out").values():
        assert row["id"] == key("real", row["digest"], row["label"], 0) and row["pictures"] == ""


def test_streets_with_a_flat_folder_of_masks(streets, tmp_path):
    folder, masks = streets
    summary = run(recipe(folder), tmp_path / "out")
    assert summary.classes == {"day": 3, "night": 2}
    names = by_file(tmp_path / "out")
    found = {names[i]: data for i, data in masks_in(tmp_path / "out").items()}
    assert {name: data for name, data in found.items() if data} == masks


def test_faces_with_masks_are_a_class(tmp_path):
    folder = write_images(tmp_path / "faces", {"bare": 4, "masks": 3})
    assert run(recipe(folder), tmp_path / "out").classes == {"bare": 4, "masks": 3}


def test_a_broken_mask_costs_its_row(camvid, tmp_path):
    folder, masks = camvid
    place = folder / "train" / "masks"
    (place / "0000.png").write_bytes(masks["0000.png"][:60])
    write_masks(place, ["0001.png"], size=10)
    (place / "0002.png").unlink()
    (place / "0002.png").symlink_to("gone.png")
    (place / "0003.png").write_bytes(encoded(colours(32), "PNG"))  # a picture: a condition, but no label map
    summary = run(recipe(folder), tmp_path / "out", max_bad=0.5)
    dropped = {Path(row["source"]).name: row["dropped"] for row in rows(tmp_path / "out").values() if not row["kept"]}
    assert dropped == {
        "0000.png": "its mask: truncated",
        "0001.png": "its mask is 10x10 px, the image 32x32",
        "0002.png": "its mask: cannot be read: No such file or directory",
    }
    assert summary.kept == 3
    names = by_file(tmp_path / "out")
    kept = {names[i]: data for i, data in masks_in(tmp_path / "out").items() if data}
    assert kept == {"0003.png": encoded(colours(32), "PNG")}
    with pytest.raises(BadImage, match="single-channel"):
        decode_mask(kept["0003.png"])


def test_another_mask_is_another_sample(camvid, tmp_path):
    folder, _ = camvid
    run(recipe(folder), tmp_path / "out")
    before = {Path(row["source"]).name: row["id"] for row in rows(tmp_path / "out").values()}
    write_masks(folder / "train" / "masks", ["0001.png", "0005.png"], seed=9)
    again = run(recipe(folder), tmp_path / "out")
    after = {Path(row["source"]).name: row["id"] for row in rows(tmp_path / "out").values()}
    assert {name for name in before if before[name] != after[name]} == {"0001.png", "0005.png"}
    assert again.work[0]["read"] == 2


def test_one_image_with_two_masks_is_two_samples_in_any_order(tmp_path):
    for name, seed in (("a", 1), ("b", 2)):
        write_images(tmp_path / name, {"images": 1})
        write_masks(tmp_path / name / "masks", ["0000.png"], seed=seed)
    run(recipe(tmp_path / "a", tmp_path / "b"), tmp_path / "ab")
    run(recipe(tmp_path / "b", tmp_path / "a"), tmp_path / "ba")
    assert len(rows(tmp_path / "ab")) == 2
    assert decisions(tmp_path / "ab") == decisions(tmp_path / "ba")


@pytest.mark.parametrize("kind", ["run", "dataset", "parquet"])
def test_masks_go_on_into_other_runs(camvid, tmp_path, kind):
    folder, masks = camvid
    run(recipe(folder), tmp_path / "one")
    where = {"run": "one", "dataset": "one/dataset", "parquet": "one.parquet"}[kind]
    if kind == "parquet":
        Dataset.load_from_disk(str(tmp_path / "one" / "dataset")).to_parquet(str(tmp_path / where))
    run(recipe(SourceSpec(kind, str(tmp_path / where))), tmp_path / "two")
    run(recipe(SourceSpec("run", str(tmp_path / "two"))), tmp_path / "three")
    first, last = rows(tmp_path / "one"), rows(tmp_path / "three")
    assert {i: row["pictures"] for i, row in last.items()} == {i: row["pictures"] for i, row in first.items()}
    assert masks_in(tmp_path / "three") == masks_in(tmp_path / "one")
    assert {data for data in masks_in(tmp_path / "three").values() if data} == set(masks.values())


def test_a_mask_that_changes_under_way_is_not_used(camvid, tmp_path):
    folder, _ = camvid
    sources = open_sources(recipe(folder))
    ledger, _ = read_sources(sources, Store(tmp_path / "store"), Progress())
    sample = next(s for s in ledger.samples(ledger.visible()) if s.pictures)
    plain = next(s for s in ledger.samples(ledger.visible()) if not s.pictures)
    pixels = Pixels(sources)
    assert digest(pixels.picture_of(sample, "mask")) == sample.pictures["mask"]
    with pytest.raises(BadImage, match="it has no mask"):
        pixels.picture_of(plain, "mask")
    write_masks(folder / "train" / "masks", [Path(sample.source).name], seed=5)
    with pytest.raises(BadImage, match="its mask changed"):
        pixels.picture_of(sample, "mask")


def test_made_images_have_masks(streets, tmp_path):
    folder, masks = streets
    made = run(recipe(folder, stages=[Mirror(per_class=4, batch=4)]), tmp_path / "out")
    assert made.work[1]["generated"] == 8 and made.classes == {"day": 7, "night": 6}
    ledger, found = rows(tmp_path / "out"), masks_in(tmp_path / "out")
    names = by_file(tmp_path / "out")
    for identity, row in ledger.items():
        if row["origin"] == "real":
            continue
        (parent,) = row["parents"]
        source = masks.get(names[parent])
        if source is None:
            assert found[identity] is None and row["pictures"] == ""
        else:
            assert (decode_mask(found[identity]) == decode_mask(source)[:, ::-1]).all()
            assert parse_pictures(row["pictures"]) == {"mask": digest(found[identity])}
    assert sum(row["origin"] == "synthetic" and row["pictures"] != "" for row in ledger.values()) == 4
    shutil.rmtree(tmp_path / "out" / "dataset")
    again = run(recipe(folder, stages=[Mirror(per_class=4, batch=3)]), tmp_path / "out", progress=NoModels())
    assert again.computed == 0 and masks_in(tmp_path / "out") == found
    run(recipe(SourceSpec("run", str(tmp_path / "out"))), tmp_path / "on")
    assert masks_in(tmp_path / "on") == found


def as_mode(labels: np.ndarray, mode: str) -> Picture.Image:
    """A mask in a mode of Pillow; with a palette of six colours, the first of them transparent."""
    if mode == "1":
        return Picture.fromarray(labels > 2)
    picture = Picture.fromarray(labels.astype(np.uint16) if mode == "I;16" else labels)
    if mode == "P":
        picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128, 128, 0, 128])
        picture.info["transparency"] = 0
    return picture


@pytest.mark.parametrize("mode", ["P", "1", "I;16", "L"])
def test_made_masks_keep_mode_and_palette(streets, tmp_path, mode):
    folder, masks = streets
    for name in masks:
        as_mode(decode_mask(masks[name]), mode).save(folder / "masks" / name)
    run(recipe(folder, stages=[Mirror(per_class=4, batch=4)]), tmp_path / "out")
    found = {identity: data for identity, data in masks_in(tmp_path / "out").items() if data is not None}
    ledger, names = rows(tmp_path / "out"), by_file(tmp_path / "out")
    made = {identity for identity in found if ledger[identity]["origin"] == "synthetic"}
    assert len(made) == 4
    for identity in made:
        before = Picture.open(folder / "masks" / names[ledger[identity]["parents"][0]])
        after = Picture.open(io.BytesIO(found[identity]))
        assert after.mode == before.mode == mode and after.info.get("transparency") == before.info.get("transparency")
        assert (np.asarray(after) == np.asarray(before)[:, ::-1]).all()
        if mode == "P":
            assert after.getpalette()[:18] == before.getpalette()[:18]


def test_labels_without_a_colour_become_greys_of_their_level():
    """A warp of a palette mask brings 255, where nothing is known; in the few bits of its palette it would be lost."""
    like = io.BytesIO()
    as_mode(np.arange(6, dtype=np.uint8).reshape(2, 3), "P").save(like, "PNG")
    labels = np.array([[0, 5, 255], [1, 2, 3]], dtype=np.uint8)
    data = encode_mask_like(labels, like.getvalue())
    assert (decode_mask(data) == labels).all() and encode_mask_like(labels, like.getvalue()) == data
    palette = Picture.open(io.BytesIO(data)).getpalette()
    assert palette[-3:] == [255, 255, 255] and palette[15:18] == [128, 0, 128] and len(palette) == 768
    black = io.BytesIO()
    as_mode(labels, "1").save(black, "PNG")
    assert (decode_mask(encode_mask_like(labels, black.getvalue())) == labels).all()  # no room for 255: grey
    assert encode_mask_like(labels, None) == encode_mask(labels)


def test_who_does_not_ask_for_masks_gets_none(streets, tmp_path):
    run(recipe(streets[0], stages=[Blind(per_class=2, batch=4)]), tmp_path / "out")
    assert not any(row["pictures"] for row in rows(tmp_path / "out").values() if row["origin"] == "synthetic")


def test_a_mask_of_another_size_is_a_defect(streets, tmp_path):
    with pytest.raises(ValueError, match=r"mask: \(32, 16\) was made"):
        run(recipe(streets[0], stages=[Mirror(per_class=1, batch=2, crooked=True)]), tmp_path / "out")


def test_a_parent_whose_mask_went_away_costs_its_children(streets, tmp_path, monkeypatch):
    folder, _ = streets
    read = Pixels.picture_of
    lost = []

    def once(self, sample, name):
        if not lost or lost == [sample.id]:
            lost[:] = [sample.id]
            raise BadImage("gone")
        return read(self, sample, name)

    monkeypatch.setattr(Pixels, "picture_of", once)
    run(recipe(folder, stages=[Mirror(per_class=3, batch=4)]), tmp_path / "out")
    reasons = [row["dropped"] for row in rows(tmp_path / "out").values() if not row["kept"]]
    assert sorted(reasons) == ["a parent cannot be read: gone", "it can no longer be read: gone"]


def test_the_unlabelled_have_unlabelled_children(camvid, tmp_path):
    folder, _ = camvid
    write_images(folder / "train", {"cat": 2}, seed=7)
    stages = [Mirror(per_class=3, batch=4), Blind(per_class=2, batch=4)]
    summary = run(recipe(folder, stages=stages), tmp_path / "out")
    assert [row["generated"] for row in summary.work[1:]] == [6, 2] and summary.classes == {"cat": 7}
    ledger = rows(tmp_path / "out")
    for row in ledger.values():
        assert all(ledger[parent]["label"] == row["label"] for parent in row["parents"])
    assert sum(row["label"] is None for row in ledger.values()) == 9
    data = load_from_disk(str(tmp_path / "out" / "dataset"))
    assert sum(label is None for label in data["label"]) == 9


def test_children_may_be_of_another_class(streets, tmp_path):
    summary = run(recipe(streets[0], stages=[Mirror(per_class=1, batch=2, suffix="-mirrored")]), tmp_path / "out")
    assert summary.classes == {"day": 3, "night": 2, "day-mirrored": 1, "night-mirrored": 1}
    data = load_from_disk(str(tmp_path / "out" / "dataset"))
    assert data.features["label"].names == list(summary.classes) and None not in data["label"]


@given(
    st.integers(1, 20), st.integers(0, 20), st.dictionaries(st.sampled_from(["a", "b", None]), st.integers(0, 10**6))
)
def test_real_to_synthetic_is_the_nearest_count(real, synthetic, counts):
    wanted = Mirror(real_to_synthetic=f"{real}:{synthetic}").target_counts(counts)
    assert wanted.keys() == counts.keys()
    for label, count in counts.items():
        off = 2 * (wanted[label] * real - count * synthetic)
        assert -real < off <= real  # half of one image at most, and a half is rounded up


def test_real_to_synthetic_counts():
    assert Mirror(real_to_synthetic="1:3").target_counts({"a": 5, "b": 0, None: 2}) == {"a": 15, "b": 0, None: 6}
    assert Mirror(real_to_synthetic="2:1").target_counts({"a": 5, "b": 4, "c": 1}) == {"a": 3, "b": 2, "c": 1}
    assert Mirror(real_to_synthetic="3:1").target_counts({"a": 4, "b": 5, "c": 1}) == {"a": 1, "b": 2, "c": 0}
    assert "real_to_synthetic" in Mirror.decision_options


@pytest.mark.parametrize("ratio", ["0:1", "1", "1:", ":1", "a:b", "-1:2", "1:2:3", "1.5:1", 63, 1.5, True])
def test_what_is_no_ratio_is_refused(ratio):
    with pytest.raises(ValidationError, match=r"two whole numbers in quotes, such as \"1:3\""):
        Mirror(real_to_synthetic=ratio)


def test_only_one_amount_can_be_given():
    for others in ({"per_class": 1}, {"balance_to": "max"}, {"per_class": 1, "balance_to": 3}):
        with pytest.raises(ValidationError, match="and real-to-synthetic exclude each other: give one"):
            Mirror(real_to_synthetic="1:1", **others)
    assert [Mirror(**o).has_amount for o in ({}, {"per_class": 0}, {"real_to_synthetic": "1:0"})] == [False, True, True]


def test_real_to_synthetic_counts_the_real_ones_only(tmp_path):
    folder = write_images(tmp_path / "set", {"train/cat": 3, "train/dog": 1})
    write_images(folder, {"test/cat": 5}, seed=3)
    stages = [Mirror(per_class=2, batch=4), Blind(real_to_synthetic="1:3", batch=4)]
    summary = run(recipe(folder, stages=stages), tmp_path / "out")
    assert [row["generated"] for row in summary.work[1:]] == [4, 12]
    more = [stages[0], Blind(real_to_synthetic="1:4", batch=4)]
    again = run(recipe(folder, stages=more), tmp_path / "out")
    assert (again.work[2]["generated"], again.work[2]["reused"]) == (4, 12)


def test_who_gave_a_label_is_not_forgotten(tmp_path):
    """From the provenance of a dataset, and from the ledger of a run; a class that the recipe gives replaces it."""
    folder = write_images(tmp_path / "set", {"cat": 2})
    run(recipe(folder), tmp_path / "one")

    def guessed(row):
        return {"provenance": json.dumps(json.loads(row["provenance"]) | {"labelled-by": "1-pseudo-label-x"})}

    Dataset.load_from_disk(str(tmp_path / "one" / "dataset")).map(guessed).save_to_disk(str(tmp_path / "guessed"))
    run(recipe(SourceSpec("dataset", str(tmp_path / "guessed"))), tmp_path / "two")
    run(recipe(SourceSpec("run", str(tmp_path / "two"))), tmp_path / "three")
    for name in ("two", "three"):
        assert {row["labelled_by"] for row in rows(tmp_path / name).values()} == {"1-pseudo-label-x"}
        data = load_from_disk(str(tmp_path / name / "dataset"))
        assert json.loads(data[0]["provenance"])["labelled-by"] == "1-pseudo-label-x"
    run(recipe(SourceSpec("run", str(tmp_path / "two"), {"class": "dog"})), tmp_path / "four")
    assert {(row["label"], row["labelled_by"]) for row in rows(tmp_path / "four").values()} == {("dog", None)}


@pytest.mark.parametrize("version", [1, 2])
def test_a_folder_of_an_older_format_is_refused_with_the_remedy(version, pictures, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text(json.dumps({"format": version}))
    with pytest.raises(StoreError, match=f"in format {version}, this augforge writes format 5") as caught:
        run(recipe(pictures), tmp_path / "out")
    assert "new folder" in caught.value.hint
