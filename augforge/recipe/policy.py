"""Licences of a recipe's models, before anything is loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from augforge.errors import RecipeError
from augforge.models import Model, find_model
from augforge.models.licences import is_allowed, licence_of, location_licence
from augforge.stages.stage import Stage
from augforge.stages.trainer import Trainer


def check_licences(stages: Sequence[Stage], policy: Collection[str], by: str = "the recipe") -> None:
    """RecipeError where a model, an adapter or a prior has a licence that `policy` does not name; () allows all.

    `by` is who has this policy, as the message calls it.
    Models that the recipe trains are its user's own; of others that are not in the table the card is read where it is
    on this disk, and what no card states is unknown, which no policy allows.
    """
    if not policy:
        return
    for where, name, licence in _licences(stages):
        if not is_allowed(licence, policy):
            raise RecipeError(
                f"{where}: the licence of {name!r} is {licence}, and {by} allows only {', '.join(policy)}",
                "use another model (augforge list models names licences), or allow this licence",
            )


def _licences(stages: Sequence[Stage]) -> Iterator[tuple[str, str, str]]:
    """The stage, name and licence of all that is loaded."""
    for where, stage, model in models_of(stages):
        yield where, model.name, licence_of(model)
        for location in stage.companions():
            yield where, location, location_licence(location)


def models_of(stages: Sequence[Stage]) -> Iterator[tuple[str, Stage, Model]]:
    """Each stage's place and itself, with every model that it loads and that the recipe does not train."""
    trained: set[str] = set()
    for number, stage in enumerate(stages, start=1):
        for name, task in stage.models():
            if name not in trained:
                yield f"stage {number} ({stage.verb}: {stage.name})", stage, find_model(name, task)
        if isinstance(stage, Trainer):
            trained.add(stage.called)
