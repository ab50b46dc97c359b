"""Training in Python: the same model as `augforge train` makes, from the same sources."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import augforge
from augforge.api.models import train
from augforge.cli.app import app
from augforge.stages.catalog import STAGES, stage_class
from augforge.stages.trainer import Trainer
from tests.conftest import write_images

TRAINERS = [name for verb, name in STAGES if verb == "train"]


def options_of(name: str) -> dict[str, Any]:
    """The example of a trainer, named as in Python."""
    return {key.replace("-", "_"): value for key, value in stage_class("train", name).example.items()}


def identity(folder: Path) -> str:
    return str(json.loads((folder / "model.json").read_text())["identity"])


def test_a_model_is_that_of_the_command(pictures: Path, tmp_path: Path) -> None:
    command = ["train", "classifier", str(pictures), "--steps", "3", "--seed", "2", "--out", str(tmp_path / "cli")]
    assert CliRunner().invoke(app, command).exit_code == 0
    made = augforge.train("classifier", tmp_path / "api", source=pictures, steps=3, seed=2, device="cpu")
    assert made["trained"] == 3 and identity(tmp_path / "api") == identity(tmp_path / "cli") == made["identity"]
    again = augforge.train("classifier", tmp_path / "api", source=[pictures], steps=3, seed=2, device="cpu")
    assert again["trained"] == 0
    anew = augforge.train("classifier", tmp_path / "api", source=pictures, steps=4, resume=False, device="cpu")
    assert anew["trained"] == 4


def test_roles_are_named(tmp_path: Path) -> None:
    source = write_images(tmp_path / "pictures", {"day": 4, "night": 4})
    roles = {"day": source / "day", "night": [str(source / "night")]}
    made = augforge.train("night", tmp_path / "model", **{**options_of("night"), **roles}, device="cpu")
    assert {role: data["images"] for role, data in made["data"].items()} == {"day": 4, "night": 4}


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("clasifier", {}, "there is no train stage called 'clasifier'"),
        ("classifier", {}, "train classifier: source is missing"),
        ("night", {"source": "sample:digits"}, "train night: it takes no source"),
        ("night", {"day": "sample:digits"}, "--night is missing"),
        ("classifier", {"source": "sample:digits", "step": 3}, "unknown key 'step'"),
        ("classifier", {"source": "sample:digits", "backbone": "resnet"}, "there is no backbone 'resnet'"),
        ("classifier", {"source": {"foldr": "x"}}, "source 1: it needs exactly one of"),
        ("classifier", {"source": "sample:digits", "limit": 0}, "limit: 0 is not at least 1"),
        ("classifier", {"source": "sample:digits", "max_bad": 2}, "max_bad: 2 is no share"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_read(
    tmp_path: Path, name: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(augforge.AugforgeError, match=message):
        augforge.train(name, tmp_path / "model", **given)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", TRAINERS)
def test_no_option_of_a_trainer_is_hidden_by_an_argument(name: str) -> None:
    cls = stage_class("train", name)
    assert issubclass(cls, Trainer)
    assert not set(inspect.signature(train).parameters) & (set(cls.model_fields) | set(cls.arguments))
