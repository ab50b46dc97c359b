"""Tables of images as people have them: paths, lists, shares, boxes, Hive folders, Arrow files, and damaged ones."""

from __future__ import annotations

import datetime
import decimal
import json

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, List, Sequence, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.data.annotations import KINDS, annotation_features, check_annotations, dump_annotations
from augforge.errors import BadImage, SourceError
from augforge.io import detect, open_source
from tests.bad_inputs import colours, encoded

PNGS = [encoded(colours(8, seed), "PNG") for seed in range(6)]
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(path, columns, schema=None, **options):
    """A file in the format that its ending tells; `.arrows` is an IPC stream."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    if path.suffix == ".parquet":
        pq.write_table(table, path, **options)
    elif path.suffix == ".feather":
        pyarrow.feather.write_feather(table, path, compression="lz4", chunksize=options.get("row_group_size"))
    else:
        new = pa.ipc.new_stream if path.suffix == ".arrows" else pa.ipc.new_file
        with pa.OSFile(str(path), "wb") as sink, new(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=options.get("row_group_size"))
    return str(path)


def read(where, kind="parquet", **options):
    found, value = detect(str(where))
    assert found == kind
    source = open_source(found, value, **options)
    return source, list(source.entries())


def save(folder, rows, features):
    Dataset.from_dict(rows, features=Features(features)).save_to_disk(str(folder))
    return folder


def as_declared(path, rows, features):
    """A file that declares `features`, whether the rows keep to them or not."""
    return write(path, pa.Table.from_pydict(rows, schema=Features(features).arrow_schema))


def images(count=6):
    return [{"bytes": png, "path": None} for png in PNGS[:count]]


# ---- paths ---------------------------------------------------------------------------------------------------------


def pictures(root, names):
    for name, png in zip(names, PNGS, strict=False):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png)


def test_paths_are_seen_from_the_file_and_never_lead_out(tmp_path):
    root = tmp_path / "set"
    pictures(root, ["files/0.png", "files/1.png"])
    (tmp_path / "secret.png").write_bytes(PNGS[2])
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    paths = [
        "files/0.png", "files/1.png", "files/gone.png", "../secret.png", str(tmp_path / "secret.png"), "link.png",
        "https://example.org/a.png", None, "", "files", "a\0b",
    ]  # fmt: skip
    where = write(root / "table.parquet", {"image_path": paths, "class": ["b", "a"] + ["b"] * 9})
    source, entries = read(where)
    assert source.classes() == ["a", "b"]
    out, address = "its path leads out of the source", "an address, and nothing is downloaded"
    reasons = ["", "", "missing file", out, out, out, address, "no image", "no image", "missing file", "cannot be read"]
    for entry, reason in zip(entries, reasons, strict=True):
        assert reason in entry.problem and bool(entry.problem) == bool(reason)
        if reason:
            with pytest.raises(BadImage, match=reason):
                source.read(entry.locator)
    assert [source.read(entry.locator) for entry in entries[:2]] == PNGS[:2]
    assert all("image_path" not in str(entry.annotations) for entry in entries)


def test_a_picture_that_was_written_again_is_another_one(tmp_path):
    pictures(tmp_path, ["a.png"])
    where = write(tmp_path / "t.parquet", {"file_name": ["a.png"]})
    source, (before,) = read(where)
    print_before = source.fingerprint()
    (tmp_path / "a.png").write_bytes(PNGS[1])
    source, (after,) = read(where)
    assert before.stamp != after.stamp and print_before != source.fingerprint()


def test_paths_of_shards_are_seen_from_their_folder_or_the_top(tmp_path):
    pictures(tmp_path, ["data/a.png", "b.png"])
    write(tmp_path / "data/train-0.parquet", {"file_name": ["a.png", "b.png"]})
    source, entries = read(tmp_path)
    assert [source.read(entry.locator) for entry in entries] == PNGS[:2]
    assert [entry.split for entry in entries] == ["train", "train"]


def test_a_column_of_addresses_is_refused_with_what_to_do(tmp_path):
    where = write(tmp_path / "t.parquet", {"URL": ["https://a/b.jpg"], "TEXT": ["a dog"]})
    with pytest.raises(SourceError, match="column 'URL' holds addresses") as caught:
        read(where)
    assert "img2dataset" in caught.value.hint


def test_a_table_from_the_hub_names_no_file_of_this_disk(tmp_path, monkeypatch):
    import huggingface_hub

    pictures(tmp_path, ["a.png"])
    write(tmp_path / "t.parquet", {"file_name": ["a.png"]})
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *a, **o: str(tmp_path))
    (entry,) = open_source("hub", "owner/name").entries()
    assert entry.problem == "the row holds a path instead of an image"


# ---- labels --------------------------------------------------------------------------------------------------------

LISTS = [["a", "b"], ["a"], [], ["b"], ["c"], None]


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.large_list(pa.large_string()), pa.list_(pa.string_view())])
def test_several_labels(tmp_path, kind):
    source, entries = read(write(tmp_path / "t.parquet", {"image": PNGS, "labels": pa.array(LISTS, kind)}))
    assert source.classes() == ["a", "b", "c"]
    assert [e.annotations.get("labels") for e in entries] == LISTS and all(e.label is None for e in entries)


def test_several_labels_by_number_beside_one_label(tmp_path):
    features = {
        "image": Image(), "label": ClassLabel(names=["z", "y"]), "labels": List(ClassLabel(names=["wet", "dark"])),
    }  # fmt: skip
    rows = {"image": images(4), "label": [0, 1, 0, 1], "labels": [[1, 0], [], [0], [7]]}
    source, entries = read(as_declared(tmp_path / "t.parquet", rows, features))
    assert source.classes() == ["z", "y", "wet", "dark"]
    assert [(e.label, e.annotations.get("labels")) for e in entries[:3]] == [
        ("z", ["dark", "wet"]), ("y", []), ("z", ["wet"]),
    ]  # fmt: skip
    assert entries[3].problem == "label 7 has no name among the 2 classes"


@pytest.mark.parametrize("kind", [pa.list_(pa.int8(), 3), pa.list_(pa.bool_())])
def test_one_number_for_every_class_is_asked_about(tmp_path, kind):
    with pytest.raises(SourceError, match="one for every class"):
        read(write(tmp_path / "t.parquet", {"image": PNGS[:1], "label": pa.array([[True, False, True]]).cast(kind)}))


SHARES = [[0.5, 0.25, 0.25], [1.0, 0.0, 0.0], None]


def test_shares_of_all_classes(tmp_path):
    shares = pa.array(SHARES, pa.list_(pa.float32(), 3))
    source, entries = read(write(tmp_path / "t.parquet", {"image": PNGS[:3], "label": shares}))
    assert source.classes() == ["0", "1", "2"] and all(e.label is None for e in entries)
    assert [e.annotations for e in entries] == [
        {"soft_label": {"0": 0.5, "1": 0.25, "2": 0.25}}, {"soft_label": {"0": 1.0, "1": 0.0, "2": 0.0}}, {},
    ]  # fmt: skip


def test_shares_have_the_declared_names(tmp_path):
    features = {"image": Image(), "label": ClassLabel(names=["z", "y", "x"]), "soft_label": List(Value("float32"), 3)}
    rows = {"image": images(3), "label": [0, 1, 2], "soft_label": [*SHARES[:2], [0.1, 0.2, 0.3]]}
    _, entries = read(save(tmp_path / "d", rows, features), "dataset")
    assert entries[0].label == "z" and entries[0].annotations["soft_label"] == {"z": 0.5, "y": 0.25, "x": 0.25}
    assert "sum to 0.6" in check_annotations(entries[2].annotations, (8, 8))[1][0]


@pytest.mark.parametrize("share", [float("nan"), float("inf"), -0.5, None])
def test_a_share_that_is_none_costs_the_shares(tmp_path, share):
    _, (entry,) = read(write(tmp_path / "t.parquet", {"image": PNGS[:1], "label": pa.array([[share, 0.5]])}))
    assert dump_annotations(entry.annotations) and not entry.problem
    assert check_annotations(entry.annotations, (8, 8)) == ({}, ["soft_label: a share is negative or no number"])


def test_shares_for_another_number_of_classes_cost_their_row(tmp_path):
    features = {"image": Image(), "label": ClassLabel(names=["z", "y"]), "soft_label": List(Value("float32"))}
    rows = {"image": images(2), "label": [0, 1], "soft_label": [[0.5, 0.5], [1.0, 0.0, 0.0]]}
    _, (good, bad) = read(save(tmp_path / "d", rows, features), "dataset")
    assert not good.problem and bad.problem == "column 'soft_label' has 3 shares for 2 classes"


# ---- boxes, captions, other columns --------------------------------------------------------------------------------

BOXES = [[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 2.0, 2.0]]
OBJECTS = {
    "struct of lists": (
        {"bbox": List(List(Value("float32"), 4)), "category": List(ClassLabel(names=["cup", "fork"]))},
        [{"bbox": BOXES, "category": [1, 0]}, {"bbox": BOXES[:1], "category": [0]}, {"bbox": [], "category": []}],
    ),
    "sequence of structs": (
        Sequence({"bbox": Sequence(Value("float32"), 4), "category": ClassLabel(names=["cup", "fork"])}),
        [{"bbox": BOXES, "category": [1, 0]}, {"bbox": BOXES[:1], "category": [0]}, {"bbox": [], "category": []}],
    ),
    "list of structs": (
        List({"bbox": List(Value("int64")), "category": ClassLabel(names=["cup", "fork"])}),
        [
            [{"bbox": BOXES[0], "category": 1}, {"bbox": BOXES[1], "category": 0}],
            [{"bbox": BOXES[0], "category": 0}],
            [],
        ],
    ),
}


@pytest.mark.parametrize("name", OBJECTS)
@pytest.mark.parametrize("kind", ["dataset", "parquet"])
def test_detection_sets_of_the_hub(tmp_path, name, kind):
    feature, cells = OBJECTS[name]
    features = {"image": Image(), "objects": feature}
    rows = {"image": images(3), "objects": cells}
    if kind == "dataset":
        where = save(tmp_path / "d", rows, features)
    else:
        where = tmp_path / "t.parquet"
        Dataset.from_dict(rows, features=Features(features)).to_parquet(str(where))
    source, entries = read(where, kind)
    assert source.classes() == ["cup", "fork"]
    assert [(e.label, e.annotations) for e in entries] == [
        (None, {"labels": ["fork", "cup"], "boxes": [
            {"box": [1, 2, 4, 6], "label": "fork"}, {"box": [0, 0, 2, 2], "label": "cup"},
        ]}),
        ("cup", {"boxes": [{"box": [1, 2, 4, 6], "label": "cup"}]}),
        (None, {"boxes": []}),
    ]  # fmt: skip


def test_boxes_that_are_corners(tmp_path):
    columns = {"image": PNGS[:1], "width": [8], "height": [8], "objects": [{"bbox": [[3, 3, 7, 8]], "category": ["x"]}]}
    where = write(tmp_path / "t.parquet", columns)
    source, (entry,) = read(where)
    assert entry.annotations["boxes"][0]["box"] == [3, 3, 10, 11]
    assert any("say boxes: xyxy" in remark for remark in source.remarks)
    source, (entry,) = read(where, boxes="xyxy")
    assert entry.annotations["boxes"][0]["box"] == [3, 3, 7, 8] and source.remarks == []
    with pytest.raises(SourceError, match="no way to write a box"):
        read(where, boxes="cxcywh")


def test_faults_in_objects_cost_their_row_or_box(tmp_path):
    feature = List({"bbox": List(Value("float32")), "category": ClassLabel(names=["cup", "fork"])})
    cells = [
        [{"bbox": [1, 2, 3, 4], "category": 9}],
        [{"bbox": [1, 2], "category": 0}, {"bbox": [float("nan"), 0, 1, 1], "category": 0}, {"bbox": None}],
        [{"bbox": [1, 2, 3, 4], "category": -1}],
        None,
    ]  # fmt: skip
    rows, features = {"image": images(4), "objects": cells}, {"image": Image(), "objects": feature}
    _, entries = read(as_declared(tmp_path / "t.arrow", rows, features), "arrow")
    assert entries[0].problem == "box 0: label 9 has no name among the 2 classes"
    usable, wrong = check_annotations(entries[1].annotations, (8, 8))
    assert usable["boxes"] == [] and len(wrong) == 3 and not entries[1].problem
    assert entries[2].annotations == {"boxes": [{"box": [1, 2, 4, 6]}]} and entries[2].label is None
    assert entries[3].annotations == {}


def test_captions(tmp_path):
    texts = pa.array(["a dog", "", None], pa.string_view())
    _, entries = read(write(tmp_path / "t.parquet", {"image": PNGS[:3], "text": texts}))
    assert [e.annotations for e in entries] == [{"caption": "a dog"}, {}, {}]


def test_several_captions(tmp_path):
    texts = [["a dog", "a brown dog"], ["a cat"], [], None]
    _, entries = read(write(tmp_path / "t.parquet", {"image": PNGS[:4], "caption": texts}))
    assert [e.annotations.get("caption") for e in entries] == ["a dog", "a cat", None, None]
    assert entries[0].annotations["extra"] == {"caption": {"type": "list<item: string>", "value": texts[0]}}
    assert entries[1].annotations == {"caption": "a cat"} and entries[3].annotations == {}


MOMENT = datetime.datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=datetime.UTC)
OTHERS = {
    "uint8": (pa.uint8(), 255, "uint8", 255),
    "half": (pa.float16(), 0.5, "float16", 0.5),
    "float": (pa.float32(), 0.1, "float32", pa.scalar(0.1, pa.float32()).as_py()),
    "nan": (pa.float64(), float("nan"), "float64", "nan"),
    "flag": (pa.bool_(), False, "bool", False),
    "large": (pa.large_string(), "ß", "string", "ß"),
    "view": (pa.string_view(), "ß", "string", "ß"),
    "dictionary": (pa.dictionary(pa.int32(), pa.string()), "left", "string", "left"),
    "date": (pa.date32(), datetime.date(2024, 2, 29), "date32", "2024-02-29"),
    "time": (pa.time64("us"), datetime.time(1, 2, 3, 4), "time64[us]", "01:02:03.000004"),
    "moment": (pa.timestamp("us", "UTC"), MOMENT, "timestamp[us, tz=UTC]", "2024-02-29T01:02:03.000004+00:00"),
    "instant": (pa.timestamp("ns"), 1, "timestamp[ns]", "1970-01-01T00:00:00.000000001"),
    "while": (pa.duration("ms"), datetime.timedelta(days=-1, milliseconds=1), "duration[ms]", "-86399.999"),
    "price": (pa.decimal128(10, 2), decimal.Decimal("-1.50"), "decimal128(10, 2)", "-1.50"),
    "tags": (pa.large_list(pa.string()), ["wet", None, "night"], "list<item: string>", ["wet", None, "night"]),
    "vector": (pa.list_(pa.float32(), 2), [0.5, 1.5], "list<item: float32>", [0.5, 1.5]),
    "pose": (
        pa.struct([("at", pa.list_(pa.int16())), ("by", pa.string())]), {"at": [1, 2], "by": None},
        "struct<at: list<item: int16>, by: string>", {"at": [1, 2], "by": None},
    ),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".arrows", ".feather"])
def test_other_columns_are_carried_with_their_types_and_back(tmp_path, suffix):
    columns = {n: pa.array([v, None], kind) for n, (kind, v, *_) in OTHERS.items() if suffix != ".feather" or n != "x"}
    where = write(tmp_path / f"t{suffix}", {"image": PNGS[:2], **columns})
    _, (first, second) = read(where, "parquet" if suffix == ".parquet" else "arrow")
    extra = first.annotations["extra"]
    assert extra == {name: {"type": kind, "value": value} for name, (_, _, kind, value) in OTHERS.items()}
    assert second.annotations == {} and dump_annotations(first.annotations)
    feature = annotation_features([first.annotations], ())["extra"]
    cell = KINDS["extra"].cell(extra, feature, ())
    table = pa.Table.from_pylist([{"extra": cell}], schema=Features({"extra": feature}).arrow_schema)
    assert KINDS["extra"].value(table.to_pylist()[0]["extra"], feature, ()) == extra


def test_columns_that_cannot_be_carried_are_said(tmp_path):
    columns = {
        "image": pa.array(images(1), IMAGE),
        "depth": pa.array([{"bytes": b"d", "path": None}], IMAGE),
        "origin": pa.array([{"bytes": b"o", "path": None}], IMAGE),
        "raw": [b"x"],
        "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int8())),
        "odd": pa.array([{"a, b": 1}]),
    }
    source, (entry,) = read(write(tmp_path / "t.parquet", columns))
    assert entry.annotations == {} and source.read(entry.locator) == PNGS[0]
    assert list(entry.pictures) == ["depth"]
    assert [remark.split(" ")[1] for remark in source.remarks] == ["'origin'", "'raw'", "'map'", "'odd'"]
    assert "holds other pictures" in source.remarks[0] and "it is not read" in source.remarks[1]


def test_annotations_that_augforge_wrote_come_back_to_the_bit(tmp_path):
    box = {
        "box": [0.1, 0.2, 3.3, 4.4], "label": "cup", "iscrowd": True, "id": "7", "attributes": {"far": True},
        "segmentation": [[0.1, 0.2, 3.3, 0.2, 3.3, 4.4]],
    }  # fmt: skip
    made = [
        {
            "boxes": [box, {"box": [0.0, 0.0, 1.0, 1.0]}], "labels": ["fork", "cup"], "caption": "a cup",
            "extra": {"camera": {"type": "int16", "value": 3}, "at": {"type": "date32", "value": "2024-02-29"}},
        },
        {
            "soft_label": {"cup": 0.1, "fork": 0.9}, "boxes": [],
            "keypoints": [{"points": [[1.0, 2.0, 2.0]], "names": ["nose"], "label": "cup"}],
        },
        {},
    ]  # fmt: skip
    classes = ["cup", "fork"]
    kinds = annotation_features(made, classes)
    features = {
        "image": Image(), "label": ClassLabel(names=classes), "id": Value("string"), "origin": Value("string"),
        "provenance": Value("string"), **kinds,
    }  # fmt: skip
    rows = {
        "image": images(3), "label": [0, None, 1], "id": [f"{n}" * 20 for n in range(3)], "origin": ["real"] * 3,
        "provenance": ['{"source": "x", "digest": "d"}'] * 3,
    }  # fmt: skip
    for name, kind in kinds.items():
        rows[name] = [KINDS[name].cell(each[name], kind, classes) if name in each else None for each in made]
    _, entries = read(save(tmp_path / "d", rows, features), "dataset")
    assert [dict(entry.annotations) for entry in entries] == made
    assert [entry.label for entry in entries] == ["cup", None, "fork"] and all(entry.carried for entry in entries)


def test_the_prompt_of_a_generated_image_is_no_caption(tmp_path):
    provenance = ['{"generator": "x", "prompt": "a cup"}', '{"source": "s", "digest": "d"}']
    columns = {
        "image": PNGS[:2], "id": ["1" * 20, "2" * 20], "origin": ["synthetic", "real"], "provenance": provenance,
        "caption": ["a cup", "a fork"],
    }  # fmt: skip
    _, entries = read(write(tmp_path / "t.parquet", columns))
    assert [entry.annotations for entry in entries] == [{}, {"caption": "a fork"}]


# ---- folders and splits --------------------------------------------------------------------------------------------


def test_hive_folders(tmp_path):
    for split, label, weather in (
        ("train", "cat", "wet"), ("train", "a%20dog%2F", "__HIVE_DEFAULT_PARTITION__"), ("val", "cat", "dry"),
    ):  # fmt: skip
        write(tmp_path / f"split={split}/label={label}/weather={weather}/0.parquet", {"image": PNGS[:1]})
    source, entries = read(tmp_path)
    assert source.classes() == ["a dog/", "cat"]
    told = {(e.split, e.label, e.annotations.get("extra", {}).get("weather", {}).get("value")) for e in entries}
    assert told == {("train", "cat", "wet"), ("train", "a dog/", None), ("validation", "cat", "dry")}
    assert len(list(open_source("parquet", str(tmp_path), split="val").entries())) == 1
    assert source.remarks == []
    by_weather = open_source("parquet", str(tmp_path), label="weather")
    assert {entry.label for entry in by_weather.entries()} == {"wet", None, "dry"}


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("plain_text/train/0000.parquet", "train"),
        ("plain_text/test/0000.parquet", "test"),
        ("en/validation/0000.parquet", "validation"),
        ("split=val/label=cat/p.parquet", "validation"),
        ("subset=dev/p.parquet", "validation"),
        ("split=test_unseen/p.parquet", "test_unseen"),
        ("training_set/val.parquet", "validation"),
        ("train/test-00000-of-00001.parquet", "test"),
        ("train_eval/0.parquet", "test"),
        ("data/2012val/0.parquet", "validation"),
        ("a/b/c/d/valid/e/0.parquet", "validation"),
        ("label=test/0.parquet", None),
        ("contest/0.parquet", None),
    ],
)
def test_the_path_tells_the_split(tmp_path, path, split):
    write(tmp_path / "set" / path, {"image": PNGS[:1]})
    _, (entry,) = read(tmp_path / "set")
    assert entry.split == split


def test_the_path_of_an_image_tells_its_split(tmp_path):
    pictures(tmp_path, ["images/train/a.png", "images/val/b.png", "c-test.png", "d.png"])
    names = ["images/train/a.png", "images/val/b.png", "c-test.png", "d.png"]
    splits = ["train", "validation", "test", None]
    _, entries = read(write(tmp_path / "t.parquet", {"image_path": names}))
    assert [entry.split for entry in entries] == splits
    _, entries = read(write(tmp_path / "train.parquet", {"image_path": names}))
    assert [entry.split for entry in entries] == ["train", "validation", "test", "train"]
    _, entries = read(write(tmp_path / "bytes.parquet", {"image": PNGS[:4], "file_name": names}))
    assert [entry.split for entry in entries] == splits
    _, entries = read(write(tmp_path / "bytes/train.parquet", {"image": PNGS[:4], "file_name": names}))
    assert {entry.split for entry in entries} == {"train"}


def test_texts_tell_the_split_even_if_names_are_declared_for_them(tmp_path):
    table = pa.table({"image": PNGS[:1], "split": ["val"]})
    info = {"info": {"features": {"split": {"_type": "ClassLabel", "names": ["a"]}}}}
    table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    _, (entry,) = read(write(tmp_path / "t.parquet", table))
    assert entry.split == "validation"


def test_several_configurations_are_said(tmp_path):
    for name in ("en/train/0000.parquet", "en/test/0000.parquet", "de/train/0000.parquet"):
        write(tmp_path / name, {"image": PNGS[:1]})
    source, entries = read(tmp_path)
    assert len(entries) == 3 and "several configurations, all of which are read (de, en)" in source.remarks[0]
    assert read(tmp_path / "en")[0].remarks == []


def test_an_evaluation_split_in_a_column_counts_in_a_file_for_training(tmp_path):
    columns = {"image": PNGS[:3], "split": ["val", "train", None]}
    _, entries = read(write(tmp_path / "train.parquet", columns))
    assert [entry.split for entry in entries] == ["validation", "train", "train"]


def test_evaluation_splits_of_other_names_are_for_evaluation(tmp_path):
    from augforge.data.sample import is_evaluation

    part = Dataset.from_dict({"image": images(1)}, features=Features({"image": Image()}))
    names = ["train", "test.other", "dev-clean", "validation_matched", "contest", "latest"]
    DatasetDict(dict.fromkeys(names, part)).save_to_disk(str(tmp_path / "d"))
    _, entries = read(tmp_path / "d", "dataset")
    assert [is_evaluation(entry.split) for entry in entries] == [False, True, True, True, False, False]


def test_a_folder_with_images_is_no_folder_of_tables(tmp_path):
    pictures(tmp_path, ["cat/a.png", "dog/b.png"])
    write(tmp_path / "cache/deep/x.parquet", {"a": [1]})
    assert detect(str(tmp_path))[0] == "folder"


def test_numbers_with_names_tell_the_split(tmp_path):
    features = {"image": Image(), "split": ClassLabel(names=["train", "val"])}
    _, entries = read(as_declared(tmp_path / "t.parquet", {"image": images(3), "split": [1, 0, None]}, features))
    assert [entry.split for entry in entries] == ["validation", "train", None]
    _, (entry,) = read(write(tmp_path / "plain/t.parquet", {"image": PNGS[:1], "split": [1]}))
    assert entry.split is None and entry.annotations["extra"]["split"] == {"type": "int64", "value": 1}


def test_files_that_no_row_names_are_counted(tmp_path):
    pictures(tmp_path, ["pictures/a.png", "pictures/b.png"])
    for name in ("README.md", "notes.txt", "more.TXT", "odd", ".hidden"):
        (tmp_path / name).touch()
    write(tmp_path / "t.parquet", {"file_name": ["pictures/a.png"]})
    source, _ = read(tmp_path)
    assert source.unused() == {".png": 1, ".txt": 2, "no ending": 1}
    source, _ = read(tmp_path / "t.parquet")
    assert source.unused() == {}


# ---- other files ---------------------------------------------------------------------------------------------------

TYPES = [pa.binary(), pa.large_binary(), pa.binary_view(), IMAGE]


@pytest.mark.parametrize("suffix", [".arrow", ".arrows", ".feather"])
@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_arrow_files(tmp_path, suffix, kind):
    cells = images() if kind == IMAGE else PNGS
    columns = {"image": pa.array(cells, kind), "label": pa.array(list("bababa")).dictionary_encode()}
    where = write(tmp_path / f"x{suffix}", columns, row_group_size=4)
    source, entries = read(where, "arrow")
    assert source.where == f"arrow {where}" and source.classes() == ["a", "b"]
    assert [entry.label for entry in entries] == list("bababa") and entries[5].locator == f"x{suffix}#5"
    assert [source.read(entry.locator) for entry in reversed(entries)] == PNGS[::-1]


def test_a_folder_of_arrow_files(tmp_path):
    for name in ("train/0.arrow", "train/1.feather", "deep/er/val/0.arrows"):
        write(tmp_path / name, {"image": PNGS[:2], "label": ["x", None]})
    source, entries = read(tmp_path, "arrow")
    assert [entry.split for entry in entries] == ["validation"] * 2 + ["train"] * 4
    assert [source.read(entry.locator) for entry in entries] == PNGS[:2] * 3


@pytest.mark.parametrize("suffix", [".arrow", ".arrows", ".feather", ".parquet"])
def test_no_file_of_the_kind(tmp_path, suffix):
    (tmp_path / f"x{suffix}").write_bytes(b"FEA1 no table at all FEA1")
    with pytest.raises(SourceError, match="file, or damaged"):
        read(tmp_path / f"x{suffix}", "parquet" if suffix == ".parquet" else "arrow")


def test_a_damaged_shard_costs_its_own_rows(tmp_path):
    for name in ("train-0.parquet", "train-1.parquet"):
        write(tmp_path / name, {"image": PNGS[:2], "label": ["x", "y"]})
    (tmp_path / "test-2.parquet").write_bytes(b"PAR1 cut")
    write(tmp_path / "train-3.parquet", {"other": [1]})
    source, entries = read(tmp_path)
    problems = {entry.locator: entry.problem for entry in entries}
    assert list(problems.values()).count("") == 4 and len(entries) == 6 and source.classes() == ["x", "y"]
    assert problems["test-2.parquet"].startswith("it is no Parquet file, or damaged")
    assert "no column holds images" in problems["train-3.parquet"]
    assert {entry.split for entry in entries if entry.problem} == {"test", "train"}
    assert len(source.remarks) == 2


def test_a_damaged_file_of_a_dataset_costs_its_own_rows(tmp_path):
    rows = Dataset.from_dict({"image": images()}, features=Features({"image": Image()}))
    rows.save_to_disk(str(tmp_path / "d"), num_shards=3)
    (tmp_path / "d/data-00001-of-00003.arrow").write_bytes(b"cut")
    source, entries = read(tmp_path / "d", "dataset")
    assert [bool(entry.problem) for entry in entries] == [False, False, True, False, False]
    assert source.read(entries[4].locator) == PNGS[5] and "missing or damaged" in entries[2].problem


def test_a_damaged_group_of_labels_costs_its_rows(tmp_path):
    labels = [f"label {n}" for n in range(30)]
    columns = {"image": [PNGS[0]] * 30, "label": labels}
    where = write(tmp_path / "t.parquet", columns, row_group_size=10, use_dictionary=False, compression="zstd")
    content = bytearray((tmp_path / "t.parquet").read_bytes())
    offset = pq.read_metadata(where).row_group(1).column(1).data_page_offset
    content[offset : offset + 30] = bytes(30)
    (tmp_path / "t.parquet").write_bytes(content)
    source, entries = read(where)
    assert [entry.label for entry in entries] == [*labels[:10], *[None] * 10, *labels[20:]]
    assert {entry.problem[:12] for entry in entries[10:20]} == {"row group 1 "} and len(source.classes()) == 20
    assert not any(entry.problem for entry in [*entries[:10], *entries[20:]])


def test_a_damaged_group_of_masks_costs_its_rows(tmp_path):
    masks = pa.array([PNGS[n % 6] if n % 4 else None for n in range(30)])
    columns = {"image": [PNGS[0]] * 30, "mask": masks}
    where = write(tmp_path / "t.parquet", columns, row_group_size=10, use_dictionary=False, compression="zstd")
    content = bytearray((tmp_path / "t.parquet").read_bytes())
    offset = pq.read_metadata(where).row_group(1).column(1).data_page_offset
    content[offset : offset + 30] = bytes(30)
    (tmp_path / "t.parquet").write_bytes(content)
    source, entries = read(where)
    assert (
        len(entries) == 30
        and source.read_picture(entries[1].locator, "mask") == PNGS[1]
        and all(e.pictures for e in entries[10:20])
    )
    with pytest.raises(BadImage, match="row group 1 of its file is damaged"):
        source.read_picture(entries[11].locator, "mask")


def test_a_text_that_is_no_utf8_costs_its_row(tmp_path):
    raw = pa.array([b"good", b"k\xfchl", b"fine"])
    label = pa.StringArray.from_buffers(3, *raw.buffers()[1:])
    source, entries = read(write(tmp_path / "t.parquet", {"image": PNGS[:3], "label": label}))
    assert [entry.label for entry in entries] == ["good", None, "fine"]
    assert "column 'label' cannot be read" in entries[1].problem and source.classes() == ["fine", "good"]


def test_columns_of_one_name_are_refused(tmp_path):
    table = pa.Table.from_arrays([pa.array(PNGS[:1]), pa.array(["x"]), pa.array(["y"])], ["image", "label", "label"])
    with pytest.raises(SourceError, match="several columns are called label"):
        read(write(tmp_path / "t.arrow", table), "arrow")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    columns = {
        "image": pa.array(images(), IMAGE), "label": list("ababab"), "text": ["x"] * 6,
        "objects": [[{"bbox": [1.0, 2.0, 3.0, 4.0], "category": "x"}]] * 6,
    }  # fmt: skip
    names = {suffix: write(folder / f"x{suffix}", columns, row_group_size=2) for suffix in
             (".parquet", ".arrow", ".arrows", ".feather")}  # fmt: skip
    return {suffix: open(name, "rb").read() for suffix, name in names.items()}  # noqa: PTH123


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_is_a_reason_and_never_a_crash(sound, tmp_path_factory, data):
    suffix = data.draw(st.sampled_from(sorted(sound)))
    content = bytearray(sound[suffix])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    path = tmp_path_factory.mktemp("d") / f"x{suffix}"
    path.write_bytes(content)
    try:
        source = open_source("parquet" if suffix == ".parquet" else "arrow", str(path))
        source.classes()
        entries = list(source.entries())
    except SourceError as error:
        assert error.message and error.hint
        return
    for entry in entries:
        check_annotations(entry.annotations, (8, 8))
        try:
            source.read(entry.locator)
        except BadImage as error:
            assert error.message


def texts(*values):
    """A column of texts, given as bytes that need not be UTF-8."""
    return pa.Array.from_buffers(pa.string(), len(values), pa.array(values, pa.binary()).buffers())


BROKEN = texts(b"ok", b"\xff\xfe", b"fine")
COLUMNS = {
    "text": BROKEN,
    "list": pa.ListArray.from_arrays([0, 1, 2, 3], BROKEN),
    "struct": pa.StructArray.from_arrays([BROKEN, pa.array([1, 2, 3])], ["a", "b"]),
    "dictionary": pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), BROKEN),
}


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        (name, ending)
        for name in COLUMNS
        for ending in ("parquet", "feather", "arrow", "arrows")
        if (name, ending) != ("dictionary", "parquet")  # pyarrow refuses the whole row group
    ],
)
def test_a_text_that_is_no_utf8_costs_its_own_row_in_every_format(tmp_path, name, ending):
    table = pa.table({"image": pa.array(images(3), IMAGE), "label": ["a", "b", "c"], "note": COLUMNS[name]})
    source, found = read(write(tmp_path / f"x.{ending}", table), "parquet" if ending == "parquet" else "arrow")
    assert [entry.label for entry in found] == ["a", None, "c"]
    assert [bool(entry.problem) for entry in found] == [False, True, False]
    assert "column 'note' cannot be read" in found[1].problem
    assert source.classes() == ["a", "b", "c"]
    assert source.read(found[2].locator) == PNGS[2]


def test_a_text_that_is_no_utf8_costs_its_own_row_of_a_dataset(tmp_path):
    save(tmp_path / "d", {"image": images(3), "label": list("abc"), "note": list("xyz")},
         {"image": Image(), "label": Value("string"), "note": Value("string")})  # fmt: skip
    (file,) = (tmp_path / "d").glob("*.arrow")
    whole = pa.ipc.open_stream(file).read_all()
    whole = whole.set_column(2, whole.schema.field("note"), [BROKEN])
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, whole.schema) as writer:
        writer.write_table(whole)
    _, found = read(tmp_path / "d", "dataset")
    assert [bool(entry.problem) for entry in found] == [False, True, False]


def test_a_label_that_is_no_utf8_costs_its_own_row(tmp_path):
    table = pa.table({"image": pa.array(images(3), IMAGE), "label": BROKEN})
    source, found = read(write(tmp_path / "x.arrow", table), "arrow")
    assert source.classes() == ["fine", "ok"]
    assert [entry.label for entry in found] == ["ok", None, "fine"]


def test_what_a_damaged_row_still_says_of_its_split_is_kept(tmp_path):
    table = pa.table({"image": pa.array(images(3), IMAGE), "note": BROKEN, "split": ["train", "test", "train"]})
    _, found = read(write(tmp_path / "x.arrow", table), "arrow")
    assert [entry.split for entry in found] == ["train", "test", "train"]
