"""What a shell completes: commands, stages, models, recipes and choices."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest

from augforge.cli.commands import COMMANDS
from augforge.models import MODELS
from augforge.provenance.diff import FORMS
from augforge.provenance.drift import Level
from augforge.stages.catalog import STAGES, stage_class
from tests.cli.tree import leaves, root

EVERY = {words: (command, context) for words, command, context in leaves()}


def completed(*words: str) -> list[str]:
    """The values that the command line completes after some words; the last one may be begun."""
    *before, incomplete = words
    command, context = root()
    before = list(before)
    while hasattr(command, "list_commands") and before:
        name, command, before = command.resolve_command(context, before)
        context = command.context_class(command, info_name=name, parent=context, resilient_parsing=True)
    if before:
        option = next(param for param in command.get_params(context) if before[-1] in param.opts)
        return [item.value for item in option.shell_complete(context, incomplete)]
    if hasattr(command, "list_commands") or incomplete.startswith("-"):
        return [item.value for item in command.shell_complete(context, incomplete)]
    argument = next(param for param in command.get_params(context) if param.param_type_name == "argument")
    return [item.value for item in argument.shell_complete(context, incomplete)]


def test_commands_and_stages():
    assert completed("") == list(COMMANDS)
    assert completed("sel") == ["select", "select-subset"]
    for group in ("generate", "filter", "select", "select-subset", "train"):
        verb = "select" if group == "select-subset" else group
        assert completed(group, "") == [name for of, name in STAGES if of == verb]
    assert completed("list", "") == ["stages", "models", "recipes"]


def test_commands_come_with_their_whole_sentence():
    command, context = root()
    (found,) = command.shell_complete(context, "thres")
    assert found.help == COMMANDS["thresholds"].sentence
    assert command.get_command(context, "thresholds").params  # afterwards it builds whole commands again


@pytest.mark.parametrize("stage", STAGES)
def test_an_option_that_names_a_model_completes_those_that_can_do_its_task(stage):
    words = stage if stage in EVERY else stage[:1]
    for option, task in stage_class(*stage).tasks().items():
        fit = [name for name, row in MODELS.items() if row.backend_for(task)]
        assert completed(*words, f"--{option.replace('_', '-')}", "") == fit


def test_choices():
    assert completed("generate", "augmented-conditioning", "--dtype", "f") == ["fp32", "fp16"]
    assert completed("generate", "augmented-conditioning", "--balance-to", "") == ["max"]
    assert completed("filter", "clip", "--on", "") == ["auto", "all", "synthetic", "real"]
    assert completed("evaluate", "--mix", "c") == ["cutmix"]
    assert completed("evaluate", "--embedder", "built") == ["builtin-clip"]
    assert completed("run", "--device", "") == ["auto", "cpu", "cuda", "mps"]
    assert completed("run", "--retry", "") == ["failed"]
    assert "clip" in completed("generate", "text2img", "--accept", "")
    assert "--per-class" in completed("generate", "text2img", "--per")


def test_what_is_completed_is_what_the_library_knows():
    from augforge.io import writer_of
    from augforge.io.sample_sets import SETS

    assert completed("samples", "") == list(SETS)
    assert completed("diff", "--format", "") == list(FORMS)
    assert completed("rebuild", "--level", "") == list(get_args(Level))
    assert all(writer_of(name) for name in completed("export", "--to", "") if name != "hub")


def test_recipes_are_those_here_in_recipes_and_in_the_folder_that_is_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("own.yaml", "recipes/quickstart.yaml", "other/mine.yml", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert completed("run", "") == ["own.yaml", "recipes/quickstart.yaml"]
    assert completed("check", "recipes/q") == ["recipes/quickstart.yaml"]
    assert completed("plan", "other/") == ["other/mine.yml"]
    assert completed("run", "nowhere/") == []


def test_completion_can_be_shown_and_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    code = "from augforge.cli.app import app; app(prog_name='augforge')"
    show = [sys.executable, "-c", code, "--show-completion", "bash"]
    script = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    assert "_AUGFORGE_COMPLETE=complete_bash" in script
    install = [sys.executable, "-c", code, "--install-completion", "bash"]
    subprocess.run(install, capture_output=True, text=True, check=True)
    assert script.strip() in (tmp_path / ".bash_completions" / "augforge.sh").read_text()
    assert "augforge.sh" in (tmp_path / ".bashrc").read_text()
