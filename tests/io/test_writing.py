"""Names that are safe on every disk, and files that are there whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from augforge.errors import StoreError
from augforge.io.writing import Outlet, inside, safe_name, safe_names, split_file_name, suffix_of
from tests.bad_inputs import colours, encoded

HOSTILE = ("../../x", "/etc/passwd", "a/b", "a\\b", "..", ".", "", " ", ".hidden", "con", "NUL.txt", "a\0b", "a\nb",
           "x" * 500, "é" * 200, "masks", "Train", "C:\\x", "a:b", "-rf", "a.", "‮gpj.exe", "\ud800")  # fmt: skip


@given(st.text())
@example("cat")
@example("../../x")
@example("METADATA.0")
def test_a_safe_name_is_one_part_of_a_path(text):
    name = safe_name(text)
    assert PurePosixPath(name).name == name and name not in ("", ".", "..")
    assert not set(name) & set('/\\\0\n:*?"<>|') and len(name.encode()) <= 80
    assert name == name.strip(" .") and not name.startswith("-")
    assert safe_name(name) == name or name == text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_become_others(text):
    assert safe_name(text) != text


@pytest.mark.parametrize("text", ["cat", "Tench (fish)", "n01440764", "größe", "a b", "a+b=c"])
def test_harmless_names_stay(text):
    assert safe_name(text) == text


@given(st.lists(st.text(max_size=6), unique=True))
@example(["a", "A"])
@example(["a/b", "a_b", "a\\b"])
@example(["ẞ", "ß", "SS"])
def test_no_two_labels_share_a_name(texts):
    names = safe_names(texts)
    assert list(names) == texts and len({name.casefold() for name in names.values()}) == len(texts)


@given(st.text(min_size=1))
def test_split_names_are_words(split):
    assert split_file_name(split).replace("_", "").isalnum() and split_file_name(split).isascii()
    assert split_file_name(None) == "train" and split_file_name("holdout") == "holdout"


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "", "a\\..\\x", "x\0"])
def test_nothing_is_written_outside(tmp_path, name):
    with pytest.raises(ValueError, match="leads out"):
        inside(tmp_path, name)
    with pytest.raises(ValueError, match="leads out"):
        Outlet(tmp_path / "out").put(name, b"x")


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    outlet = Outlet(tmp_path)
    outlet.put("a/b.txt", b"whole")
    assert outlet.files == {"a/b.txt": (5, hashlib.sha256(b"whole").hexdigest())}
    with pytest.raises(RuntimeError), outlet.open("a/c.txt") as file:
        file.write(b"half")
        raise RuntimeError
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "a" / "b.txt"]


def test_files_that_are_put_together_appear_together(tmp_path):
    outlet = Outlet(tmp_path)
    with outlet.together():
        outlet.put("a/1.txt", b"one")
        outlet.put("2.txt", b"two")
        assert not (tmp_path / "a").exists() and not (tmp_path / "2.txt").exists()
    assert (tmp_path / "a" / "1.txt").read_bytes() == b"one" and outlet.files["2.txt"][0] == 3
    with pytest.raises(RuntimeError), outlet.together():
        outlet.put("3.txt", b"three")
        raise RuntimeError
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"1.txt", "2.txt"}


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "a").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="cannot be written"):
        Outlet(tmp_path).put("a/b.txt", b"x")


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("PNG", "png"),
        ("JPEG", "jpg"),
        ("WEBP", "webp"),
        ("GIF", "gif"),
        ("BMP", "bmp"),
        ("TIFF", "tif"),
        ("PPM", "ppm"),
    ],
)
def test_the_suffix_is_that_of_the_bytes(kind, suffix):
    from augforge.io.tree import SUFFIXES

    assert suffix_of(encoded(colours(8, 0), kind)) == suffix and suffix in SUFFIXES
    assert suffix_of(b"what is this?") == "png"
