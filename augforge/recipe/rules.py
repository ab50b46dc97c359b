"""What must hold of a recipe as a whole, whether it came from YAML or was built in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from augforge.errors import AugforgeError, RecipeError, did_you_mean
from augforge.models import MODELS
from augforge.recipe.acceptance import check_acceptance
from augforge.recipe.build import check_stage
from augforge.recipe.policy import check_licences
from augforge.recipe.source import parse_sources
from augforge.stages.captioners.classes import Classes
from augforge.stages.generator import Generator
from augforge.stages.generators.prompted import PromptedGenerator
from augforge.stages.prompts import KNOWN
from augforge.stages.splitter import Splitter
from augforge.stages.stage import Stage
from augforge.stages.trainer import Trainer

if TYPE_CHECKING:
    from augforge.recipe.recipe import Recipe


def check_recipe(recipe: Recipe) -> None:
    """Check every rule: sources, options, models, leaks, licences, what `until-accepted` can count. Loads no model.

    `parse_recipe` ends with it and `augforge.engine.run.run` begins with it, so that no recipe is run unchecked.

    Raises:
        RecipeError: with the number of the source or stage, what is wrong, and what to do.
    """
    parse_sources([source.plain() for source in recipe.sources])
    trained: dict[str, str] = {}
    for number, stage in enumerate(recipe.stages, start=1):
        where = f"stage {number} ({stage.verb}: {stage.name})"
        _check_alone(where, stage, trained)
        _check_place(where, stage, recipe.stages[: number - 1])
        if isinstance(stage, PromptedGenerator):
            _check_words(where, stage, recipe.stages[: number - 1])
        if isinstance(stage, Trainer):
            _check_called(where, stage, trained)
            trained[stage.called] = stage.task
    check_acceptance(recipe.stages)
    check_licences(recipe.stages, recipe.licences)


def _check_alone(where: str, stage: Stage, trained: Mapping[str, str]) -> None:
    try:
        check_stage(stage, trained)
    except AugforgeError as error:
        raise RecipeError(f"{where}: {error.message}", error.hint) from error


def _check_called(where: str, stage: Trainer, trained: Mapping[str, str]) -> None:
    """Refuse a name for the trained model that means another model."""
    if stage.called in trained or stage.called in MODELS:
        raise RecipeError(f"{where}: there is a model called {stage.called!r} already", "give `as` another name")


def _check_place(where: str, stage: Stage, before: Sequence[Stage]) -> None:
    """Refuse what would leak: a split after something was learnt or made, and shots of a model that saw more."""
    made = next((earlier for earlier in before if isinstance(earlier, (Trainer, Generator))), None)
    if isinstance(stage, Splitter) and made is not None:
        raise RecipeError(f"{where}: it comes after `{made.verb}: {made.name}`", "split before anything is made")
    if isinstance(stage, Generator) and stage.shots is not None:
        _check_shots(where, stage, stage.shots, [earlier for earlier in before if isinstance(earlier, Trainer)])


def _check_words(where: str, stage: PromptedGenerator, before: Sequence[Stage]) -> None:
    """Refuse a prompt that asks for what nobody lists."""
    listed = [name for earlier in before if isinstance(earlier, Classes) for name in earlier.attributes]
    known = [*sorted(KNOWN), *listed]
    if unknown := sorted(stage.asked_for() - set(known)):
        can = ", ".join(f"{{{name}}}" for name in known)
        raise RecipeError(
            f"{where}: {{{unknown[0]}}} in its prompt cannot be filled in; only {can} can",
            f"{did_you_mean(unknown[0], known)}; or put `caption: classes` with such an attribute before it",
        )


def _check_shots(where: str, stage: Generator, shots: int, trainers: Sequence[Trainer]) -> None:
    """Refuse a model of one of the trainers if it learns from more images per class than `stage` may see."""
    names = {name for name, _ in stage.models()}
    for trainer in trainers:
        if trainer.called in names and (trainer.shots is None or trainer.shots > shots):
            raise RecipeError(
                f"{where}: its model {trainer.called!r} learns from more than {shots} shots",
                f"give `train: {trainer.name}` shots: {shots}, too",
            )
