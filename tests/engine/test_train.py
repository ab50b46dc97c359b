"""Training as a stage: what it depends on, who can name its model, and a model directory by command."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from augforge.cli.app import app
from augforge.engine.plan import plan_run
from augforge.engine.run import run as run_recipe
from augforge.errors import ModelError, RecipeError, StoreError
from augforge.models import find_model
from augforge.recipe import parse_recipe
from tests.conftest import trap, write_images
from tests.test_laws import rows

run = partial(run_recipe, allow_empty=True)
"""After so few steps most models make constant pictures, none of which is kept."""

TINY = "size: 32, width: 4, blocks: 1, batch: 2, day: cat, night: dog"


def recipe(source: Path, steps: int = 3, train: str = "", ratio: float = 1.0):
    return parse_recipe(f"""
name: nights
source: {{folder: {source}}}
stages:
  - {{train: night, as: mine, {TINY}, steps: {steps}{train}}}
  - {{generate: night, model: mine, of: cat, label: dog, ratio: {ratio}, batch: 2}}
""")


def weights(out: Path) -> list[Path]:
    return sorted(out.glob("models/*/model.safetensors"))


def test_a_recipe_trains_and_uses_its_model(pictures, tmp_path):
    out = tmp_path / "out"
    summary = run(recipe(pictures), out)
    assert [row.get("trained") for row in summary.work] == [None, 3, None]
    ledger = rows(out)
    made = [row for row in ledger.values() if row["origin"] == "synthetic"]
    assert len(made) == 6 and {row["label"] for row in made} == {"dog"}
    assert {ledger[parent]["label"] for row in made for parent in row["parents"]} == {"cat"}
    generation_config = json.loads(made[0]["generation_config"])
    (folder,) = (out / "models").iterdir()
    record = json.loads((folder / "model.json").read_text())
    assert generation_config["model"]["name"] == "mine" and generation_config["model"]["digest"] == record["identity"]
    assert folder.name == f"night-{record['identity'][:12]}"
    assert {path.name for path in folder.iterdir()} == {
        "model.json", "model.safetensors", "samples.png", "losses.png", "README.md"
    }  # fmt: skip


def test_it_trains_again_only_when_images_or_options_change(pictures, tmp_path):
    out = tmp_path / "out"
    run(recipe(pictures), out)
    assert run(recipe(pictures), out).up_to_date
    deciding = run(recipe(pictures, train=", eval-every: 2", ratio=0.5), out)
    assert [row.get("trained") for row in deciding.work] == [None, 0, None]
    assert [row.get("trained") for row in run(recipe(pictures, steps=4), out).work] == [None, 4, None]
    write_images(pictures, {"lone": 2}, seed=5)
    unrelated = run(recipe(pictures), out)
    assert unrelated.work[0]["read"] > 0 and unrelated.work[1]["trained"] == 0
    write_images(pictures, {"cat": 7}, seed=0)
    assert run(recipe(pictures), out).work[1]["trained"] == 3
    assert len(weights(out)) == 3


def test_ids_do_not_depend_on_the_weights_bytes_but_on_what_was_trained(pictures, tmp_path):
    run(recipe(pictures), tmp_path / "one")
    run(recipe(pictures), tmp_path / "two")
    assert rows(tmp_path / "one").keys() == rows(tmp_path / "two").keys()
    run(recipe(pictures, steps=4), tmp_path / "three")
    made = [
        {i for i, row in rows(tmp_path / name).items() if row["origin"] == "synthetic"} for name in ("one", "three")
    ]
    assert not made[0] & made[1]


def test_a_plan_knows_what_will_be_trained(pictures, tmp_path):
    steps = [(row.todo, row.reused) for row in plan_run(recipe(pictures), None)]
    assert steps == [(11, 0), (3, 0), (6, 0)]
    run(recipe(pictures), tmp_path / "out")
    assert [(row.todo, row.reused) for row in plan_run(recipe(pictures), tmp_path / "out")] == [(0, 11), (0, 1), (0, 6)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {generate: night, model: mine}\n  - {train: night, as: mine}", "there is no model called 'mine'"),
        ("- {train: night, as: mine}\n  - {generate: paired, model: mine}", "'mine' is trained for night, not for"),
        ("- {train: night, as: mine}\n  - {train: night, as: mine}", "there is a model called 'mine' already"),
        ("- {train: night, as: builtin-clip}", "there is a model called 'builtin-clip' already"),
        ("- {train: classifier, backbone: resnet}", "there is no backbone 'resnet'"),
        ("- {train: paired, condition: files, instances: true}", "instances do not go with it"),
    ],
)  # fmt: skip
def test_a_recipe_says_which_model_is_wrong(text, message):
    with pytest.raises((RecipeError, ModelError), match=message):
        parse_recipe(f"name: x\nsource: {{sample: digits}}\nstages:\n  {text}\n")


def test_a_class_that_is_not_there_is_named(pictures, tmp_path):
    wrong = parse_recipe(f"name: x\nsource: {{folder: {pictures}}}\nstages:\n  - {{train: night}}\n")
    with pytest.raises(RecipeError, match="of class 'day' are needed, there are 0") as error:
        run(wrong, tmp_path / "out")
    assert "cat, dog, lone" in error.value.hint


def test_evaluation_images_do_not_teach(tmp_path):
    write_images(tmp_path / "set" / "train", {"cat": 3, "dog": 3})
    run(recipe(tmp_path / "set"), tmp_path / "out")
    write_images(tmp_path / "set" / "test", {"cat": 5, "dog": 5}, seed=9)
    assert run(recipe(tmp_path / "set"), tmp_path / "out").work[1]["trained"] == 0


def test_several_processes_make_one_model(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(trap(tmp_path / "present"))
    out = tmp_path / "out"
    run(recipe(pictures, train=", processes: 2"), out, device="cpu")
    (path,) = weights(out)
    assert json.loads((path.parent / "model.json").read_text())["processes"] == 2
    assert sum(row["origin"] == "synthetic" for row in rows(out).values()) == 6


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "augforge.cli.app", *map(str, words)]


def train_command(pictures: Path, out: Path, steps: int, *more: str) -> list[str]:
    tiny = ["--size", "32", "--width", "4", "--blocks", "1", "--batch", "2"]
    return command(
        "train", "night", "--day", pictures / "cat", "--night", pictures / "dog", "--out", out, "--steps", steps,
        "--device", "cpu", *tiny, *more,
    )  # fmt: skip


def test_kill_9_loses_nothing(pictures, tmp_path):
    words = ["--checkpoint-every", "5"]
    whole = subprocess.run(train_command(pictures, tmp_path / "whole", 60, *words), capture_output=True, text=True)
    assert whole.returncode == 0, whole.stderr
    killed = tmp_path / "killed"
    running = subprocess.Popen(train_command(pictures, killed, 60, *words), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (killed / "checkpoint.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL and not (killed / "model.json").exists()
    again = subprocess.run(train_command(pictures, killed, 60, *words), capture_output=True, text=True)
    assert again.returncode == 0 and "going on at step" in again.stderr
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)
    third = subprocess.run(train_command(pictures, killed, 60, *words), capture_output=True, text=True)
    assert third.returncode == 0 and "trained already" in third.stdout
    refused = subprocess.run(train_command(pictures, killed, 61, *words), capture_output=True, text=True)
    assert refused.returncode == 2 and "another training" in refused.stderr
    model = find_model(str(killed), "night")
    assert model.backends == ("night",)
    out = tmp_path / "out"
    made = subprocess.run(
        command("generate", "night", pictures, "--model", killed, "--ratio", "0.5", "--out", out),
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    assert any(row["origin"] == "synthetic" for row in rows(out).values())


def test_the_command_says_what_is_missing(pictures, tmp_path):
    from typer.testing import CliRunner

    result = CliRunner().invoke(app, ["train", "night", "--day", str(pictures), "--out", str(tmp_path / "m")])
    assert result.exit_code == 2 and "--night is missing" in result.output
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep me")
    words = ["train", "night", "--day", str(pictures), "--night", str(pictures), "--out", str(tmp_path / "full")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2 and "something else" in result.output


def test_a_finished_model_is_not_trained_over(pictures, tmp_path):
    from augforge.engine.runners.train import train_alone
    from augforge.recipe import Recipe, SourceSpec, build_stage

    def alone(steps: int, resume: bool = True):
        options = {"size": 32, "width": 4, "blocks": 1, "batch": 2, "day": "cat", "night": "dog", "steps": steps}
        stage = build_stage("train", "night", options)
        source = (SourceSpec("folder", str(pictures)),)
        return train_alone(Recipe("x", 1, source, (stage,)), tmp_path / "m", device="cpu", resume=resume)

    assert alone(2)["trained"] == 2 and alone(2)["trained"] == 0
    with pytest.raises(StoreError, match="another training"):
        alone(3)
    assert alone(3, resume=False)["trained"] == 3
    shutil.rmtree(tmp_path / "m")
    assert alone(3)["trained"] == 3


def test_another_name_changes_nothing(pictures, tmp_path):
    out = tmp_path / "out"
    run(recipe(pictures), out)
    renamed = parse_recipe(recipe(pictures).yaml().replace("mine", "yours"))
    assert run(renamed, out).computed == 0


def test_other_weights_to_begin_from_train_again(pictures, tmp_path, tiny_clip):
    from safetensors.torch import save_file
    from timm import create_model

    def begin(seed: int) -> None:
        import torch

        torch.manual_seed(seed)
        save_file(create_model("test_resnet", num_classes=3).state_dict(), tmp_path / "w.safetensors")

    text = f"""
