"""A fresh interpreter stays light: the heavy libraries are loaded when they are used, and not before."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from typing import Any

import pytest

from augforge.cli.commands import COMMANDS, LISTS
from augforge.stages.catalog import STAGES, stage_about, stage_class
from tests.cli.tree import leaves

HEAVY = ("torch", "diffusers", "transformers", "open_clip", "datasets", "faiss", "sklearn", "accelerate", "timm")
NUMERICAL = ("numpy", "scipy", "pyarrow", "PIL", *HEAVY)
MOST = 3.0
"""How many times as long as `import typer, rich` a start may take."""


def loaded_by(code: str, names: tuple[str, ...] = HEAVY) -> set[str]:
    ask = f"import sys\n{code}\nprint(*[m for m in {names!r} if m in sys.modules])"
    return set(subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout.split())


def calling(*arguments: str) -> str:
    """Code that runs the command line without its output."""
    return f"""
import contextlib, io, sys
sys.argv = ["augforge", *{arguments!r}]
from augforge.cli.app import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
"""


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import augforge") == set()


def test_importing_every_stage_and_the_engine_loads_nothing_heavy():
    stages = "\n".join(f"stage_class({verb!r}, {name!r})" for verb, name in STAGES)
    assert (
        loaded_by(
            f"from augforge.stages.catalog import stage_class\n{stages}\nimport augforge.engine.run, augforge.recipe"
        )
        == set()
    )


def test_a_stage_loads_no_numpy_until_it_computes():
    """What `augforge VERB STAGE --help` loads; one that fails imports numpy or an algorithm outside its functions."""
    ask = f"""
import json, sys
from augforge.stages.catalog import STAGES, stage_class
found = []
for verb, name in STAGES:
    stage_class(verb, name)
    found += [f"{{verb}} {{name}}: {{m}}" for m in {NUMERICAL!r} if m in sys.modules]
    if found:
        break
print(json.dumps(found))
"""
    assert json.loads(subprocess.check_output([sys.executable, "-c", ask], text=True)) == []


@pytest.mark.parametrize("stage", STAGES)
def test_the_sentence_about_a_stage_is_that_of_its_class(stage):
    words = " ".join((stage_class(*stage).__doc__ or "").split())
    assert stage_about(*stage).endswith(".") and words.startswith(stage_about(*stage))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["generate", "--help"],
        ["generate", "augmented-conditioning", "--help"],
        ["filter", "clip", "--help"],
        ["select", "--help"],
        ["train", "paired", "--help"],
        ["evaluate", "--help"],
        ["split", "--help"],
        ["list", "stages"],
        ["list", "recipes"],
    ],
)
def test_help_and_lists_of_a_fresh_interpreter_load_nothing_numerical(arguments):
    assert loaded_by(calling(*arguments), NUMERICAL) == set()


def test_the_help_of_every_command_loads_nothing_numerical():
    """In one interpreter, which is asked after each."""
    every: list[list[str]] = [[*words, "--help"] for words, _, _ in leaves()]
    assert len(every) > len(STAGES) + len(COMMANDS) + len(LISTS)
    ask = f"""
import contextlib, io, json, sys
from augforge.cli.app import app
found = []
for words in {every!r}:
    with contextlib.redirect_stdout(io.StringIO()) as told, contextlib.suppress(SystemExit):
        app(words, prog_name="augforge")
    assert "Usage: " + " ".join(["augforge", *words[:-1]]) in " ".join(told.getvalue().split()), words
    found += [f"{{words}}: {{m}}" for m in {NUMERICAL!r} if m in sys.modules]
    if found:
        break
print(json.dumps(found))
"""
    assert json.loads(subprocess.check_output([sys.executable, "-c", ask], text=True)) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("augforge ev", {"evaluate"}),
        ("augforge generate te", {"text2img"}),
        ("augforge filter clip --model builtin", {"builtin-clip"}),
        ("augforge filter clip --model=builtin", {"builtin-clip"}),
        ("augforge evaluate --mix res", {"resizemix"}),
    ],
)
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_in_a_shell_loads_nothing_numerical(line, expected, shell, monkeypatch):
    words = line.split()
    monkeypatch.setenv("_AUGFORGE_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
    code = "\nimport contextlib, sys\nfrom augforge.cli.app import app\n" + (
        "with contextlib.suppress(SystemExit):\n    app(prog_name='augforge')\n"
        f"print(*[m for m in {NUMERICAL!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []
    for value in expected if "=" not in line or shell == "zsh" else ():
        assert value in done.stdout


def test_only_render_imports_rich_and_only_the_command_line_imports_typer():
    code = "import augforge.engine.run, augforge.recipe.recipe, augforge.provenance.lineage, augforge.recipe.listing"
    ask = f"import sys\n{code}\nprint(*[m for m in ('rich', 'typer') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
    assert out.split() == []


def seconds(*arguments: str) -> float:
    """Processor time of an interpreter, which other processes on the machine change less than the time of day."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    given: dict[str, Any] = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True, env=given)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.slow
def test_every_start_takes_less_than_three_times_the_import_of_typer_and_rich(capsys):
    """All commands in one run, each beside the import in turn; the best of four tries counts."""
    base, main = ("-c", "import typer, rich"), "from augforge.cli.app import main; main()"
    starts = [["--help"], ["--version"], ["list", "stages"], ["list", "recipes"]]
    starts += [[*words, "--help"] for words, _, _ in leaves()]
    ratios = {}
    for words in starts:
        taken = [(seconds("-c", main, *words), seconds(*base)) for _ in range(4)]
        ratios[" ".join(words)] = min(start for start, _ in taken) / min(least for _, least in taken)
    ratios = dict(sorted(ratios.items(), key=lambda item: item[1]))
    with capsys.disabled():
        print("\n" + "\n".join(f"{ratio:5.2f}  augforge {words}" for words, ratio in ratios.items()))
    assert max(ratios.values()) < MOST, ratios
