"""What a summary tells to type next is a command that there is, with the real path; lists say what they leave out."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from augforge.cli.app import app
from augforge.cli.render.base import more
from augforge.cli.render.next import after_run, after_training, say_next, say_what_is_earlier
from augforge.cli.render.run import MOST, show_summary
from augforge.data.record import ledger_digest
from augforge.engine.run import Summary, run
from augforge.recipe import Recipe, SourceSpec
from augforge.stages.catalog import STAGES
from augforge.stages.filters.sharpness import Sharpness
from augforge.view.serve import Viewed


@pytest.fixture
def finished(pictures: Path, tmp_path: Path) -> Path:
    """A run in a folder whose name a shell would take apart."""
    out = tmp_path / "my runs"
    run(Recipe("r", 0, (SourceSpec("folder", str(pictures)),), (Sharpness(keep=0.5),)), out)
    return out


def parse(words: list[str]) -> None:
    """Let the command line take a command apart, without running it; an error where there is no such command."""
    command: Any = get_command(app)
    context = command.make_context("augforge", [*words[1:2], "--help"], resilient_parsing=True)
    rest = words[1:]
    while hasattr(command, "get_command"):
        name, *rest = rest
        command = command.get_command(context, name)
        assert command is not None, words
    known = {option for param in command.params for option in param.opts}
    assert {word for word in rest if word.startswith("--")} <= known, words


def test_a_report_of_an_earlier_result_is_said_to_be_one(finished, capsys):
    say_what_is_earlier(str(finished))
    assert capsys.readouterr().out == ""
    (finished / "report.html").write_text("old")
    (finished / "evaluation.json").write_text('{"samples-sha256": "old"}')
    os.utime(finished / "report.html", (1, 1))
    say_what_is_earlier(str(finished))
    told = " ".join(capsys.readouterr().out.split())
    assert told == "evaluation.json and report.html there are of an earlier result"
    (finished / "report.html").write_text("new")
    (finished / "evaluation.json").write_text(json.dumps({"samples-sha256": ledger_digest(finished)}))
    say_what_is_earlier(str(finished))
    assert capsys.readouterr().out == ""


def test_what_follows_a_run_can_be_typed_as_it_stands(finished, capsys, monkeypatch):
    monkeypatch.setattr("augforge.view.serve.Viewed.run", Viewed.close)  # it is opened, and ends at once
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    say_next(after_run(finished))
    lines = capsys.readouterr().out.splitlines()
    assert [line[:6] for line in lines] == ["next: ", " " * 6, " " * 6]
    assert [line[6:].partition(" '")[0] for line in lines] == ["augforge report", "augforge view", "augforge why"]
    for line in lines:
        words = shlex.split(line.removeprefix("next:").strip().partition("  ")[0])
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize("lacking", ["starlette", "uvicorn"])
def test_what_is_not_installed_does_not_follow(finished, monkeypatch, lacking):
    monkeypatch.setattr("augforge.cli.render.next.installed", lambda package: package != lacking)
    assert [words[0] for words, _ in after_run(finished)] == ["report", "why"]


@pytest.mark.parametrize("trainer", [name for verb, name in STAGES if verb == "train"])
def test_what_follows_a_training_is_a_command_with_these_options(trainer):
    for words, _ in after_training(trainer, Path("model")):
        parse(["augforge", *map(str, words)])


def test_the_check_above_knows_what_there_is_not():
    for wrong in (["augforge", "behold", "x"], ["augforge", "filter", "classifier", "x", "--classifier", "m"]):
        with pytest.raises(AssertionError):
            parse(wrong)


def test_a_summary_lists_some_reasons_says_how_many_more_and_ends_with_what_is_next(finished, capsys):
    reasons = {"1-filter-duplicates": {f"near-duplicate of {n:08x}": 1 for n in range(MOST + 18)}}
    show_summary(Summary(str(finished), 2, 26, {}, reasons, []), 1.0)
    lines = capsys.readouterr().out.splitlines()
    assert sum("near-duplicate" in line for line in lines) == MOST
    assert "… 18 more" in lines[lines.index(next(line for line in lines if f"{MOST - 1:08x}" in line)) + 1]
    assert "augforge report" in lines[-3] and "augforge view" in lines[-2] and "augforge why" in lines[-1]


def test_a_list_that_is_cut_says_so():
    assert more(18) == "… 18 more (--json shows all)"
