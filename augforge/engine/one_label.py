"""Stages that need one class per image, and images that have several labels or a soft label."""

from __future__ import annotations

from collections.abc import Collection

from augforge.data.classes import Shares, is_soft
from augforge.data.ledger import Ledger
from augforge.errors import RecipeError
from augforge.recipe.looked_at import looked_at
from augforge.stages.stage import Stage
from augforge.stages.trainer import Trainer

HINT = "give each image one class (a source's option `class: NAME`), or keep such images in a source of their own"


def refuse_several(stage: Stage, ledger: Ledger) -> None:
    """RecipeError where `stage` needs one class per image, and some that it looks at have several or a soft label."""
    if not stage.needs_one_label:
        return
    seen = ledger.visible("real") if isinstance(stage, Trainer) else looked_at(stage, ledger)
    if several := ledger.several(seen):
        raise needs_one_label(f"{stage.verb} {stage.name}", several.values())


def needs_one_label(what: str, several: Collection[Shares], why: str = "it needs one class per image") -> RecipeError:
    """The one error of what cannot take images with several labels: `why`, and how many there are."""
    return RecipeError(f"{what}: {why}, and {told(several)}", HINT)


def told(several: Collection[Shares]) -> str:
    """How many images have several labels, and how many a soft label."""
    soft = sum(map(is_soft, several))
    counts = ((len(several) - soft, "several labels"), (soft, "a soft label"))
    return " and ".join(
        f"{count:,} {'image has' if count == 1 else 'images have'} {what}" for count, what in counts if count
    )