name: x
source: {{folder: {pictures}}}
stages:
  - {{train: classifier, backbone: "timm:test_resnet", size: 32, batch: 4, steps: 2, weights: {tmp_path}/w.safetensors}}
"""
    begin(1)
    run(parse_recipe(text), tmp_path / "out")
    begin(2)
    assert run(parse_recipe(text), tmp_path / "out").work[1]["trained"] == 2


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_a_damaged_model_is_trained_again(pictures, tmp_path, name):
    out = tmp_path / "out"
    run(recipe(pictures, ratio=0.3), out)
    (path,) = out.glob(f"models/*/{name}")
    path.write_bytes(path.read_bytes()[:50])
    assert run(recipe(pictures), out).work[1]["trained"] == 3


def test_shots_bind_the_training_too(pictures, tmp_path):
    text = recipe(pictures).yaml()
    shots = text.replace("  ratio: 1.0", "  ratio: 1.0\n  shots: 2")
    with pytest.raises(RecipeError, match="learns from more than 2 shots"):
        parse_recipe(shots)
    out = tmp_path / "out"
    run(parse_recipe(shots.replace("  as: mine", "  as: mine\n  shots: 2")), out)
    (path,) = out.glob("models/*/model.json")
    assert {part["images"] for part in json.loads(path.read_text())["data"].values()} == {2}


def test_a_split_comes_before_anything_is_made(pictures):
    text = recipe(pictures).yaml() + "- {split: near-duplicates}\n"
    with pytest.raises(RecipeError, match="it comes after `train: night`"):
        parse_recipe(text)


def test_shares_of_a_batch_are_whole(pictures):
    with pytest.raises(RecipeError, match="a batch of 2 cannot be divided among 3"):
        recipe(pictures, train=", processes: 3")


def test_a_class_to_make_more_of_must_exist(pictures, tmp_path):
    wrong = parse_recipe(recipe(pictures).yaml().replace("of: cat", "of: cta"))
    with pytest.raises(RecipeError, match="there is no class 'cta'") as error:
        run(wrong, tmp_path / "out")
    assert error.value.hint == "did you mean 'cat'?"
