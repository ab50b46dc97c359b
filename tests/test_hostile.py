"""What strangers may send: names, labels and paths that lead elsewhere, pickles, and text that moves the cursor."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from augforge.cli.app import app
from augforge.cli.render import base as render
from augforge.engine.run import run
from augforge.errors import BadImage, ModelError, SourceError
from augforge.io import open_source
from augforge.models import find_model
from augforge.models.loading import load_embedder
from augforge.printable import printable, printable_json
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.conftest import write_images

NASTY = "[red]a[/red] :cat: \x1b[2J\x9b31m\u202egnp\x07 <b>&|`\\"


class Bomb:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def pickled(folder: Path, name: str, mark: Path) -> None:
    (folder / name).write_bytes(pickle.dumps(Bomb(mark)))


def test_the_bomb_goes_off_where_pickles_are_read(tmp_path):
    pickled(tmp_path, "x.bin", tmp_path / "mark")
    pickle.loads((tmp_path / "x.bin").read_bytes())
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("name", ["open_clip_pytorch_model.bin", "open_clip_pytorch_model.pt", "model.ckpt"])
def test_an_embedder_with_pickled_weights_is_refused(tmp_path, tiny_clip, name):
    folder, mark = shutil.copytree(tiny_clip, tmp_path / "clip"), tmp_path / "mark"
    pickled(folder, name, mark)
    load_embedder(find_model(str(folder), "image-text"), "cpu")  # beside safetensors it is not read
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(ModelError, match="holds pickled weights") as caught:
        load_embedder(find_model(str(folder), "image-text"), "cpu")
    assert "safetensors" in caught.value.hint and not mark.exists()


def test_safetensors_of_another_name_do_not_let_a_pickle_in(tmp_path, tiny_clip):
    folder = shutil.copytree(tiny_clip, tmp_path / "clip")
    (folder / "open_clip_model.safetensors").rename(folder / "model.safetensors")  # open_clip takes the .bin first
    pickled(folder, "open_clip_pytorch_model.bin", tmp_path / "mark")
    with pytest.raises(ModelError, match="holds pickled weights"):
        load_embedder(find_model(str(folder), "image-text"), "cpu")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("config", [{"model_type": "vit"}, {"architecture": "resnet18"}])
def test_vision_models_with_pickled_weights_are_refused(tmp_path, config):
    (tmp_path / "config.json").write_text(json.dumps(config))
    torch.save({"weight": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model.bin holds pickled weights"):
        load_embedder(find_model(str(tmp_path), "image-embedding"), "cpu")


def test_a_model_whose_files_do_not_match_its_digest_is_refused(tmp_path, tiny_clip):
    from augforge.engine.runners.train import train_alone
    from augforge.models.directory import read_model

    pictures = write_images(tmp_path / "pictures", {"cat": 4, "dog": 4})
    stage = build_stage("train", "classifier", {"embedder": str(tiny_clip), "steps": 1})
    out = tmp_path / "model"
    train_alone(Recipe("t", 1, (SourceSpec("folder", str(pictures)),), (stage,)), out, device="cpu")
    read_model(out)
    for name in ("model.safetensors", "model.json"):
        sound = (out / name).read_bytes()
        at = sound.index(b"loss") if name == "model.json" else len(sound) - 1
        (out / name).write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        with pytest.raises(ModelError, match=r"is not what was trained|is damaged"):
            read_model(out)
        (out / name).write_bytes(sound)


# -- paths that lead elsewhere -------------------------------------------------------------------------------


def test_links_out_of_a_folder_cost_their_rows_and_read_nothing(tmp_path):
    secret = tmp_path / "secret"
    write_images(secret, {"cat": 1})
    pictures = write_images(tmp_path / "pictures", {"cat": 3})
    (pictures / "cat" / "link.png").symlink_to(secret / "cat" / "0000.png")
    (pictures / "dog").symlink_to(secret / "cat")
    summary = run(Recipe("l", 1, (SourceSpec("folder", str(pictures)),), ()), tmp_path / "out", max_bad=1)
    assert summary.kept == 3 and summary.reasons["source"] == {"symlink leads out of the source": 2}


@pytest.mark.parametrize("path", ["../secret.png", "/etc/hostname", "link.png"])
@pytest.mark.parametrize("kind", ["dataset", "parquet"])
def test_rows_that_name_files_elsewhere_cost_their_rows(tmp_path, kind, path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    place = tmp_path / "set"
    place.mkdir()
    (place / "link.png").symlink_to(tmp_path / "secret.png")
    cells = pa.array([{"bytes": None, "path": path}], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    table = pa.table({"image": cells})
    if kind == "parquet":
        pq.write_table(table, place / "x.parquet")
    else:
        with pa.OSFile(str(place / "x.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        (place / "state.json").write_text(json.dumps({"_data_files": [{"filename": "x.arrow"}]}))
        (place / "dataset_info.json").write_text("{}")
    source = open_source(kind, str(place))
    (entry,) = source.entries()
    with pytest.raises(BadImage, match="its path leads out of the source"):
        source.read(entry.locator)


@pytest.mark.parametrize("name", ["../other/x.arrow", "/tmp/x.arrow"])
def test_a_dataset_that_lists_files_elsewhere_is_refused(tmp_path, name):
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    (tmp_path / "dataset_info.json").write_text("{}")
    with pytest.raises(SourceError, match="leads out of its folder"):
        open_source("dataset", str(tmp_path))
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": [name.rpartition("/")[0]]}))
    with pytest.raises(SourceError, match="leads out of its folder"):
        open_source("dataset", str(tmp_path))


def test_an_arrow_file_with_wild_offsets_is_refused(tmp_path):
    table = pa.table({"image": pa.array([b"x", b"y"]), "label": ["abcdefg", "hijk"]})
    with pa.OSFile(str(tmp_path / "x.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    content, offsets = (tmp_path / "x.arrow").read_bytes(), b"\0\0\0\0\x07\0\0\0\x0b\0\0\0"
    assert content.count(offsets) == 1
    (tmp_path / "x.arrow").write_bytes(content.replace(offsets, offsets[:-4] + b"\xff\xff\xff\x7f"))
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "x.arrow"}]}))
    (tmp_path / "dataset_info.json").write_text("{}")
    with pytest.raises(SourceError, match="damaged"):
        open_source("dataset", str(tmp_path))


# -- text that a terminal would obey -------------------------------------------------------------------------


def test_what_a_terminal_would_obey_is_written_out():
    assert printable("a\x1b[31mb\x9bc\x07\u202e\ud800\nd") == "a\\x1b[31mb\\x9bc\\x07\\u202e\\ud800\nd"
    assert printable("naïve 猫 é") == "naïve 猫 é"
    value = {"label": "\x1b[0m\x9b\x7f\u202eé"}
    text = printable_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value and not set(text) & set("\x1b\x9b\x7f\u202e") and "é" in text


def test_markup_and_emoji_of_a_label_are_shown_as_they_are(monkeypatch, capsys):
    monkeypatch.setattr(render, "out", Console(highlight=False, emoji=False, width=200))
    render.say(NASTY)
    shown = capsys.readouterr().out
    assert "[red]a[/red] :cat: \\x1b[2J\\x9b31m\\u202egnp\\x07 <b>" in shown and not set(shown) & set(
        "\x1b\x9b\u202e\x07"
    )


def test_a_run_over_nasty_labels_and_names_tells_all_of_them_safely(tmp_path):
    label = "[red]x :cat: \x1b[2J<script>"
    pictures = write_images(tmp_path / "pictures", {label: 3})
    (pictures / label / "\x1b[31m.png").write_text("no image")
    words = ["filter", "sharpness", str(pictures), "--keep", "0.5", "--max-bad", "1", "--out", str(tmp_path / "out")]
    spoken = [CliRunner().invoke(app, words), CliRunner().invoke(app, ["verify", str(tmp_path / "out")])]
    ids = pq.read_table(tmp_path / "out" / "samples.parquet").column("id").to_pylist()
    spoken += [CliRunner().invoke(app, ["why", str(tmp_path / "out"), identity]) for identity in ids]
    spoken += [CliRunner().invoke(app, ["why", str(tmp_path / "out"), ids[0], "--json"])]
    for result in spoken:
        assert result.exit_code == 0, result.output
        assert "\x1b" not in result.output and "\x1b" not in result.stderr
    assert any("[red]x :cat: \\x1b[2J<script>" in result.output for result in spoken)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "<script>" not in card.partition("## Recipe")[0].partition("# ")[2] and "&#60;script&#62;" in card


def test_the_message_of_an_error_is_written_out_too(tmp_path):
    result = CliRunner().invoke(app, ["filter", "sharpness", "\x1b[31mnowhere", "--out", str(tmp_path / "out")])
    assert result.exit_code == 2 and "\x1b" not in result.output and "\\x1b[31mnowhere" in result.output


def test_a_prompt_cannot_leave_the_block_of_code_in_the_card(tmp_path, pictures):
    name = "x\n```\n<script>"
    run(Recipe(name, 1, (SourceSpec("folder", str(pictures)),), ()), tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    before, _, block = card.partition("## Recipe")
    assert "<script>" not in before.partition("\n---\n")[2]
    assert block.strip().startswith("````yaml") and block.strip().endswith("````") and "```\n" in block
