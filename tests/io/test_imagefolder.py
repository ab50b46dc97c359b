"""Tables beside image files: the layouts of `imagefolder`, as `datasets` reads them, and tables with faults."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from augforge.data.annotations import check_annotations
from augforge.errors import SourceError
from augforge.io import detect, open_source
from tests.bad_inputs import colours, encoded

PNGS = [encoded(colours(8, seed), "PNG") for seed in range(6)]


def pictures(root, names):
    for name, data in zip(names, PNGS, strict=False):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def read(where, kind="imagefolder"):
    found, value = detect(str(where))
    assert found == kind
    source = open_source(found, value)
    return source, list(source.entries())


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


def test_labels_and_captions_of_a_csv(tmp_path):
    pictures(tmp_path, [f"{n}.png" for n in range(6)])
    rows = "".join(f"{n}.png,{'cat' if n % 2 else 'dog'},picture {n}\n" for n in range(6))
    (tmp_path / "metadata.csv").write_text("file_name,label,caption\n" + rows)
    source, entries = read(tmp_path)
    assert source.classes() == ["cat", "dog"]
    assert [(e.locator, e.label, e.annotations) for e in entries] == [
        (f"{n}.png", "cat" if n % 2 else "dog", {"caption": f"picture {n}"}) for n in range(6)
    ]
    assert [source.read(e.locator) for e in entries] == PNGS


def by_datasets(root, split="train"):
    """File name, label and caption of every row, as `datasets` reads the folder."""
    from datasets import Image, load_dataset

    rows = load_dataset("imagefolder", data_dir=str(root), split=split, cache_dir=str(root.parent / "cache"))
    label = rows.features.get("label")
    rows = rows.cast_column("image", Image(decode=False))
    name_of = label.int2str if hasattr(label, "int2str") else str
    found = []
    for row in rows:
        name = row["image"]["path"].removeprefix(f"{root}/")
        value = None if label is None or row["label"] is None else name_of(row["label"])
        found.append((name, value, row.get("caption") or row.get("text")))
    return found


CSV = "file_name,label,text\na.png,x,first\nb.png,y,second\n"
TURNED = "file_name,label,text\nb.png,y,second\na.png,x,first\n"
OVER = "file_name,label,text\none/a.png,x,first\ntwo/b.png,y,second\n"
UNLABELLED = "file_name,text\ncat/a.png,first\ndog/b.png,second\n"
NUMBERS = "file_name,label\na.png,1\nb.png,0\n"
THIRD = "file_name,label,text\nc.png,z,third\n"
A, B = {"file_name": "a.png", "caption": "A"}, {"file_name": "b.png", "caption": "B"}
TWO = ["a.png", "b.png"]
CLASSES = ["cat/a.png", "dog/b.png"]
LAYOUTS = {
    "csv at the top": (TWO, {"metadata.csv": CSV}),
    "jsonl at the top": (TWO, {"metadata.jsonl": lines(A | {"label": "x"}, B | {"label": "y"})}),
    "a folder a split": (
        ["train/a.png", "train/b.png", "test/c.png"],
        {"train/metadata.csv": CSV, "test/metadata.csv": THIRD},
    ),
    "one file over folders": (["one/a.png", "two/b.png"], {"metadata.csv": OVER}),
    "numbers as labels": (TWO, {"metadata.csv": NUMBERS}),
    "class folders, and metadata without labels": (CLASSES, {"metadata.csv": UNLABELLED}),
    "class folders": (CLASSES, {}),
    "class folders in splits": (["train/cat/a.png", "train/dog/b.png", "test/cat/c.png"], {}),
    "another order of rows": (TWO, {"metadata.csv": TURNED}),
    "captions only": (TWO, {"metadata.jsonl": lines(A, B)}),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_as_datasets_reads_it(tmp_path, name):
    files, tables = LAYOUTS[name]
    root = pictures(tmp_path / "set", files)
    for path, text in tables.items():
        (root / path).write_text(text)
    _, entries = read(root, "imagefolder" if tables else "folder")
    ours = [(e.locator, e.label, e.annotations.get("caption")) for e in entries if e.split in (None, "train")]
    assert sorted(ours) == sorted(by_datasets(root))
    if tables and name != "another order of rows":
        assert ours == by_datasets(root)


def test_boxes_other_columns_and_their_types(tmp_path):
    pictures(tmp_path, ["a.png", "b.png"])
    objects = {"bbox": [[1, 2, 3, 4], [0, 0, 2, 2]], "categories": ["cup", "fork"], "id": [7, 8]}
    table = pa.table(
        {
            "file_name": ["a.png", "b.png"],
            "objects": [objects, {"bbox": [], "categories": [], "id": []}],
            "camera": pa.array([3, None], pa.int16()),
            "depth_file_name": ["d.png", None],
            "tags": [["wet", "night"], None],
        }
    )
    pq.write_table(table, tmp_path / "metadata.parquet")
    _, (first, second) = read(tmp_path)
    assert first.label is None and first.annotations["labels"] == ["cup", "fork"]
    assert first.annotations["boxes"] == [
        {"box": [1, 2, 4, 6], "label": "cup", "id": "7"}, {"box": [0, 0, 2, 2], "label": "fork", "id": "8"},
    ]  # fmt: skip
    assert first.annotations["extra"]["camera"] == {"type": "int16", "value": 3}
    assert first.annotations["extra"]["tags"]["value"] == ["wet", "night"]
    assert second.annotations == {"boxes": []}
    assert check_annotations(first.annotations, (8, 8))[1] == []


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("metadata.csv", "\ufefffile_name,label\na.png,kühl\n".encode()),
        ("metadata.csv", "file_name;label\na.png;kühl\n".encode()),
        ("metadata.csv", "file_name,label\r\na.png,kühl\r\n".encode("latin-1")),
        ("metadata.csv", 'file_name,label\n"a.png","kühl"\n'.encode()),
        ("metadata.jsonl", '{"file_name": "a.png", "label": "kühl"}\n\n'.encode()),
    ],
)
def test_how_people_write_tables(tmp_path, name, data):
    pictures(tmp_path, ["a.png"])
    (tmp_path / name).write_bytes(data)
    source, (entry,) = read(tmp_path)
    assert (entry.locator, entry.label, entry.problem) == ("a.png", "kühl", "")
    assert source.remarks == (["metadata.csv: it is no UTF-8: read as Latin-1"] if b"\xfc" in data else [])


def test_every_fault_costs_its_own_row(tmp_path):
    pictures(tmp_path, ["a.png", "b.png", "extra.png"])
    rows = ["a.png,x", "gone.png,x", "../secret.png,x", "b.png", "a.png,y", ",x", "b.png,z"]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,label", *rows]))
    source, entries = read(tmp_path)
    assert [(e.label, e.problem) for e in entries] == [
        ("x", ""), ("x", "missing file"), ("x", "its name leads out of the source"),
        (None, "line 5 has 1 cells, not 2"), ("y", "it is listed twice"), (None, "it has no file name"), ("z", ""),
        (None, ""),
    ]  # fmt: skip
    assert source.remarks == ["1 images are named by no metadata file: they have no label"]


def test_a_table_as_source(tmp_path):
    pictures(tmp_path, ["img/a.png", "img/b.png", "val/c.png"])
    (tmp_path / "list.tsv").write_text("path\tclass\tsplit\nimg/a.png\tx\ttrain\nimg/b.png\ty\tval\nval/c.png\tx\t\n")
    source, entries = read(tmp_path / "list.tsv", "table")
    assert [(e.label, e.split) for e in entries] == [("x", "train"), ("y", "validation"), ("x", "validation")]
    assert [source.read(e.locator) for e in entries] == PNGS[:3]
    (tmp_path / "list.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match=r"no column of list[.]csv holds the paths") as caught:
        list(open_source("table", str(tmp_path / "list.csv")).entries())
    assert "it has a, b" in caught.value.hint


def test_masks_belong_to_their_images(tmp_path):
    pictures(tmp_path, ["a.png", "m/a.png"])
    (tmp_path / "metadata.csv").write_text("file_name,mask_file_name\na.png,m/a.png\n")
    source, (entry,) = read(tmp_path)
    assert entry.pictures and source.read_picture("a.png", "mask") == PNGS[1] and source.remarks == []


def test_halves_of_surrogates_and_separators_of_lines_cost_nothing_else(tmp_path):
    pictures(tmp_path, ["a.png", "b.png", "c.png"])
    said = [
        '{"file_name": "a.png", "text": "half \\ud83d of one", "label": "x\\udc00"}',
        '{"file_name": "b.png", "text": "one\u2028line\x85still", "label": "y"}',
        '{"file_name": "c.png", "label": "z", "score": NaN}',
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(said) + "\n", encoding="utf-8")
    _, found = read(tmp_path)
    assert [entry.problem for entry in found] == ["", "", ""]
    assert [entry.label for entry in found] == ["x?", "y", "z"]
    assert found[0].annotations["caption"] == "half ? of one"
    assert found[1].annotations["caption"] == "one\u2028line\x85still"


def test_a_run_over_halves_of_surrogates_ends_well(tmp_path):
    from augforge.engine.run import run
    from augforge.recipe import Recipe, SourceSpec

    pictures(tmp_path / "set", ["a.png"])
    (tmp_path / "set" / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "\\ud800", "\\udfff": 1}\n')
    run(Recipe("x", 1, (SourceSpec("imagefolder", str(tmp_path / "set")),), ()), tmp_path / "run")


def test_a_text_of_a_parquet_table_that_is_no_utf8_costs_its_own_row(tmp_path):
    pictures(tmp_path, ["a.png", "b.png", "c.png"])
    texts = pa.array([b"ok", b"\xff", b"fine"], pa.binary())
    broken = pa.Array.from_buffers(pa.string(), 3, texts.buffers())
    pq.write_table(pa.table({"file_name": ["a.png", "b.png", "c.png"], "text": broken}), tmp_path / "metadata.parquet")
    source, found = read(tmp_path)
    assert [bool(entry.problem) for entry in found] == [False, True, False]
    assert "column 'text' cannot be read" in found[1].problem and source.remarks == []


def test_files_without_a_use_and_missing_pictures_are_said(tmp_path):
    pictures(tmp_path, ["a.png", "m/a.png"])
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "metadata.jsonl").write_text(
        lines({"file_name": "a.png", "mask_file_name": "m/a.png", "depth_file_name": "d/a.png"})
    )
    source = open_source("imagefolder", str(tmp_path))
    (entry,) = source.entries()
    assert entry.pictures.keys() == {"mask", "depth"} and source.unused() == {".txt": 1}
    assert source.remarks == ["1 picture is named and not there: d/a.png"]
