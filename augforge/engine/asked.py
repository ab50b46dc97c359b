"""What a filter or selector asks of the images that are known, for plans: as in a run, counted before it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from augforge.data.ledger import Ledger
from augforge.data.store import Store
from augforge.engine.runners.ask import unanswered
from augforge.engine.runners.measuring import measured_parts
from augforge.recipe.looked_at import looked_at
from augforge.stages.filter import EmbeddingFilter
from augforge.stages.question_filter import QuestionFilter
from augforge.stages.stage import Stage


@dataclass(frozen=True, slots=True)
class Asked:
    """What a stage measures: of how many images beside those that it looks at, how many have no measure yet, and where
    the measures lie, None of answers to questions, which no other stage asks."""

    beside: int
    missing: int
    folder: Path | None = None


def asked_of(stage: Stage, ledger: Ledger, store: Store) -> Asked | None:
    """What `stage` asks of the images of `ledger`; None if it measures nothing."""
    if isinstance(stage, QuestionFilter) and stage.asks_a_model:
        return Asked(0, unanswered(stage, ledger, store))
    parts = measured_parts(stage, store)
    if parts is None:
        return None
    seen = wanted = looked_at(stage, ledger)
    if isinstance(stage, EmbeddingFilter) and stage.needs_real:
        wanted = np.union1d(seen, ledger.reference(several=True))
    missing = int((parts.find(ledger.texts("digest", wanted)) < 0).sum())
    return Asked(len(wanted) - len(seen), missing, parts.folder)
