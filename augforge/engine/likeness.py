"""The vectors that a generator plans by: of the images that it may be conditioned on."""

from __future__ import annotations

import numpy as np

from augforge.data.likeness import Likeness
from augforge.engine.context import RunContext
from augforge.stages.generator import Generator

TASK = "image-embedding"


def likeness_for(stage: Generator, title: str, context: RunContext) -> Likeness | None:
    """What the stage's model of images says of those that may condition it; None if it plans without one."""
    option = next((name for name, task in stage.tasks().items() if task == TASK and stage.plans_by_likeness), None)
    if option is None:
        return None
    ledger = context.ledger
    wanted = {s.id for pool in ledger.conditioning(stage.split, not stage.needs_labels).values() for s in pool}
    places = ledger.visible("real")
    indices = places[np.array([identity in wanted for identity in ledger.column("id", places)], dtype=bool)]
    vectors = context.embedders.of(getattr(stage, option), TASK).images(ledger, indices, context.drop_as(title))
    return Likeness(ledger.column("id", indices), vectors)
