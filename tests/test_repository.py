"""What stands around the code: workflows, forms and hooks are well-formed and agree with the rest."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = [path for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")) if path.name != "config.yml"]
KINDS = {"checkboxes", "dropdown", "input", "markdown", "textarea"}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.lower().replace("_", "-").split("==") for line in lines if not line.startswith("#"))


def words(text: str) -> list[str]:
    return re.findall(r"[\w.-]+", text)


def test_there_are_workflows_and_forms():
    assert [path.stem for path in WORKFLOWS] == ["tests"] and [path.stem for path in FORMS] == ["bug", "feature"]
    assert (ROOT / ".github" / "PULL_REQUEST_TEMPLATE.md").read_text(encoding="utf-8").startswith("## ")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_what_it_needs(path):
    flow = read(path)
    assert True in flow, "YAML reads the key `on` as true"
    for name, job in flow["jobs"].items():
        assert {"runs-on", "steps", "timeout-minutes"} <= set(job), name
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step), step
            assert "@v" in step.get("uses", "@v"), "actions are pinned"


def test_every_python_that_is_allowed_is_tested_and_so_are_the_lowest_versions():
    matrix = read(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["tests"]["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert project()["requires-python"] == f">={matrix['python'][0]}"
    assert {"python": "3.11", "versions": "lowest"} in matrix["include"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_has_what_the_forge_asks_for(path):
    form = read(path)
    assert form["name"] and form["description"] and form["body"]
    names = [field["id"] for field in form["body"]]
    assert len(set(names)) == len(names)
    for field in form["body"]:
        assert field["type"] in KINDS and field["attributes"]["label"]
        if field["type"] in ("checkboxes", "dropdown"):
            assert field["attributes"]["options"]


def test_the_chooser_of_forms_is_well_formed():
    chooser = read(ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml")
    assert set(chooser) <= {"blank_issues_enabled", "contact_links"}
    assert isinstance(chooser["blank_issues_enabled"], bool)


def test_the_hooks_run_the_tools_that_the_tests_run_with():
    hooks = {hook["id"]: repo for repo in read(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]}
    assert set(hooks) == {"ruff-check", "ruff-format", "mypy"}
    assert hooks["ruff-check"]["rev"] == f"v{constraints()['ruff']}"
    assert hooks["mypy"]["repo"] == "local"


def test_everything_that_the_tests_need_is_constrained_except_torch():
    extras = project()["optional-dependencies"]
    wanted = [*project()["dependencies"], *(each for name in extras for each in extras[name])]
    names = {words(each)[0].lower().replace("_", "-") for each in wanted} - {"augforge"}
    assert names - set(constraints()) == {"torch", "torchvision"}
    assert all(">=" in each or each.startswith("augforge[") for each in wanted), "the lowest versions can be tested"


def test_ci_runs_what_a_contributor_is_told_to_run():
    path = ROOT / ".ci" / "run"
    lines = path.read_text(encoding="utf-8").splitlines()
    for wanted in ("scripts/check", "scripts/docs", "scripts/gpu --device cpu --smoke"):
        assert wanted in lines
    assert any(line.endswith("scripts/rebuild") for line in lines)
    assert os.access(path, os.X_OK)
