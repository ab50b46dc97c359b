"""What is told of an export: the card, the Croissant metadata, and what is kept private."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from augforge.publish.card import plain
from augforge.publish.export import Described, export
from augforge.publish.marks import Marker
from augforge.publish.private import hide_reason, hide_recipe
from tests.publish.runs import LABELS, SECRET, kept_rows
from tests.publish.test_formats import FORMATS

DESCRIBED = Described("cc-by-4.0", "https://example.org/data", "Example Lab")


@pytest.fixture(scope="module")
def told(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The run in every format, with all that a publisher can say."""
    root = tmp_path_factory.mktemp("told")
    for to in FORMATS:
        export(finished, to, root / to, marker=Marker(), described=DESCRIBED)
    return {to: root / to for to in FORMATS}


@pytest.mark.parametrize("to", FORMATS)
def test_mlcroissant_takes_the_metadata(told, to):
    import mlcroissant as mlc

    data = mlc.Dataset(str(told[to] / "croissant.json"))
    assert data.metadata.ctx.issues.errors == set() and data.metadata.ctx.issues.warnings == set()
    assert data.metadata.license == ["cc-by-4.0"] and data.metadata.url == DESCRIBED.url
    assert data.metadata.distribution


@pytest.mark.parametrize("to", ["folder", "parquet", "coco"])
def test_mlcroissant_reads_the_records(finished, told, to):
    import mlcroissant as mlc

    records = list(mlc.Dataset(str(told[to] / "croissant.json")).records("images"))
    wanted = kept_rows(finished)
    assert {record["images/id"].decode() for record in records} == wanted.keys()
    for record in records:
        row = wanted[record["images/id"].decode()]
        assert json.loads(record["images/provenance"]) == json.loads(row["provenance"])
        if to == "parquet":
            assert record["images/image"].size == (24, 24)


@pytest.mark.parametrize("to", FORMATS)
def test_the_card_counts_images_where_their_files_lie(finished, told, to):
    text = (told[to] / "README.md").read_text()
    table = text.split("## Splits")[1].strip().splitlines()
    names, counts = ([cell.strip() for cell in line.split("|")[2:-1]] for line in table[:3:2])
    splits = json.loads((told[to] / "export.json").read_text())["splits"]
    assert dict(zip(names, map(int, counts), strict=True)) == splits
    without = sum(row["split"] is None for row in kept_rows(finished).values())
    assert without and f"The split `train` holds {without} images that have no split in the run." in text


def test_the_provenance_is_told_in_terms_of_prov_and_rai(told):
    value = json.loads((told["parquet"] / "croissant.json").read_text())
    assert value["@context"]["prov"] == "http://www.w3.org/ns/prov#"
    assert value["@context"]["rai"] == "http://mlcommons.org/croissant/RAI/"
    assert value["conformsTo"] == ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
    assert value["rai:hasSyntheticData"] is True and "synthetic" in value["keywords"]
    (source,) = value["prov:wasDerivedFrom"]
    assert source["@type"] == "prov:Entity" and SECRET in source["prov:label"]
    activities = value["prov:wasGeneratedBy"]
    assert [activity["prov:label"] for activity in activities] == ["source", "1-filter-sharpness"]
    assert all(activity["prov:wasAssociatedWith"]["@type"] == "prov:SoftwareAgent" for activity in activities)


def test_a_damaged_description_is_refused_by_mlcroissant(told, tmp_path):
    import mlcroissant as mlc

    value = json.loads((told["parquet"] / "croissant.json").read_text())
    value["recordSet"][0]["field"][0]["source"] = {"fileSet": {"@id": "no such files"}, "extract": {"column": "image"}}
    (tmp_path / "croissant.json").write_text(json.dumps(value))
    with pytest.raises(mlc.ValidationError):
        mlc.Dataset(str(tmp_path / "croissant.json"))


