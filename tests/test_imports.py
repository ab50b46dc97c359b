"""A fresh interpreter stays light: the heavy libraries are loaded when a model is, and not before."""

import subprocess
import sys

import pytest

from augforge.stages.catalog import STAGES

HEAVY = ("torch", "diffusers", "transformers", "open_clip", "datasets", "faiss", "sklearn", "accelerate", "timm")


def loaded_by(code: str) -> set[str]:
    ask = f"import sys\n{code}\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    return set(subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout.split())


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


@pytest.mark.parametrize(
    "arguments", [["--help"], ["generate", "--help"], ["filter", "clip", "--help"], ["list", "stages"]]
)
def test_help_and_lists_load_nothing_heavy(arguments):
    code = f"""
import contextlib, io, sys
sys.argv = ["augforge", *{arguments!r}]
from augforge.cli.app import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
"""
    assert loaded_by(code) == set()


def test_only_render_imports_rich_and_only_the_command_line_imports_typer():
    code = "import augforge.engine.run, augforge.recipe.recipe, augforge.provenance.lineage, augforge.recipe.listing"
    ask = f"import sys\n{code}\nprint(*[m for m in ('rich', 'typer') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
    assert out.split() == []
