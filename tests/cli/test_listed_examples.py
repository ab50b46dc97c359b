"""`augforge list stages`: every stage has one command as an example, and it runs as it stands."""

from __future__ import annotations

import json
import shlex

import pytest
from typer.testing import CliRunner

from augforge.cli.app import app
from augforge.stages.catalog import STAGES


def listed() -> dict[tuple[str, str], list[str]]:
    result = CliRunner().invoke(app, ["list", "stages", "--json"])
    assert result.exit_code == 0, result.output
    return {(row["verb"], row["name"]): shlex.split(row["example"]) for row in json.loads(result.output)}


def test_every_stage_has_an_example_in_one_line():
    told = CliRunner().invoke(app, ["list", "stages"]).output.splitlines()
    found = listed()
    assert found.keys() == set(STAGES)
    for (verb, name), words in found.items():
        assert words[:3] == ["augforge", verb, name] and "--out" in words
        assert f"  {shlex.join(words)}" in told


HUB = {("generate", "variation")}
"""Stages with a model of the hub only."""


def needs_another(words: list[str]) -> bool:
    """Whether the command uses what another one has to make first, or takes images of several kinds."""
    return any(word.startswith(("models/", "photos", "masks", "frames", "runs/")) for word in words[3:-2])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "name"), [stage for stage in STAGES if stage not in HUB and not needs_another(listed()[stage])]
)
def test_an_example_runs_as_it_stands(verb, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(
        app, [*listed()[verb, name][1:], "--yes"] if verb == "generate" else listed()[verb, name][1:]
    )
    assert result.exit_code == 0, result.output
