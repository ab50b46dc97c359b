"""Every recipe of the repository runs, and so does the README's first command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from datasets import load_from_disk

from augforge.models import MODELS
from augforge.recipe import parse_recipe
from augforge.stages.catalog import VERBS, stage_class
from augforge.stages.stage import kebab
from tests.conftest import write_images
from tests.test_laws import rows

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))


def augforge(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "augforge.cli.app", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)


def test_the_first_command_of_the_readme_works_and_its_result_makes_sense(tmp_path):
    line = next(line for line in (ROOT / "README.md").read_text().splitlines() if "augforge run" in line)
    arguments = re.search(r"augforge (run .*)$", line).group(1).split()
    out = tmp_path / "quickstart"
    augforge(*arguments[:-1], out)
    data = load_from_disk(str(out / "dataset"))
    assert data.column_names[:7] == ["image", "label", "id", "origin", "weight", "scores", "provenance"]
    assert data.features["label"].names == [str(digit) for digit in range(10)]
    ledger = rows(out)
    made = [row for row in ledger.values() if row["origin"] == "synthetic"]
    real = [row for row in ledger.values() if row["origin"] == "real"]
    assert len(made) > len(real) and all(row["kept"] for row in real)
    assert 0.5 < sum(row["kept"] for row in made) / len(made) < 0.6  # 0.8 * 0.7
    kept = next(row["id"] for row in made if row["kept"])
    life = json.loads(augforge("why", out, kept, "--json").stdout)
    assert all(parent["source"].startswith("sample digits") for parent in life["parents"])
    again = augforge(*arguments[:-1], out)
    assert "nothing was computed" in again.stdout


def without_hub(stage: dict, tiny_models: dict[str, str]) -> dict[str, str]:
    """Tiny models in place of those that a stage has from the hub."""
    verb, name = next((key, stage[key]) for key in VERBS if key in stage)
    named = {option: (stage.get(kebab(option)), task) for option, task in stage_class(verb, name).tasks().items()}
    far = {option: task for option, (model, task) in named.items() if model in MODELS and not MODELS[model].is_here}
    fitting = {"fine-tuning": "image-to-image"}  # a LoRA is of the model that generates
    return {kebab(option): tiny_models[fitting.get(task, task)] for option, task in far.items()}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_says_how_to_run_it_and_runs_on_a_small_source(recipe, tmp_path, tiny_models):
    text = recipe.read_text()
    assert re.match(rf"# augforge run recipes/{recipe.name} --out runs/", text)
    plain = parse_recipe(text).plain()
    if "folder" in plain["source"] or "parquet" in plain["source"]:
        plain["source"] = {"folder": str(write_images(tmp_path / "set", {"daisy": 5, "roses": 3}))}
    for stage in plain["stages"]:
        if "train" in stage:
            own_network = stage["train"] not in ("classifier", "lora")
            stage.update({"steps": 2, **({"width": 4, "blocks": 1} if own_network else {})})
            stage.update({"size": 32} if stage["train"] == "lora" else {})
        if "generate" in stage:
            steps = 4 if "strength" in stage else 1
            stage.update({"batch": 4} if stage["generate"] in ("night", "paired") else {"batch": 4, "steps": steps})
            if "per-class" in stage:
                stage["per-class"] = 2
        stage.update(without_hub(stage, tiny_models))
    small = tmp_path / recipe.name
    small.write_text(yaml.safe_dump(plain))
    # what two steps have taught makes constant pictures, none of which is kept
    augforge("run", small, "--out", tmp_path / "out", "--limit", 120, "--allow-empty")
    assert any(row["origin"] == "synthetic" for row in rows(tmp_path / "out").values())
