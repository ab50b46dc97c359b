"""Files of an export are called as in the source where no other is; what cannot be is resolved alike and said."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.engine.run import run
from augforge.io import detect, open_source
from augforge.io.webdataset import WebDatasetWriter
from augforge.io.writing import safe_name
from augforge.publish.export import export
from augforge.publish.names import original_name, unique_names
from augforge.recipe import Recipe, SourceSpec
from tests.conftest import write_images
from tests.publish.runs import picture
from tests.publish.test_formats import FORMATS


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("folder data/birds: cat/IMG_0001.JPG", ("IMG_0001", "JPG")),
        ("folder data/birds: loose.png", ("loose", "png")),
        ("folder a: b: x.jpg", ("b: x", "jpg")),
        ("folder data: cat/a.tar.gz.webp", ("a.tar.gz", "webp")),
        ("parquet data.parquet: data.parquet#12", ("", "")),
        ("dataset d: train/data-00000-of-00001.arrow#3", ("", "")),
        ("webdataset w: train-00000.tar#deep/0007", ("0007", "")),
        ("folder x: .png", ("", "")),
        ("", ("", "")),
    ],
)
def test_a_name_is_that_of_the_file(source, found):
    assert original_name(source) == found


def test_alike_names_get_their_ids_whatever_the_order():
    rows = [("a", "1" * 20, "x"), ("A", "2" * 20, "x"), ("b", "3" * 20, "x"), ("a", "4" * 20, "y"), ("", "5" * 20, "x")]
    wanted = {"1": "a-11111111", "2": "A-22222222", "3": "b", "4": "a", "5": "5" * 20}
    for order in itertools.permutations(rows):
        names = unique_names(*map(list, zip(*order, strict=True)), safe_name)
        assert {identity[0]: name for (_, identity, _), name in zip(order, names, strict=True)} == wanted


@given(st.lists(st.sampled_from(["a", "A", "a-00000000", "a-11111111", "", "0" * 20, "1.2", "1_2", "con"]), max_size=9))
def test_no_two_names_are_alike(wanted):
    ids = [f"{number:020d}" if number % 2 else f"1111111{number}{number:012d}" for number in range(len(wanted))]
    for safe in (safe_name, WebDatasetWriter.safe):
        names = unique_names(wanted, ids, [0] * len(wanted), safe)
        assert len({name.casefold() for name in names}) == len(names)


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two folders; both have cat/one.jpeg, and two of the names differ in capitals."""
    folder = tmp_path_factory.mktemp("named")
    files = {
        "a/cat/one.jpeg": "JPEG", "a/cat/two.v1.PNG": "PNG", "a/dog/one.jpeg": "JPEG", "a/dog/three.png": "JPEG",
        "b/cat/one.jpeg": "JPEG", "b/cat/TWO.V1.png": "PNG", "b/dog/four.png": "PNG", "b/dog/con.png": "PNG",
    }  # fmt: skip
    for number, (name, kind) in enumerate(files.items()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture(number, kind))
    specs = tuple(SourceSpec("folder", str(folder / name)) for name in "ab")
    run(Recipe("named", 0, specs, ()), folder / "run", device="cpu")
    return folder / "run"


def test_a_folder_keeps_the_names_that_are_alone_in_their_class(named, tmp_path):
    done = export(named, "folder", tmp_path / "out")
    files = {path.relative_to(tmp_path / "out" / "train").as_posix() for path in (tmp_path / "out").rglob("*/*/*.*")}
    assert {"dog/one.jpeg", "dog/three.jpg", "dog/four.png"} < files
    assert "cat/one.jpeg" not in files and sum(name.startswith("cat/one-") for name in files) == 2
    assert sum(name.lower().startswith("cat/two.v1-") for name in files) == 2
    assert done.renamed == 5, "two of one name, two that differ in capitals, and one that Windows cannot have"


@pytest.mark.parametrize("to", FORMATS)
def test_names_do_not_depend_on_the_order_and_images_come_back(named, tmp_path, to):
    export(named, to, tmp_path / "out")
    specs = tuple(SourceSpec("folder", str(named.parent / name)) for name in "ba")
    run(Recipe("named", 0, specs, ()), tmp_path / "run", device="cpu")
    export(tmp_path / "run", to, tmp_path / "other")
    first, other = (
        {e.carried["id"]: source.read(e.locator) for e in source.entries()}
        for source in (open_source(*detect(str(tmp_path / name))) for name in ("out", "other"))
    )
    assert first == other and len(first) == 8
    if to in ("folder", "coco"):
        names = [sorted(p.name for p in (tmp_path / n).rglob("*.*") if p.suffix != ".json") for n in ("out", "other")]
        assert names[0] == names[1]


def test_one_folder_for_all_classes_tells_more_names_apart(named, tmp_path):
    assert export(named, "coco", tmp_path / "coco").renamed == 6
    names = {path.name for path in (tmp_path / "coco" / "images" / "train").iterdir()}
    assert {"three.jpg", "four.png"} < names and sum(name.startswith("one-") for name in names) == 3


def test_a_webdataset_keeps_names_without_their_dots(named, tmp_path):
    import tarfile

    export(named, "webdataset", tmp_path / "out")
    with tarfile.open(tmp_path / "out" / "train-00000-of-00001.tar") as tar:
        names = {name.partition(".")[0] for name in tar.getnames()}
    assert {"three", "four"} < names and len(names) == 8


def test_tables_tell_the_names_too(named, tmp_path):
    import pyarrow.parquet as pq

    export(named, "parquet", tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "data" / "train-00000-of-00001.parquet")
    paths = [cell["path"] for cell in table.column("image").to_pylist()]
    assert {"three.jpg", "four.png"} < set(paths) and len(set(paths)) == 8


def test_private_exports_have_ids_for_names(named, tmp_path):
    done = export(named, "folder", tmp_path / "out", private=True)
    names = {path.stem for path in (tmp_path / "out" / "train").rglob("*/*.*")}
    assert done.renamed == 0 and all(len(name) == 20 for name in names)


def test_what_was_renamed_is_said_and_kept_in_the_manifest(named, tmp_path):
    from tests.cli.test_cli import call

    said = call("export", named, "--to", "folder", "--out", tmp_path / "out").stdout
    assert "5 files could not keep their names" in " ".join(said.split())
    assert json.loads((tmp_path / "out" / "export.json").read_text())["renamed"] == 5
    assert export(named, "folder", tmp_path / "fresh").renamed == 5
    assert export(named, "folder", tmp_path / "fresh").renamed == 5, "also when everything was there"


def test_names_survive_a_chain_of_runs_and_exports(tmp_path):
    folder = write_images(tmp_path / "set", {"cat": 2, "dog": 2})
    run(Recipe("x", 0, (SourceSpec("folder", str(folder)),), ()), tmp_path / "one", device="cpu")
    export(tmp_path / "one", "parquet", tmp_path / "table")
    run(Recipe("y", 0, (SourceSpec("parquet", str(tmp_path / "table")),), ()), tmp_path / "two", device="cpu")
    assert export(tmp_path / "two", "folder", tmp_path / "out").renamed == 0
    wanted = {path.relative_to(folder) for path in folder.rglob("*.png")}
    assert {path.relative_to(tmp_path / "out" / "train") for path in (tmp_path / "out").rglob("*.png")} == wanted
