"""WebDataset archives, of others and hostile ones; what augforge writes is tested with the exports."""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from augforge.errors import BadImage, SourceError
from augforge.io import detect, members, open_source
from tests.bad_inputs import colours, encoded

PNGS = [encoded(colours(8, seed), "PNG") for seed in range(4)]


def write(path, members, **options):
    """A tar archive of (name or TarInfo, bytes)."""
    with tarfile.open(path, "w", **options) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name) if isinstance(name, str) else name
            member.size = len(data) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(data))
    return path


def linked(name, target, kind=tarfile.SYMTYPE):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_archives_of_others(tmp_path):
    write(
        tmp_path / "train-0.tar", [("a/1.png", PNGS[0]), ("a/1.cls", b"7"), ("a/2.jpg", PNGS[1]), ("a/2.cls", b"cat\n")]
    )
    write(
        tmp_path / "val-0.tar",
        [("3.png", PNGS[2]), ("3.json", b'{"label": "dog"}'), ("4.png", PNGS[3]), ("4.txt", b"x")],
    )
    kind, value = detect(str(tmp_path))
    source = open_source(kind, value)
    entries = list(source.entries())
    assert kind == "webdataset" and source.classes() == ["7", "cat", "dog"]
    assert [(e.locator, e.label, e.split) for e in entries] == [
        ("train-0.tar#a/1", "7", "train"), ("train-0.tar#a/2", "cat", "train"),
        ("val-0.tar#3", "dog", "validation"), ("val-0.tar#4", None, "validation"),
    ]  # fmt: skip
    assert [source.read(e.locator) for e in entries] == PNGS
    assert [e.locator for e in open_source(kind, value, split="val").entries()] == ["val-0.tar#3", "val-0.tar#4"]
    assert detect(str(tmp_path / "val-0.tar")) == ("webdataset", str(tmp_path / "val-0.tar"))
    with pytest.raises(BadImage, match="there is no image"):
        source.read("train-0.tar#nothing")
    with pytest.raises(BadImage, match="there is no image"):
        source.read("../other.tar#1")


def test_masks_and_several_images_of_a_name(tmp_path):
    write(tmp_path / "x.tar", [("1.png", PNGS[0]), ("1.mask.png", PNGS[1]), ("2.png", PNGS[2]), ("2.jpg", PNGS[3])])
    source = open_source("webdataset", str(tmp_path / "x.tar"))
    first, second, extra = source.entries()
    assert source.read_picture(first.locator, "mask") == PNGS[1] and not second.pictures
    assert extra.problem == "there is another image of its name"
    with pytest.raises(BadImage):
        source.read_picture(second.locator, "mask")


