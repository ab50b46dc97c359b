"""What the shell completes: values of arguments and options. It loads no more than the help of a command does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Completion = Callable[[str], list[str]]


def among(*values: str) -> Completion:
    """Completes one of `values`."""

    def complete(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return complete


def recipe_files(incomplete: str) -> list[str]:
    """The YAML files of the present folder, of `recipes/`, and of the folder that was typed."""
    folders = {Path(), Path("recipes"), Path(incomplete + "x").parent}
    found = {str(path) for folder in folders for path in folder.glob("*.y*ml")}
    return sorted(path for path in found if path.startswith(incomplete))


def models_for(task: str) -> Completion:
    """The names in the table of models that can do `task`."""

    def complete(incomplete: str) -> list[str]:
        from augforge.models.table import MODELS

        return [name for name, row in MODELS.items() if row.backend_for(task) and name.startswith(incomplete)]

    return complete


def stage_names(verb: str) -> Completion:
    """The names of the stages of a verb."""

    def complete(incomplete: str) -> list[str]:
        from augforge.stages.catalog import STAGES

        return [name for of, name in STAGES if of == verb and name.startswith(incomplete)]

    return complete
