"""Bars and spinners as a terminal of 80 columns shows them."""

from __future__ import annotations

import re

import pytest
from rich.console import Console

from augforge.cli.render import progress as module
from augforge.cli.render.progress import TerminalProgress
from augforge.models import MODELS
from augforge.models.sizes import size_of, told


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Console:
    """A terminal whose text is recorded."""
    console = Console(force_terminal=True, width=80, record=True, highlight=False)
    monkeypatch.setattr(module, "err", console)
    return console


def shown(console: Console) -> list[str]:
    """The lines that were shown, each as it was at some time."""
    return [line.rstrip() for line in re.split(r"[\n\r]+", console.export_text()) if line.strip()]


def test_a_bar_and_the_heading_of_its_stage_take_a_line_each(terminal):
    progress = TerminalProgress()
    progress.plan(["1-generate-augmented-conditioning", "2-filter-clip"])
    progress.stage("1-generate-augmented-conditioning")
    with progress.bar("augmented-conditioning", 1_000) as bar:
        bar.advance(1_000)
    lines = shown(terminal)
    assert lines[0] == "stage 1 of 2: generate-augmented-conditioning"
    assert re.search(r"augmented-conditioning +━+ 1000/1000 .*0:00$", lines[-1])


def test_the_time_left_is_labelled():
    class Task:
        finished, time_remaining, elapsed, finished_time = False, 12.3, 4.0, None

    assert module.Left().render(Task()).plain == "left 0:12"  # type: ignore[arg-type]
    assert module.Elapsed().render(Task()).plain == "0:04"  # type: ignore[arg-type]
    Task.finished = True
    Task.finished_time = 16.0
    assert module.Left().render(Task()).plain == ""  # type: ignore[arg-type]
    assert module.Elapsed().render(Task()).plain == "0:16"  # type: ignore[arg-type]


def test_a_spinner_names_the_model_and_its_size(terminal, monkeypatch):
    monkeypatch.setattr(module, "LONG", 0.0)
    with TerminalProgress().loading("builtin-clip", "2 MB"):
        pass
    lines = shown(terminal)
    assert any("loading builtin-clip (2 MB)" in line for line in lines)
    assert lines[-1] == "loaded builtin-clip (2 MB) in 0:00"


def test_a_model_that_loads_while_a_bar_runs_is_a_line(terminal):
    progress = TerminalProgress()
    with progress.bar("embed", 2) as bar, progress.loading("builtin-clip", "2 MB"):
        bar.advance(2)
    assert any(line.endswith("loading builtin-clip (2 MB)") for line in shown(terminal))


def test_sizes_are_those_of_the_table_or_of_the_files(tmp_path):
    from augforge.models import Model

    assert size_of(MODELS["builtin-clip"]) == "2 MB"
    (tmp_path / "model.safetensors").write_bytes(b"0" * 1_234_567)
    (tmp_path / "README.md").write_bytes(b"0" * 1_000_000)
    mine = Model("mine", ("classification",), str(tmp_path), "none", "trained")
    assert size_of(mine) == "1.2 MB"
    assert size_of(Model("far", ("diffusers",), "hub:a/b", "none", "")) == ""
    assert [told(n) for n in (0, 900, 95_000_000, 3.4e9)] == ["", "0.9 kB", "95 MB", "3.4 GB"]  # type: ignore[arg-type]
