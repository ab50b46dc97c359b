"""Locks are written and compared by any engine: the same lock, and drift is found by all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import augforge
from augforge.cli.app import app
from augforge.errors import RecipeError
from tests.conftest import write_images

PROCESSES = ("--engine", "processes", "--workers", "2")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    pictures = write_images(tmp_path / "pictures", {"cat": 5, "dog": 3})
    path = tmp_path / "small.yaml"
    path.write_text(
        f"name: small\nsource: {{folder: {pictures}}}\nstages: [{{filter: sharpness, on: all, keep: 0.7}}]\n"
    )
    return path


def told(*words: object) -> tuple[int, str]:
    """The exit code and what is printed."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stdout


def test_processes_write_and_find_the_same_lock(recipe: Path, tmp_path: Path) -> None:
    assert told("lock", recipe, "--out", tmp_path / "here")[0] == 0
    lock = recipe.with_suffix(".lock").read_bytes()
    recipe.with_suffix(".lock").unlink()
    assert told("lock", recipe, "--out", tmp_path / "there", *PROCESSES)[0] == 0
    assert recipe.with_suffix(".lock").read_bytes() == lock
    code, text = told("rebuild", recipe, "--out", tmp_path / "again", "--json", *PROCESSES)
    assert code == 0 and json.loads(text)["same"], text
    recipe.write_text(recipe.read_text().replace("0.7", "0.5"))
    assert told("rebuild", recipe, "--out", tmp_path / "again", *PROCESSES)[0] == 3


def test_settings_of_ray_are_refused_for_others(recipe: Path, tmp_path: Path) -> None:
    for command in ("lock", "rebuild"):
        code, text = told(command, recipe, "--out", tmp_path / "out", "--address", "auto")
        assert code != 0 and not (tmp_path / "out").exists(), text


def test_from_python(recipe: Path, tmp_path: Path) -> None:
    lock = tmp_path / "python.lock"
    found = augforge.Recipe.load(recipe)
    found.lock(lock, tmp_path / "here", engine="processes", workers=2)
    assert found.rebuild(lock, tmp_path / "again", engine="processes", workers=2).same
    with pytest.raises(RecipeError, match="address"):
        found.rebuild(lock, tmp_path / "again", address="auto")


def test_processes_find_what_is_wrong_with_a_folder_as_one_does(recipe: Path, tmp_path: Path) -> None:
    """A flipped bit in a part and one in an image of the dataset; and the folder is left as it is."""
    out = tmp_path / "here"
    told("run", recipe, "--out", out)
    assert told("verify", out, *PROCESSES)[0] == 0
    for path in (next(out.glob("parts/filter-*/*.arrow")), next(out.glob("dataset/**/*.arrow"))):
        content = bytearray(path.read_bytes())
        content[content.find(b"\x89PNG") + 60 if b"\x89PNG" in content else len(content) // 2] ^= 1
        path.write_bytes(content)
    before = sorted(out.rglob("*"))
    findings = [json.loads(told("verify", out, "--json", *how)[1]) for how in ((), PROCESSES)]
    assert findings[0] == findings[1] and len(findings[0]["findings"]) >= 2 and not findings[0]["sound"]
    assert sorted(out.rglob("*")) == before
    assert told("verify", out, "--engine", "ray")[0] not in (0, 3)
    assert told("verify", out, "--engine", "proceses")[0] not in (0, 3)
