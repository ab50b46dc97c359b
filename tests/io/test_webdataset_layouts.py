"""WebDataset as people publish it: compressed, in split folders, as lists, with several pictures and junk."""

from __future__ import annotations

import gzip
import io
import json
import random
import subprocess
import sys
import tarfile

import pyarrow as pa
import pytest

from augforge.errors import SourceError
from augforge.io import archives, detect, open_source
from augforge.io.braces import expanded
from augforge.io.columns import file_split
from augforge.io.understood import understanding, understood
from tests.bad_inputs import colours, encoded

PNGS = [encoded(colours(8, seed), "PNG") for seed in range(6)]
JUNK = b"\0\x05\x16\x07\0\x02\0\0" + bytes(100)


def tar(members):
    """The bytes of an archive of (name, bytes)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def pictures(numbers, label=None):
    for number in numbers:
        yield f"{number}.png", PNGS[number]
        if label is not None:
            yield f"{number}.cls", str(label).encode()


def write(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed(path.name, tar(members)))
    return path


def packed(name, data):
    if name.endswith(".zst"):
        return pa.compress(data, codec="zstd", asbytes=True)
    if name.endswith("gz"):
        return gzip.compress(data, 1)
    if name.endswith("bz2"):
        import bz2

        return bz2.compress(data)
    if name.endswith("xz"):
        import lzma

        return lzma.compress(data)
    return data


def opened(path, **options):
    kind, value = detect(str(path))
    assert kind == "webdataset"
    return open_source(kind, value, **options)


def told_of(source):
    told = understood(source)
    return list(understanding(source, told)), told


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.bz2", ".tar.xz"])
def test_a_compressed_archive_is_read_as_one_that_is_not(tmp_path, suffix):
    write(tmp_path / f"set{suffix}", pictures(range(6), label=1))
    for place in (tmp_path, tmp_path / f"set{suffix}"):
        source = opened(place)
        entries = list(source.entries())
        assert [(e.label, e.problem) for e in entries] == [("1", "")] * 6
        order = list(range(6))
        random.Random(0).shuffle(order)
        assert [source.read(entries[number].locator) for number in order] == [PNGS[number] for number in order]


def test_several_streams_in_one_file_are_one_archive(tmp_path):
    data = tar(pictures(range(3)))
    half = len(data) // 2
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(data[:half]) + gzip.compress(data[half:]))
    (tmp_path / "y.tar.zst").write_bytes(packed("a.zst", data[:half]) + packed("a.zst", data[half:]))
    source = opened(tmp_path)
    assert [source.read(e.locator) for e in source.entries()] == PNGS[:3] * 2


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.zst", ".tar.bz2", ".tar.xz"])
def test_a_truncated_archive_keeps_what_comes_before(tmp_path, suffix):
    data = tar([("0.png", PNGS[0]), ("1.png", random.Random(0).randbytes(3_000_000)), ("2.png", PNGS[2])])
    whole = packed(suffix, data)
    (tmp_path / f"x{suffix}").write_bytes(whole[: len(whole) // 2])
    source = opened(tmp_path)
    entries = list(source.entries())
    problems = [entry.problem for entry in entries]
    if suffix in (".tar.gz", ".tar.zst"):  # the others unpack in large blocks
        assert source.read(entries[0].locator) == PNGS[0]
    assert sum(problem.startswith("its archive is damaged") for problem in problems) == 1


def test_unpacked_archives_make_room_for_others(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_KEPT", 1)
    for number in range(3):
        write(tmp_path / f"{number}.tar.gz", pictures([number]))
    source = opened(tmp_path)
    entries = list(source.entries())
    assert [source.read(e.locator) for e in [*entries, *reversed(entries)]] == [*PNGS[:3], *PNGS[2::-1]]
    assert len(source._archives._unpacked) == 1


def test_a_disk_without_room_is_an_error_with_a_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "SPARE", 1 << 60)
    write(tmp_path / "x.tar.gz", pictures([0]))
    with pytest.raises(SourceError, match="no room") as raised:
        list(opened(tmp_path).entries())
    assert "TMPDIR" in raised.value.hint


READ = """
import resource, sys
from augforge.io import detect, open_source
source = open_source(*detect(sys.argv[1]))
import gzip, pyarrow
limit = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + (96 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print([len(source.read(entry.locator)) for entry in source.entries()])
"""


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.zst"])
def test_an_archive_is_never_in_memory_as_a_whole(tmp_path, suffix):
    write(tmp_path / f"x{suffix}", [("0.png", PNGS[0]), ("big.bin", bytes(400 << 20)), ("1.png", PNGS[1])])
    found = subprocess.run([sys.executable, "-c", READ, str(tmp_path)], capture_output=True, text=True, check=False)
    assert found.stdout.strip() == str([len(PNGS[0]), len(PNGS[1])]), found.stderr[-500:]


def test_lists_in_braces(tmp_path):
    assert expanded("s-{08..10}.tar") == ["s-08.tar", "s-09.tar", "s-10.tar"]
    assert expanded("{a,b}/{1..2}.tar") == ["a/1.tar", "a/2.tar", "b/1.tar", "b/2.tar"]
    assert expanded("a.tar::b{0..1}.tar") == ["a.tar", "b0.tar", "b1.tar"]
    assert expanded("{2..0}{x}") == ["2{x}", "1{x}", "0{x}"]
    with pytest.raises(SourceError, match="over 100,000 files"):
        expanded("{0..99999999}")
    for number in (8, 9):
        write(tmp_path / "train" / f"s-{number:02d}.tar.gz", pictures([number - 8]))
    write(tmp_path / "val" / "s-08.tar.gz", pictures([2]))
    source = opened(f"{tmp_path}/{{train,val}}/s-{{08..09}}.tar.gz")
    assert [(e.locator, e.split, e.problem) for e in source.entries()] == [
        ("train/s-08.tar.gz#0", "train", ""), ("train/s-09.tar.gz#1", "train", ""),
        ("val/s-08.tar.gz#2", "validation", ""), ("val/s-09.tar.gz", "validation", "missing file"),
    ]  # fmt: skip
    with pytest.raises(SourceError, match="none of the files"):
        opened(f"{tmp_path}/nothing-{{0..3}}.tar")


EVALUATION = {
    "val/0.tar": "0",
    "data/en/val/x-0.tar.gz": "0",
    "train/x-val-0.tar": "0",
    "all.tar": "val/0",
    "train-0.tar": "deep/val/cats/0",
    "everything.tar": "val_0",
}


@pytest.mark.parametrize("name", EVALUATION)
def test_an_evaluation_split_is_one_wherever_it_is_named(tmp_path, name):
    stem = EVALUATION[name]
    write(tmp_path / name, [(f"{stem}.png", PNGS[0]), (f"{stem}.cls", b"0")])
    (entry,) = opened(tmp_path).entries()
    assert entry.split == "validation"


def test_the_rule_of_datasets_alone_would_leak():
    wrong = [name for name, stem in EVALUATION.items() if file_split(name) != "validation"]
    assert wrong == ["all.tar", "train-0.tar", "everything.tar"]


def test_what_a_mac_and_tar_leave_is_passed_over(tmp_path):
    members = [(f"./._{name}", JUNK) for name, _ in pictures(range(2), label=0)]
    members += [(f"./{name}", data) for name, data in pictures(range(2), label=0)]
    members += [("__MACOSX/0.png", JUNK), ("PaxHeaders.12/0.png", b"28 mtime=1\n"), (".DS_Store", b"x")]
    write(tmp_path / "x.tar", members)
    entries, told = told_of(opened(tmp_path))
    assert [(e.locator, e.label, e.problem) for e in entries] == [("x.tar#0", "0", ""), ("x.tar#1", "0", "")]
    assert not told.unused


def test_a_second_picture_of_a_sample_goes_with_the_image(tmp_path):
    write(tmp_path / "x.tar", [("0.depth.png", PNGS[0]), ("0.jpg", PNGS[1]), ("0.seg.png", PNGS[2])])
    source = opened(tmp_path)
    (entry,) = source.entries()
    assert source.read(entry.locator) == PNGS[1] and source.read_picture(entry.locator, "mask") == PNGS[2]
    assert set(entry.pictures) == {"mask", "depth"} and source.read_picture(entry.locator, "depth") == PNGS[0]
    assert entry.annotations == {}


@pytest.mark.parametrize("names", [("0.depth.png", "0.rgb.png"), ("0.rgb.png", "0.depth.png")])
def test_the_image_is_the_one_that_is_named_as_it(tmp_path, names):
    write(tmp_path / "x.tar", [(name, PNGS[number]) for number, name in enumerate(names)])
    source = opened(tmp_path)
    (entry,) = source.entries()
    assert source.read(entry.locator) == PNGS[names.index("0.rgb.png")] and not entry.problem


def test_of_pictures_that_nobody_can_tell_apart_one_counts(tmp_path):
    write(tmp_path / "x.tar", [("0.5a.png", PNGS[0]), ("0.5b.png", PNGS[1])])
    assert [e.problem for e in opened(tmp_path).entries()] == ["", "there is another image of its name"]


def test_captions_records_and_boxes(tmp_path):
    record = {"caption": "a dog", "objects": {"bbox": [[1, 2, 3, 4]], "category": ["dog"]}, "url": "x", "width": 8}
    members = [("0.png", PNGS[0]), ("0.json", json.dumps(record).encode()), ("0.txt", b"another text")]
    members += [("1.png", PNGS[1]), ("1.txt", b"a cat\n"), ("1.json", b'{"labels": ["cat", "pet"]}')]
    write(tmp_path / "x.tar", members)
    source = opened(tmp_path)
    first, second = source.entries()
    assert first.label == "dog" and first.annotations == {
        "caption": "a dog",
        "boxes": [{"box": [1, 2, 4, 6], "label": "dog"}],
        "extra": {
            "url": {"type": "string", "value": "x"},
            "width": {"type": "int64", "value": 8},
            "txt": {"type": "string", "value": "another text"},
        },
    }
    assert second.label is None and second.annotations == {"caption": "a cat", "labels": ["cat", "pet"]}
    assert source.classes() == ["cat", "dog", "pet"]


def test_numbers_have_the_names_of_a_list_of_classes(tmp_path):
    (tmp_path / "classnames.txt").write_text("zebra\nant\n")
    write(tmp_path / "test" / "0.tar", [*pictures([0], label=0), *pictures([1], label=1)])
    entries, told = told_of(source := opened(tmp_path))
    assert source.classes() == ["zebra", "ant"] and [e.label for e in entries] == ["zebra", "ant"]
    assert told.splits == {"test": 2} and not told.unused


def test_what_is_not_used_is_said(tmp_path):
    members = [*pictures([0]), ("0.wav", b"x"), ("1.wav", b"x"), ("LICENSE", b"x"), ("7.cls", b"3"), ("7.txt", b"x")]
    write(tmp_path / "x.tar", members)
    (tmp_path / "sizes.csv").write_text("a,b")
    entries, told = told_of(opened(tmp_path))
    assert len(entries) == 1 and dict(told.unused) == {".wav": 2, "LICENSE": 1, ".csv": 1}
    assert told.notes[0] == "1 sample has no image: x.tar#7" and "no image has a label" in told.notes[1]


def test_archives_beside_pictures_make_no_webdataset(tmp_path):
    write(tmp_path / "images.tar.gz", pictures([0]))
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "0.png").write_bytes(PNGS[0])
    assert detect(str(tmp_path))[0] == "folder"


@pytest.mark.parametrize("record", ['{"v": NaN}', '{"v": 1e999}', '{"caption": "\\ud800"}', '{"label": "\\ud800"}'])
def test_a_record_that_cannot_be_written_again_goes_through_a_run(tmp_path, record):
    from augforge.engine.run import run
    from augforge.recipe import Recipe, SourceSpec, build_stage

    members = [*pictures(range(2)), ("0.json", record.encode()), ("1.json", b'{"v": 1}')]
    path = write(tmp_path / "x.tar", members)
    stage = build_stage("filter", "sharpness", {"keep": 1.0})
    assert run(Recipe("r", 1, (SourceSpec("webdataset", str(path)),), (stage,)), tmp_path / "run").kept == 2
