"""Hugging Face datasets on disk: what `datasets` wrote is read without it, to the byte."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Value, load_from_disk

from augforge.errors import BadImage, SourceError
from augforge.io import detect, open_source
from tests.bad_inputs import colours, encoded

PNGS = [encoded(colours(8, seed), "PNG") for seed in range(7)]
LABELS = [1, 0, 2, None, 0, -1, 2]
CLASSES = ["zebra", "10", "2", "never"]
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def made(label_type=None, labels=LABELS, **columns):
    features = {"image": Image(), "label": label_type or ClassLabel(names=CLASSES)}
    features |= {name: Value("string") for name in columns}
    rows = {"image": [{"bytes": png, "path": None} for png in PNGS], "label": labels, **columns}
    return Dataset.from_dict(rows, features=Features(features))


def save(folder, dataset, **options):
    dataset.save_to_disk(str(folder), **options)
    return str(folder)


def test_all_rows_with_the_bytes_that_were_stored(tmp_path):
    where = save(tmp_path / "d", made(), num_shards=3)
    assert detect(where) == ("dataset", where)
    source = open_source("dataset", where)
    entries = list(source.entries())
    assert [entry.label for entry in entries] == ["10", "zebra", "2", None, "zebra", None, "2"]
    assert source.classes() == CLASSES
    assert [source.read(entry.locator) for entry in entries] == PNGS
    assert entries[0].locator == "data-00000-of-00003.arrow#0" and len({e.locator for e in entries}) == 7
    assert all(e.stamp and e.carried is None and not e.problem and e.split is None for e in entries)
    stored = load_from_disk(where).cast_column("image", Image(decode=False))
    assert [row["image"]["bytes"] for row in stored] == PNGS


def test_reading_is_the_same_from_threads_and_in_any_order(tmp_path):
    source = open_source("dataset", save(tmp_path / "d", made(), num_shards=3))
    locators = [entry.locator for entry in source.entries()]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(source.read, locators[::-1] * 20)) == PNGS[::-1] * 20


def test_a_dataset_dict_has_splits(tmp_path):
    where = save(tmp_path / "d", DatasetDict(train=made(), val=made().select([2, 0])))
    source = open_source("dataset", where)
    assert [entry.split for entry in source.entries()] == ["train"] * 7 + ["validation"] * 2
    for name in ("val", "validation"):
        chosen = open_source("dataset", where, split=name)
        entries = list(chosen.entries())
        assert [entry.locator.split("/")[0] for entry in entries] == ["val", "val"]
        assert [chosen.read(entry.locator) for entry in entries] == [PNGS[2], PNGS[0]]
    with pytest.raises(SourceError, match="no split 'test'") as caught:
        open_source("dataset", where, split="test")
    assert caught.value.hint == "it has train, val"


def test_a_column_tells_the_split_too(tmp_path):
    where = save(tmp_path / "d", made(split=["train", "val"] * 3 + [None]))
    assert [e.split for e in open_source("dataset", where).entries()] == ["train", "validation"] * 3 + [None]
    assert len(list(open_source("dataset", where, split="val").entries())) == 3
    with pytest.raises(SourceError, match="no split 'test'") as caught:
        list(open_source("dataset", where, split="test").entries())
    assert caught.value.hint == "it has train, validation"


def test_text_and_numbers_are_labels(tmp_path):
    text = open_source("dataset", save(tmp_path / "t", made(Value("string"), ["b10", "b9", None, "a", "a", "a", "a"])))
    assert text.classes() == ["a", "b9", "b10"]
    assert [entry.label for entry in text.entries()][:4] == ["b10", "b9", None, "a"]
    numbers = open_source("dataset", save(tmp_path / "n", made(Value("int32"), [10, 9, None, -1, 1, 1, 1])))
    assert numbers.classes() == ["1", "9", "10", "-1"]
    assert [entry.label for entry in numbers.entries()][:4] == ["10", "9", None, "-1"]
    with pytest.raises(SourceError, match="holds no labels but float"):
        open_source("dataset", save(tmp_path / "f", made(Value("float32"), [0.5] * 7)))


def test_columns_can_be_chosen(tmp_path):
    dataset = made(kind=["x"] * 7).add_column("thumb", [b"small"] * 7)
    where = save(tmp_path / "d", dataset)
    source = open_source("dataset", where, image="thumb", label="kind")
    (first, *_) = source.entries()
    assert source.read(first.locator) == b"small" and first.label == "x"
    assert source.where != open_source("dataset", where).where, "what was found of other bytes must not be reused"
    with pytest.raises(SourceError, match="no column 'thum'") as caught:
        open_source("dataset", where, image="thum")
    assert caught.value.hint == "did you mean 'thumb'?"
    with pytest.raises(SourceError, match="holds no images but string"):
        open_source("dataset", where, image="kind")


def test_a_dataset_without_images_or_with_two_label_columns_is_refused(tmp_path):
    plain = Dataset.from_dict({"text": ["a"]})
    with pytest.raises(SourceError, match="no column holds images") as caught:
        open_source("dataset", save(tmp_path / "text", plain))
    assert caught.value.hint == "it has text"
    both = made().rename_column("label", "fine").add_column("coarse", [0] * 7)
    both = both.cast_column("coarse", ClassLabel(names=["all"]))
    with pytest.raises(SourceError, match="several label columns: fine, coarse"):
        open_source("dataset", save(tmp_path / "both", both))


def test_rows_without_images_are_known_beforehand(tmp_path):
    cells = [{"bytes": PNGS[0], "path": None}, None, {"bytes": None, "path": None}, {"bytes": b"", "path": None}]
    source = open_source("dataset", write_arrow(tmp_path / "d", pa.table({"image": pa.array(cells, IMAGE)})))
    entries = list(source.entries())
    assert [entry.problem for entry in entries] == ["", "no image in this row", "no image in this row", ""]
    with pytest.raises(BadImage, match="no image in this row"):
        source.read(entries[1].locator)
    assert source.read(entries[3].locator) == b""


def write_arrow(folder, table):
    folder.mkdir()
    with pa.OSFile(str(folder / "data.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))
    (folder / "dataset_info.json").write_text("{}")
    return str(folder)


def test_a_path_without_bytes_is_read_if_it_is_there_and_in_the_source(tmp_path):
    cells = [{"bytes": None, "path": path} for path in ("a.png", "gone.png", str(tmp_path / "b.png"))]
    where = write_arrow(tmp_path / "d", pa.table({"image": pa.array(cells, IMAGE)}))
    (tmp_path / "d" / "a.png").write_bytes(b"a")
    (tmp_path / "b.png").write_bytes(b"b")
    source = open_source("dataset", where)
    near, gone, far = source.entries()
    assert source.read(near.locator) == b"a"
    with pytest.raises(BadImage, match="its path leads out of the source"):
        source.read(far.locator)
    with pytest.raises(BadImage, match="missing file"):
        source.read(gone.locator)


def test_a_label_without_a_name_is_a_problem_of_its_row(tmp_path):
    info = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["a", "b"]}}}}
    table = pa.table({"image": [b"x"] * 3, "label": [0, 7, 1]})
    where = write_arrow(tmp_path / "d", table.replace_schema_metadata({"huggingface": json.dumps(info)}))
    assert [(e.label, e.problem) for e in open_source("dataset", where).entries()] == [
        ("a", ""), (None, "label 7 has no name among the 2 classes"), ("b", ""),
    ]  # fmt: skip


def test_names_that_are_declared_for_texts_are_not_used(tmp_path):
    info = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["a", "b"]}}}}
    table = pa.table({"image": [b"x"] * 2, "label": ["dog", "cat"]})
    where = write_arrow(tmp_path / "d", table.replace_schema_metadata({"huggingface": json.dumps(info)}))
    source = open_source("dataset", where)
    assert source.classes() == ["cat", "dog"] and [e.label for e in source.entries()] == ["dog", "cat"]


def test_chosen_rows_have_to_be_flattened_first(tmp_path):
    where = save(tmp_path / "d", made())
    state = json.loads((tmp_path / "d" / "state.json").read_text())
    (tmp_path / "d" / "state.json").write_text(json.dumps(state | {"_indices_data_files": [{"filename": "i.arrow"}]}))
    with pytest.raises(SourceError, match="indices file") as caught:
        open_source("dataset", where)
    assert "flatten_indices" in caught.value.hint


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "text", "state"])
def test_damage_is_a_source_error(tmp_path, damage):
    where = save(tmp_path / "d", made())
    file = tmp_path / "d" / "data-00000-of-00001.arrow"
    if damage == "gone":
        file.unlink()
    elif damage == "state":
        (tmp_path / "d" / "state.json").write_text("{")
    else:
        file.write_bytes({"empty": b"", "cut": file.read_bytes()[:700], "text": b"hello" * 99}[damage])
    with pytest.raises(SourceError, match="missing or damaged"):
        open_source("dataset", where)


def test_rows_of_augforge_carry_their_history(tmp_path):
    made_by = {
        "generator": "augmented-conditioning", "stage": "1 generate", "seed": 7, "lam": 0.25, "digest": "d" * 64,
        "parents": [{"id": "p1", "digest": "x", "source": "folder f: a.png"}],
    }  # fmt: skip
    real = {"source": "folder f: a.png", "digest": "e" * 64, "note": "palette"}
    provenance = [json.dumps(made_by), json.dumps(real), "not json", None, "[]", json.dumps(real), json.dumps(real)]
    columns = {
        "id": ["1" * 20, "2" * 20, "3" * 20, "4" * 20, "5" * 20, "../no-id", "6" * 20],
        "origin": ["synthetic", "real", "real", "real", "real", "real", "other"],
        "provenance": provenance,
    }
    dataset = made(**columns).add_column("weight", [2.0] * 7)
    dataset = dataset.add_column("scores", [{"clip": 0.5, "sharpness": None}] * 7)
    entries = list(open_source("dataset", save(tmp_path / "d", dataset)).entries())
    assert dict(entries[0].carried) == {
        "id": "1" * 20, "origin": "synthetic", "weight": 2.0, "scores": {"clip": 0.5}, "parents": ["p1"],
        "stage": "1 generate", "seed": 7, "digest": "d" * 64,
        "sampled_params": {"generator": "augmented-conditioning", "lam": 0.25},
    }  # fmt: skip
    assert dict(entries[1].carried) == {
        "id": "2" * 20, "origin": "real", "weight": 2.0, "scores": {"clip": 0.5}, "parents": [],
        "sampled_params": {}, **real,
    }  # fmt: skip
    assert [entry.carried for entry in entries[2:]] == [None] * 5
