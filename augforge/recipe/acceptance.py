"""What `until-accepted` means in a recipe: which filters count, and which cannot."""

from __future__ import annotations

from collections.abc import Sequence

from augforge.errors import RecipeError
from augforge.stages.filter import EmbeddingFilter, Filter
from augforge.stages.generator import Generator
from augforge.stages.stage import Stage

TRIES = 10
"""Most images to generate for each one to be accepted, unless the recipe says otherwise."""
ENOUGH = "accepted, but enough were before it"
"""Why an image is dropped that was accepted beyond the number asked for."""


def accepting(stages: Sequence[Stage], place: int) -> list[Stage]:
    """The filters right after the stage at `place`, up to the next stage that is none."""
    after = list(stages[place + 1 :])
    end = next((number for number, stage in enumerate(after) if stage.verb != "filter"), len(after))
    return after[:end]


def check_acceptance(stages: Sequence[Stage]) -> None:
    """RecipeError if `until-accepted` has no filter after it, or one whose threshold moves with new images."""
    for place, stage in enumerate(stages):
        if not isinstance(stage, Generator) or stage.until_accepted is None:
            continue
        where = f"stage {place + 1} (generate: {stage.name})"
        filters = accepting(stages, place)
        if not any(getattr(each, "on", "all") != "real" for each in filters):
            raise RecipeError(
                f"{where}: until-accepted needs a filter right after it that says which new images are accepted",
                "in a recipe a filter with `min` or `max`; on the command line --accept 'clip min=0.2'",
            )
        for each in filters:
            _check_bar(where, each)


def _check_bar(where: str, stage: Stage) -> None:
    """Refuse a filter that keeps a share, or compares images with each other: more images would move its threshold."""
    if not isinstance(stage, Filter):
        return
    rule = stage.rule()
    fixed = rule.minimum is not None or rule.maximum is not None
    measured_alone = not (isinstance(stage, EmbeddingFilter) and stage.reweights)
    if not stage.judges_alone or (fixed and not measured_alone):
        raise RecipeError(
            f"{where}: until-accepted cannot count what `filter: {stage.name}` accepts: that depends on the others",
            f"give `filter: {stage.name}` a fixed bar with `min` or `max`" if measured_alone else "filter by another",
        )
