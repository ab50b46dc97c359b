"""What all formats share: the table of kinds, detection, and light imports."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from augforge.errors import AugforgeError, SourceError
from augforge.io import KINDS, Source, detect, open_source
from augforge.io.base import natural, split_name


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return str(folder)


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["cat/a.png"], "folder"),
        ([], "folder"),
        (["dataset_info.json", "state.json", "data-00000-of-00001.arrow"], "dataset"),
        (["dataset_dict.json", "train/state.json"], "dataset"),
        (["dataset_info.json", "cat/a.png"], "folder"),
        (["samples.parquet", "dataset/state.json", "parts/x"], "run"),
        (["train-00000-of-00001.parquet"], "parquet"),
        (["data/train-00000-of-00001.parquet", "README.md"], "parquet"),
        (["train/0000.parquet"], "parquet"),
    ],
)
def test_folders_are_told_apart(tmp_path, files, kind):
    where = touch(tmp_path / "source", *files) if files else str(tmp_path)
    assert detect(where) == (kind, where)


def test_files_and_names_are_told_apart(tmp_path):
    touch(tmp_path, "a.parquet", "b.PARQUET", "c.zip", "d.png")
    assert detect(str(tmp_path / "a.parquet"))[0] == detect(str(tmp_path / "b.PARQUET"))[0] == "parquet"
    assert detect("hub:owner/name") == ("hub", "owner/name")
    assert detect("sample:digits") == ("sample", "digits")
    assert detect("folder:data/x:y") == ("folder", "data/x:y")
    for name, hint in (("c.zip", "unpack"), ("d.png", "give the folder")):
        with pytest.raises(SourceError, match="no kind") as caught:
            detect(str(tmp_path / name))
        assert hint in caught.value.hint


def test_what_is_not_there_brings_a_hint(tmp_path):
    touch(tmp_path, "flowers/a.png")
    for text, hint in (
        (str(tmp_path / "flower"), "did you mean 'flowers'?"),
        ("digits", "sample:digits"),
        ("some-owner/some-name", "hub:some-owner/some-name"),
        (str(tmp_path / "xyzzy"), "check the path"),
    ):
        with pytest.raises(SourceError, match="there is no") as caught:
            detect(text)
        assert hint in caught.value.hint


def test_a_run_without_result_is_refused(tmp_path):
    with pytest.raises(SourceError, match="no result yet"):
        detect(touch(tmp_path, "parts/x", ".lock"))


def test_an_unknown_kind_is_refused():
    with pytest.raises(SourceError, match="no kind of source") as caught:
        open_source("foldr", "x")
    assert caught.value.hint == "did you mean 'folder'?"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("hub", "sample")])
def test_what_is_not_there_is_a_source_error_in_every_format(kind, tmp_path):
    for value in (str(tmp_path / "missing"), "", "\0", "x" * 5000):
        with pytest.raises(SourceError):
            open_source(kind, value)


@example("~0")
@example("/")
@example("x/" + "y" * 5000)
@given(st.text(max_size=30))
def test_any_text_is_detected_or_refused(text):
    try:
        kind, value = detect(text)
    except AugforgeError as error:
        assert isinstance(error, SourceError) and error.message and error.hint
    else:
        assert kind in KINDS and text.endswith(value)


@given(st.permutations(["a10b", "a9b", "A9b", "a09b", "", "9", "٩", "10", "a", "ß", "SS", "a9"]))
def test_natural_order_is_an_order(texts):
    assert sorted(texts, key=natural) == ["", "9", "٩", "10", "a", "a9", "A9b", "a09b", "a9b", "a10b", "SS", "ß"]


@given(st.text(max_size=12), st.text(max_size=12))
def test_natural_order_tells_any_two_texts_apart(one, other):
    assert (natural(one) == natural(other)) == (one == other)
    assert (natural(one) < natural(other)) != (natural(one) >= natural(other))


def test_natural_order_counts():
    assert sorted(["10", "2", "b2", "B10", "a", "02", "1"], key=natural) == ["1", "02", "2", "10", "a", "b2", "B10"]
    assert natural("9" * 5000) > natural("8" * 5000)


def test_splits_have_one_name():
    assert [split_name(name) for name in ("Val", "valid", "TRAIN", "eval", "extra")] == [
        "validation", "validation", "train", "test", "extra",
    ]  # fmt: skip


def test_a_source_must_say_how_it_reads():
    with pytest.raises(TypeError):
        Source()


def test_importing_the_formats_loads_nothing_heavy():
    modules = ("torch", "datasets", "PIL", "pyarrow", "numpy", "sklearn", "huggingface_hub")
    every = ", ".join(line.partition(":")[0] for line in KINDS.values())
    ask = f"import sys, {every}; print(*[m for m in {modules!r} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout.split() == []