@pytest.mark.parametrize("to", FORMATS)
def test_the_header_of_the_card_is_one_of_the_hub(told, to):
    from huggingface_hub import DatasetCard

    card = DatasetCard.load(told[to] / "README.md")
    assert card.data.license == "cc-by-4.0" and "synthetic" in card.data.tags
    assert card.data.task_categories == ["image-classification"] and card.data.size_categories == ["n<1K"]


def test_the_card_has_counts_models_licences_and_the_recipe(told, finished):
    text = (told["parquet"] / "README.md").read_text()
    rows = kept_rows(finished).values()
    real = sum(row["origin"] == "real" for row in rows)
    assert f"{len(rows)} images: {real} real, {len(rows) - real} synthetic" in text
    assert "licence mit" in text and "cc-by-4.0" in text and "- filter: sharpness" in text
    header = yaml.safe_load(text.split("---")[1])
    assert header["configs"][0]["data_files"][0] == {"split": "train", "path": "data/train-*"}
    assert [feature["name"] for feature in header["dataset_info"]["features"]][:2] == ["image", "label"]


def test_labels_prompts_and_reasons_are_inert_in_the_card(told):
    text = (told["parquet"] / "README.md").read_text()
    body, _ = text.split("---", 2)[2].split("## Recipe")
    assert "<script>" not in body and "<i>" not in body
    table = [line for line in body.splitlines() if line.startswith("| ") and "real" not in line and "stage" not in line]
    classes = table[: len([label for label in LABELS if label is not None])]
    assert all(line.count("|") == 5 for line in classes)
    assert "a&#124;b" in body and "&#60;script&#62;" in body


@pytest.mark.parametrize(
    "text", ["a|b", "a\\|b", "[x](javascript:alert(1))", "`x`", "<b>", "&lt;", "a\nb", "\"'", "*x*"]
)
def test_plain_text_has_no_sign_that_means_something(text):
    import html

    assert not set(plain(text)) & set("|\\`<>[]*\"'\n")
    assert html.unescape(plain(text)) == text.replace("\n", " ")


@pytest.mark.parametrize("to", FORMATS)
def test_private_sources_leave_no_name_of_a_file_or_folder(finished, tmp_path, to):
    def names_in(folder: Path) -> list[str]:
        found = []
        for path in folder.rglob("*"):
            named = str(path.relative_to(folder))
            data = named.encode() + (path.read_bytes() if path.is_file() else b"")
            if SECRET.encode() in data or b"jane-doe" in data:
                found.append(named)
        return found

    assert SECRET in str(finished.parent / SECRET)
    export(finished, to, tmp_path / "open", marker=Marker())
    assert names_in(tmp_path / "open"), "the open export shows that the search finds something"
    done = export(finished, to, tmp_path / "private", private=True, marker=Marker())
    assert names_in(tmp_path / "private") == []
    from augforge.io import detect, open_source

    source = open_source(*detect(str(tmp_path / "private")))
    carried = [entry.carried for entry in source.entries()]
    assert len(carried) == done.rows and not any(known.get("source") for known in carried)
    assert any(known["parents"] for known in carried)


def test_a_recipe_is_shown_without_its_paths():
    recipe = {
        "name": "x", "source": {"folder": "photos", "masks": "labels", "split": "train"},
        "stages": [
            {"filter": "clip", "model": "/models/mine", "prompt": "a photo"}, {"filter": "clip", "model": "hub:a/b"},
        ],
    }  # fmt: skip
    shown = hide_recipe(recipe)
    assert shown["source"] == {"folder": "private", "masks": "private", "split": "train"}
    assert shown["stages"][0] == {"filter": "clip", "model": "private", "prompt": "a photo"}
    assert shown["stages"][1]["model"] == "hub:a/b"


def test_a_reason_is_shown_without_file_names():
    assert hide_reason("its mask jane.png fits 2 images") == "its mask private fits 2 images"
    assert hide_reason("clip-prompt: not among the best 80 % of its class").startswith("clip-prompt: not among")
