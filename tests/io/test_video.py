"""Video: frames by number, in any order, of files and of folders; splits, classes and damage."""

from __future__ import annotations

import io
import struct
from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np
import pytest
from PIL import Image

from augforge.errors import BadImage, SourceError
from augforge.io import detect, open_source
from augforge.io.video_frames import VideoFile
from tests.conftest import write_images

SIZE = (48, 64)


def shown(number):
    """A picture that says which frame it is, and in which corner it begins."""
    pixels = np.full((*SIZE, 3), 40 + 10 * number, np.uint8)
    pixels[:16, :16] = 255
    return pixels


def write_video(path, count=20, codec="libx264", pixels="yuv444p", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=10)
        stream.height, stream.width = SIZE
        stream.pix_fmt, stream.gop_size = pixels, 6
        stream.options = options
        for number in range(count):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(shown(number), format="rgb24")))
        file.mux(stream.encode(None))
    return path


def write_lossless(path, frames):
    """A video of frames (h, w, 3) that loses nothing."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "bgr0"
        for pixels in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="bgr0")))
        file.mux(stream.encode(None))


def number_of(data):
    """Which frame a picture shows."""
    return round((np.asarray(Image.open(io.BytesIO(data)))[30:, 30:].mean() - 40) / 10)


KINDS = {"a.mp4": ("libx264", "yuv444p"), "a.mkv": ("ffv1", "yuv444p"), "a.avi": ("mpeg4", "yuv420p")}
KINDS |= {"a.webm": ("libvpx-vp9", "yuv444p")}


@pytest.mark.parametrize("name", KINDS)
def test_a_file_is_its_frames_in_their_order(tmp_path, name):
    source = open_source(*detect(str(write_video(tmp_path / name, 20, *KINDS[name]))))
    entries = list(source.entries())
    assert [entry.locator for entry in entries] == [f"{name}#{number:06d}" for number in range(20)]
    assert {entry.split for entry in entries} == {None} and source.classes() == []
    assert [number_of(source.read(entry.locator)) for entry in entries] == list(range(20))


@pytest.mark.parametrize("name", KINDS)
def test_a_frame_is_the_same_in_whatever_order_frames_are_read(tmp_path, name):
    source = open_source("video", str(write_video(tmp_path / name, 20, *KINDS[name])))
    locators = [entry.locator for entry in source.entries()]
    forwards = {locator: source.read(locator) for locator in locators}
    mixed = [locators[place] for place in (19, 3, 0, 11, 12, 7, 18, 1)]
    assert [source.read(locator) for locator in mixed] == [forwards[locator] for locator in mixed]
    with ThreadPoolExecutor(6) as pool:
        again = open_source("video", str(tmp_path / name))
        assert list(pool.map(again.read, locators[::-1])) == [forwards[locator] for locator in locators[::-1]]


def test_lossless_frames_are_the_pixels_that_were_written(tmp_path):
    path = tmp_path / "a.mkv"
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    write_lossless(path, [pixels])
    assert (VideoFile(path).frame(0) == pixels).all()


def test_a_video_that_is_shown_turned_comes_upright(tmp_path):
    path = write_video(tmp_path / "phone.mp4", 3)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    frame = VideoFile(path).frame(0)
    assert frame.shape == (64, 48, 3)
    assert frame[4, -4].min() > 240 and frame[4, 4].max() < 100, "a clockwise turn takes the corner to the right"


def test_every_nth_frame_of_one_split(tmp_path):
    write_video(tmp_path / "train" / "cat" / "a.mp4", 12)
    write_video(tmp_path / "val" / "cat" / "b.mp4", 7)
    write_video(tmp_path / "val" / "dog" / "c_01.mp4", 3)
    source = open_source("video", str(tmp_path), every=5)
    found = [(entry.locator, entry.split, entry.label) for entry in source.entries()]
    assert found == [
        ("train/cat/a.mp4#000000", "train", "cat"),
        ("train/cat/a.mp4#000005", "train", "cat"),
        ("train/cat/a.mp4#000010", "train", "cat"),
        ("val/cat/b.mp4#000000", "validation", "cat"),
        ("val/cat/b.mp4#000005", "validation", "cat"),
        ("val/dog/c_01.mp4#000000", "validation", "dog"),
    ]
    assert source.classes() == ["cat", "dog"]
    assert len(list(open_source("video", str(tmp_path), split="val").entries())) == 10
    assert {e.label for e in open_source("video", str(tmp_path), classes=False).entries()} == {None}
    with pytest.raises(SourceError, match="from 1 on"):
        open_source("video", str(tmp_path), every=0)


@pytest.mark.parametrize("name", ["test.mp4", "street_val_02.mp4", "test/a.mp4", "clips/val/cat/a.mp4"])
def test_the_frames_of_an_evaluation_video_are_for_evaluation(tmp_path, name):
    write_video(tmp_path / name, 2)
    write_video(tmp_path / "other.mp4", 2)
    splits = {e.locator.rpartition("#")[0]: e.split for e in open_source("video", str(tmp_path)).entries()}
    assert splits[name] in ("test", "validation") and splits["other.mp4"] is None
    alone = {entry.split for entry in open_source(*detect(str(tmp_path / name))).entries()}
    assert alone == {splits[name] if "cat" not in name else None}, "only the last folder of a source tells its split"


def test_folders_named_as_splits_of_each_other_are_no_classes(tmp_path):
    write_video(tmp_path / "clips_train" / "a.mp4", 2)
    write_video(tmp_path / "clips_val" / "b.mp4", 2)
    with pytest.raises(SourceError, match="named as splits"):
        open_source("video", str(tmp_path))


def test_a_folder_of_frames_is_a_video_and_its_pictures_stay_as_they_are(tmp_path):
    write_images(tmp_path / "val" / "walk", {".": 3}, seed=1)
    write_images(tmp_path / "run", {".": 2}, seed=2)
    source = open_source("video", str(tmp_path))
    entries = list(source.entries())
    videos = [entry.locator.rpartition("#")[0] for entry in entries]
    assert videos == ["run", "run", "val/walk", "val/walk", "val/walk"]
    assert [entry.split for entry in entries] == [None, None, "validation", "validation", "validation"]
    for entry in entries:
        assert source.read(entry.locator) == (tmp_path / entry.locator.replace("#", "/")).read_bytes()
    single = open_source("video", str(tmp_path / "run"))
    assert [e.locator.partition("#")[0] for e in single.entries()] == [".", "."]
    assert [single.read(e.locator) for e in single.entries()] == [source.read(e.locator) for e in entries[:2]]


def test_what_is_found_by_itself(tmp_path):
    write_video(tmp_path / "clips" / "a.MP4", 2)
    (tmp_path / "clips" / "notes.txt").write_text("x")
    assert detect(str(tmp_path / "clips"))[0] == "video"
    source = open_source(*detect(str(tmp_path / "clips")))
    assert len(list(source.entries())) == 2 and source.unused() == {".txt": 1}
    write_images(tmp_path / "clips", {"cat": 2})
    assert detect(str(tmp_path / "clips"))[0] == "folder"


def test_damage_costs_the_frames_that_it_hits(tmp_path):
    good = write_video(tmp_path / "good.mkv", 12)
    data = bytearray(good.read_bytes())
    (tmp_path / "cut.mkv").write_bytes(data[:-200])
    (tmp_path / "none.mp4").write_bytes(b"no video at all")
    (tmp_path / "empty.mp4").write_bytes(b"")
    source = open_source("video", str(tmp_path))
    entries = list(source.entries())
    problems = {entry.locator: entry.problem for entry in entries if entry.problem}
    assert set(problems) - {"cut.mkv"} == {"none.mp4", "empty.mp4"}
    assert problems.pop("cut.mkv", "its video is damaged after ").startswith("its video is damaged after ")
    assert all(problem.startswith("its video cannot be read: ") for problem in problems.values())
    cut = [entry.locator for entry in entries if entry.locator.startswith("cut.mkv#")]
    assert 0 < len(cut) < 12 and number_of(source.read(cut[0])) == 0
    for missing in ("good.mkv#000099", "good.mkv#x", "other.mkv#000001", "good.mkv"):
        with pytest.raises(BadImage):
            source.read(missing)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_wherever_a_file_is_damaged_it_costs_frames_and_nothing_else(tmp_path, name):
    data = write_video(tmp_path / name, 8, *KINDS[name]).read_bytes()
    random = np.random.default_rng(1)
    for turn in range(25):
        damaged = bytearray(data[: random.integers(1, len(data))] if turn % 4 == 0 else data)
        for place in random.integers(len(damaged), size=random.choice([1, 5, 50])):
            damaged[place] = random.integers(256)
        (tmp_path / name).write_bytes(damaged)
        source = open_source("video", str(tmp_path / name))
        for entry in source.entries():
            try:
                source.read(entry.locator)
            except BadImage as error:
                assert str(error)


def test_a_file_without_a_picture_stream_is_said(tmp_path):
    with av.open(str(tmp_path / "sound.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    (entry,) = open_source("video", str(tmp_path / "sound.mp4")).entries()
    assert entry.problem == "its video cannot be read: it has no video stream"


def test_the_fingerprint_changes_with_the_file(tmp_path):
    path = write_video(tmp_path / "a.mp4", 4)
    before = open_source("video", str(path)).fingerprint()
    assert before == open_source("video", str(path)).fingerprint()
    assert before != open_source("video", str(path), every=2).fingerprint()
    write_video(path, 5)
    assert before != open_source("video", str(path)).fingerprint()
