"""metadata.jsonl beside the images of a folder: ours has the last word, that of others has none."""

from __future__ import annotations

import json

import pytest

from augforge.errors import BadImage, SourceError
from augforge.io import open_source
from tests.bad_inputs import colours, encoded

PNGS = [encoded(colours(8, seed), "PNG") for seed in range(3)]


def record(name, **more):
    made = json.dumps({"generator": "img2img", "parents": [], "seed": 4})
    return {"file_name": name, "id": "1" * 20, "origin": "synthetic", "provenance": made, "label": "a/b", **more}


def write(root, *lines):
    for number, name in enumerate(("cat/0.png", "cat/1.png")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PNGS[number])
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (root / "metadata.jsonl").write_text(text)
    return open_source("folder", str(root))


def test_ours_has_the_last_word(tmp_path):
    source = write(tmp_path, record("cat/0.png", split="holdout"))
    first, second = source.entries()
    assert (first.label, first.split, first.carried["origin"]) == ("a/b", "holdout", "synthetic")
    assert (second.label, second.carried) == ("cat", None)
    assert [e.locator for e in open_source("folder", str(tmp_path), split="holdout").entries()] == ["cat/0.png"]


def test_that_of_others_has_no_history_and_counts_more_than_folders(tmp_path):
    source = write(tmp_path, {"file_name": "cat/0.png", "label": "dog"}, "no json")
    entries = list(source.entries())
    assert [(entry.locator, entry.label) for entry in entries if not entry.problem] == [
        ("cat/0.png", "dog"),
        ("cat/1.png", None),
    ]
    assert [entry.problem != "" for entry in entries].count(True) == 1 and not any(entry.carried for entry in entries)


def test_an_image_that_is_gone_is_told(tmp_path):
    *_, gone = write(tmp_path, record("cat/9.png")).entries()
    assert (gone.locator, gone.problem) == ("cat/9.png", "missing file")


def test_a_damaged_line_among_ours_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="line 2 of metadata"):
        write(tmp_path, record("cat/0.png"), "{")


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "cat/../../secret.png"])
def test_names_and_masks_cannot_lead_out(tmp_path, name):
    (tmp_path / "secret.png").write_bytes(PNGS[2])
    source = write(tmp_path / "set", record("cat/0.png", mask_file_name=name), record(name))
    entries = {entry.locator: entry for entry in source.entries()}
    assert entries[name].problem
    with pytest.raises(BadImage):
        source.read_picture("cat/0.png", "mask")
    with pytest.raises(BadImage):
        source.read(name)
