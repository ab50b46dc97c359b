"""CONTRIBUTING's filter and generator do what it says: taken from the page, they run, and keep the laws."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from augforge.cli.app import app
from augforge.recipe import parse_recipe
from augforge.recipe.listing import listing
from augforge.stages import catalog
from tests import test_laws as laws

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"in `augforge/(stages/\w+/\w+\.py)`:\n\n```python\n(.*?)```.*?```python\n(.*?)```", re.DOTALL)
STAGES = {path: (code, ast.literal_eval(f"{{{line.strip()}}}")) for path, code, line in BLOCK.findall(TEXT)}


@pytest.fixture(params=STAGES, ids=lambda path: Path(path).stem)
def added(request, tmp_path, monkeypatch) -> tuple[str, str]:
    """A stage of the page, its file in its folder and its line in the catalog; verb and name."""
    path = Path(request.param)
    code, line = STAGES[request.param]
    (tmp_path / "added").mkdir()
    (tmp_path / "added" / path.name).write_text(code, encoding="utf-8")
    package = import_module(f"augforge.stages.{path.parent.name}")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / "added")])
    ((stage, target),) = line.items()
    monkeypatch.setitem(catalog.STAGES, stage, target)
    assert target == f"augforge.stages.{path.parent.name}.{path.stem}:{target.rpartition(':')[2]}"
    yield stage
    sys.modules.pop(target.partition(":")[0], None)
    catalog.stage_class.cache_clear()


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.output


def test_the_page_adds_a_filter_and_a_generator():
    assert [stage for _, line in STAGES.values() for stage in line] == [("filter", "brightness"), ("generate", "noise")]
    filter_code = STAGES["stages/filters/brightness.py"][0]
    assert len(filter_code.strip().splitlines()) <= 40


@pytest.mark.parametrize("path", STAGES)
def test_the_code_is_clean(path):
    command = [sys.executable, "-m", "ruff"]
    name = ["--stdin-filename", f"augforge/{path}", "-"]
    for check in (["check", "--quiet"], ["format", "--check", "--quiet"]):
        done = subprocess.run(
            [*command, *check, *name], input=STAGES[path][0], text=True, cwd=ROOT, capture_output=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_command_a_recipe_and_the_list_know_it(added, tmp_path):
    verb, name = added
    options = {"filter": ("--keep", 0.5), "generate": ("--per-class", 3)}[verb]
    invoke(verb, name, "sample:digits", *options, "--limit", 40, "--out", tmp_path / "out")
    rows = list(laws.rows(tmp_path / "out").values())
    if verb == "filter":
        judged = [row for row in rows if row["dropped_by"] or row["kept"]]
        assert all(0 <= dict(row["scores"])["brightness"] <= 255 for row in judged)
        assert 0 < sum(row["kept"] for row in rows) < len(rows)
    else:
        made = [row for row in rows if row["origin"] == "synthetic"]
        assert len(made) == 3 * len({row["label"] for row in rows}) and all(row["kept"] for row in made)
        assert all(0 <= json.loads(row["sampled_params"])["std"] <= 0.2 for row in made)
    again = invoke(verb, name, "sample:digits", *options, "--limit", 40, "--out", tmp_path / "out")
    assert "nothing was computed" in again
    recipe = parse_recipe(f"source: {{sample: digits}}\nstages: [{{{verb}: {name}}}]")
    assert recipe.stages[0].name == name
    assert {"verb": verb, "name": name} in [{k: row[k] for k in ("verb", "name")} for row in listing("stages")]


def test_the_generator_keeps_the_laws(added, tmp_path):
    if added[0] != "generate":
        return
    pictures = laws.write_images(tmp_path / "pictures", {"cat": 4, "dog": 3, "lone": 1})
    for number, law in enumerate(
        (
            laws.test_1_nothing_disappears,
            laws.test_2_batch_size_does_not_matter,
            laws.test_3_a_second_run_computes_nothing_and_a_fresh_one_is_equal,
            laws.test_4_more_copies_only_add,
            laws.test_5_the_example_both_keeps_and_drops_or_makes,
        )
    ):
        law({}, pictures, tmp_path / str(number), added)


def test_a_generator_with_its_own_randomness_would_be_found(tmp_path, monkeypatch):
    """The known wrong variant: noise from a global generator differs from batch to batch."""
    code, line = STAGES["stages/generators/noise.py"]
    wrong = code.replace('rng(sample.seed or 0, "noise")', "np.random")
    assert wrong != code
    (tmp_path / "added").mkdir()
    (tmp_path / "added" / "noise.py").write_text(wrong, encoding="utf-8")
    package = import_module("augforge.stages.generators")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / "added")])
    monkeypatch.setitem(catalog.STAGES, ("generate", "noise"), line["generate", "noise"])
    pictures = laws.write_images(tmp_path / "pictures", {"cat": 4, "dog": 3})
    try:
        with pytest.raises(AssertionError):
            laws.test_2_batch_size_does_not_matter({}, pictures, tmp_path / "out", ("generate", "noise"))
    finally:
        sys.modules.pop("augforge.stages.generators.noise", None)
        catalog.stage_class.cache_clear()