HOSTILE = {
    "dots": ("../../evil.png", "leads out"),
    "dots within": ("a/../../evil.png", "leads out"),
    "absolute": ("/tmp/evil.png", "leads out"),
    "backslashes": ("..\\evil.png", "leads out"),
    "drive": ("C:/evil.png", "leads out"),
    "symlink": (linked("link.png", "/etc/passwd"), "a link"),
    "hard link": (linked("hard.png", "good.png", tarfile.LNKTYPE), "a link"),
    "device": (linked("dev.png", "", tarfile.CHRTYPE), "a link, a device"),
    "pipe": (linked("pipe.png", "", tarfile.FIFOTYPE), "a link, a device"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_member_costs_its_row_with_the_reason(tmp_path, name):
    member, words = HOSTILE[name]
    path = write(tmp_path / "x.tar", [("good.png", PNGS[0]), (member, PNGS[1]), ("fine.png", PNGS[2])])
    source = open_source("webdataset", str(path))
    entries = list(source.entries())
    assert [source.read(entry.locator) for entry in entries if not entry.problem] == [PNGS[0], PNGS[2]]
    (refused,) = [entry for entry in entries if entry.problem]
    assert words in refused.problem
    with pytest.raises(BadImage):
        source.read(refused.locator)
    assert [p.name for p in tmp_path.iterdir()] == ["x.tar"]


def test_a_huge_member_is_refused_without_reading_it(tmp_path, monkeypatch):
    monkeypatch.setattr(members, "LARGEST", 1000)
    path = write(tmp_path / "x.tar", [("1.png", PNGS[0]), ("2.png", b"\0" * 1001)])
    entries = list(open_source("webdataset", str(path)).entries())
    assert [entry.problem for entry in entries] == ["", "1,001 bytes, over 1,000"]


def test_a_size_that_is_a_lie_and_a_truncated_archive(tmp_path):
    path = write(tmp_path / "x.tar", [("1.png", PNGS[0]), ("2.png", PNGS[1])])
    whole = path.read_bytes()
    path.write_bytes(whole[: 512 + 512 + 512 + 20])
    source = open_source("webdataset", str(path))
    first, *others = source.entries()
    assert source.read(first.locator) == PNGS[0]
    for entry in others:
        if not entry.problem:
            with pytest.raises(BadImage, match="truncated"):
                source.read(entry.locator)
    assert others


WRONG = (
    b"{",
    b"[" * 100_000,
    b'{"label": {"a": 1}}',
    b'{"label": NaN}',
    b"\xff\xfe",
    b"[]",
    b'{"id": 1, "origin": 2, "provenance": 3}',
    b'{"id": "11111111111111111111", "origin": "synthetic", "provenance": "' + b"[" * 50_000 + b'"}',
    json.dumps(
        {"id": "11111111111111111111", "origin": "real", "provenance": '{"parents": [[]], "seed": "x"}'}
    ).encode(),
    json.dumps(
        {"id": "11111111111111111111", "origin": "real", "provenance": '{"seed": 1e999, "stage": []}', "weight": "x"}
    ).encode(),
)


@pytest.mark.parametrize("record", WRONG)
def test_a_hostile_record_costs_what_it_says_and_no_more(tmp_path, record):
    path = write(tmp_path / "x.tar", [("1.png", PNGS[0]), ("1.json", record)])
    source = open_source("webdataset", str(path))
    (entry,) = source.entries()
    assert source.read(entry.locator) == PNGS[0] and entry.label in (None, "nan")


def test_a_record_with_wrong_types_goes_through_a_run(tmp_path):
    from augforge.engine.run import run
    from augforge.recipe import Recipe, SourceSpec, build_stage

    made = {"seed": "no number", "stage": 3, "source": [], "note": None, "parents": [{"id": 5}], "draw": {"deep": [1]}}
    record = {"id": "1" * 20, "origin": "synthetic", "provenance": json.dumps(made), "label": "a/b", "split": "../y"}
    other = json.dumps(record | {"id": "../x"}).encode()
    members = [("1.png", PNGS[0]), ("1.json", json.dumps(record).encode()), ("2.png", PNGS[1]), ("2.json", other)]
    path = write(tmp_path / "x.tar", members)
    stage = build_stage("filter", "sharpness", {"keep": 1.0})
    assert run(Recipe("r", 1, (SourceSpec("webdataset", str(path)),), (stage,)), tmp_path / "run").kept == 2


def test_no_archives_or_not_one_is_an_error_with_a_way_out(tmp_path):
    with pytest.raises(SourceError, match="no archives"):
        open_source("webdataset", str(tmp_path))
    (tmp_path / "x.tar").write_bytes(b"this is no archive" * 100)
    (entry,) = open_source("webdataset", str(tmp_path)).entries()
    assert entry.problem.startswith("its archive is damaged")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_archives_with_wrong_bytes_never_crash(tmp_path, data):
    path = write(tmp_path / "x.tar", [("1.png", PNGS[0]), ("1.json", b'{"label": "a"}'), ("2.png", PNGS[1])])
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, 2600))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    source = open_source("webdataset", str(path))
    for entry in source.entries():
        if not entry.problem:
            with suppress(BadImage):
                source.read(entry.locator)
