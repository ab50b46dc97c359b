"""What is available: stages, models and recipes."""

from __future__ import annotations

from pathlib import Path

from augforge.errors import RecipeError, did_you_mean
from augforge.models import MODELS, Model
from augforge.models.tasks import TASKS
from augforge.stages.catalog import STAGES, stage_about

Rows = list[dict[str, str]]


def listing(what: str) -> Rows:
    """Rows that describe the stages, models or recipes; RecipeError for anything else."""
    kinds = {"stages": _stages, "models": _models, "recipes": _recipes}
    if what not in kinds:
        raise RecipeError(f"there is no list of {what!r}", did_you_mean(what, list(kinds)))
    return kinds[what]()


def _stages() -> Rows:
    return [{"verb": verb, "name": name, "about": stage_about(verb, name)} for verb, name in STAGES]


def _models() -> Rows:
    return [_model_row(m) for m in MODELS.values()]


def _model_row(model: Model) -> dict[str, str]:
    does = ", ".join(task for task in TASKS if model.backend_for(task))
    size = ", ".join(filter(None, [f"{model.native} px" if model.native else "", model.weights]))
    return {
        "name": model.name,
        "does": does,
        "licence": model.licence,
        "where": _where(model.location),
        "size": size,
        "about": model.about,
    }


def _where(location: str) -> str:
    return "built in" if Path(location).is_absolute() else location


def _recipes() -> Rows:
    """The recipes of the folder `recipes/` below the current one."""
    return [
        {"recipe": str(path), "about": _about(path.read_text(encoding="utf-8").splitlines())}
        for path in sorted(Path("recipes").glob("*.yaml"))
    ]


def _about(lines: list[str]) -> str:
    """The first two sentences of a recipe's comment, after the line with its command."""
    comment = " ".join(line.lstrip("# ") for line in lines[1:] if line.startswith("#"))
    return ". ".join(comment.split(". ")[:2])
