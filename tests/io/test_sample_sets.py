"""Sample data: the right pictures, in the right split, the same every time."""

from __future__ import annotations

import hashlib
import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from augforge.data import images
from augforge.errors import SourceError
from augforge.io import open_source
from augforge.io import sample_sets as samples
from augforge.io.sample_sets.streets import CLASSES, HEIGHT, RANGES, WIDTH, draw_scene

DIGITS = load_digits()


def grey(index: int) -> np.ndarray:
    return np.round(DIGITS.images[index] * 255 / 16).astype(np.uint8)


def share(index: int) -> float:
    return int(hashlib.sha256(grey(index).tobytes()).hexdigest()[-4:], 16) / 16**4


def indices(split: str) -> list[int]:
    return [int(picture.path[-8:-4]) for picture in samples.sample_images("digits", split)]


def test_the_train_split_is_long_tailed():
    counts = Counter(picture.label for picture in samples.sample_images("digits"))
    assert counts == {str(c): round(100 * 10 ** (-c / 9)) for c in range(10)}
    assert (counts["0"], counts["9"]) == (100, 10)


def test_the_test_split_is_complete_and_apart():
    assert sorted(indices("test")) == [index for index in range(len(DIGITS.images)) if share(index) < 0.2]
    assert not set(indices("train")) & set(indices("test"))
    assert all(share(index) >= 0.2 for index in indices("train"))


def test_the_pictures_are_the_digits_enlarged():
    picture = samples.sample_images("digits")[0]
    index = int(picture.path[-8:-4])
    assert picture.path == f"{picture.label}/digit-{index:04d}.png"
    assert int(picture.label) == DIGITS.target[index]
    expected = Image.fromarray(grey(index)).resize((32, 32), Image.Resampling.BICUBIC)
    assert (np.asarray(images.decode(picture.data)) == np.asarray(expected)[..., None]).all()
    assert images.inspect(picture.data) == images.Facts(32, 32, "")


def test_writing_is_the_same_every_time_and_never_over_something_else(tmp_path):
    out = tmp_path / "deep" / "digits"
    samples.write("digits", out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    samples.write("digits", out)
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert [path.name for path in out.parent.iterdir()] == ["digits"]
    with pytest.raises(SourceError, match="is not empty"):
        samples.write("digits", out, "test")
    (out / "mine.txt").touch()
    with pytest.raises(SourceError, match="is not empty"):
        samples.write("digits", out)
    with pytest.raises(SourceError, match="is not empty"):
        samples.write("digits", out / "mine.txt")


def test_an_empty_folder_is_written_to(tmp_path):
    samples.write("digits", tmp_path)
    folder = open_source("folder", str(tmp_path))
    assert folder.classes() == [str(c) for c in range(10)]
    assert len(list(folder.entries())) == len(samples.sample_images("digits"))
    assert folder.ignored == 1
    assert "CC BY 4.0" in (tmp_path / "README.md").read_text()


def test_names_can_be_listed_and_wrong_ones_are_refused(tmp_path):
    assert samples.NAMES.keys() == {"digits", "streets"} and all(samples.NAMES.values())
    for name, split in (("digit", "train"), ("digits", "dev")):
        with pytest.raises(SourceError, match="there is no"):
            samples.write(name, tmp_path / "out", split)
    assert not (tmp_path / "out").exists()


def test_the_digits_are_those_of_scikit_learn():
    table = samples._digits_table()
    assert (table[:, :64] == load_digits().data).all() and (table[:, 64] == load_digits().target).all()


# ---- streets -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def streets() -> list[samples.Picture]:
    return samples.sample_images("streets", "test")


def test_streets_are_half_day_with_masks_and_half_night_without(streets):
    assert Counter(picture.label for picture in streets) == {"day": 30, "night": 30}
    assert [picture.path for picture in streets] == sorted(
        f"{time}/{time}-{number:04d}.png" for time in ("day", "night") for number in range(120, 150)
    )
    assert {picture.label for picture in streets if picture.mask is not None} == {"day"}
    assert all(picture.mask is not None for picture in streets if picture.label == "day")


def test_the_pictures_of_streets_are_its_scenes(streets):
    for picture in (streets[0], streets[-1]):
        scene = draw_scene(picture.label, int(picture.path[-8:-4]))
        assert (np.asarray(images.decode(picture.data)) == scene.image).all()
    assert streets[0].mask is not None
    mask = Image.open(io.BytesIO(streets[0].mask))
    assert mask.mode == "L" and (np.asarray(mask) == draw_scene("day", 120).mask).all()


def test_the_splits_of_streets_have_no_picture_in_common(streets):
    numbers = {split: set(found) for split, found in RANGES.items()}
    assert not numbers["train"] & numbers["test"]
    train = [encoded(time, number) for time in ("day", "night") for number in list(RANGES["train"])[:10]]
    data = [picture.data for picture in streets]
    assert len(set(data)) == len(data) and not set(train) & set(data)


def encoded(time: str, number: int) -> bytes:
    return images.encode_png(Image.fromarray(draw_scene(time, number).image))


def test_streets_are_written_with_their_masks_and_left_alone_the_second_time(tmp_path, streets):
    out = tmp_path / "streets"
    samples.write("streets", out, "test")
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.rglob("*") if path.is_file()}
    names = {folder: sorted(path.name for path in (out / folder).iterdir()) for folder in ("day", "night", "masks")}
    assert names["masks"] == names["day"] and not set(names["day"]) & set(names["night"])
    assert len(before) == 30 + 30 + 30 + 1
    samples.write("streets", out, "test")
    assert before == {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.rglob("*") if path.is_file()}
    (out / "masks" / names["masks"][0]).write_bytes(b"another mask")
    with pytest.raises(SourceError, match="is not empty"):
        samples.write("streets", out, "test")


def test_the_readme_of_streets_says_what_is_there():
    readme = samples.SETS["streets"].readme()
    for value, name in enumerate(CLASSES):
        assert f"| {value} | {name}" in readme
    assert readme.count("\n| ") == len(CLASSES) + 1
    for found in RANGES.values():
        assert f"{found.start} to {found.stop - 1}" in readme
    assert f"{WIDTH}x{HEIGHT} px" in readme
