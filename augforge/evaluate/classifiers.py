"""What tasks with labels of whole images share: their learners, and what of a test set does not fit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from augforge.data.classes import Shares, is_soft
from augforge.engine.one_label import HINT, needs_one_label
from augforge.errors import RecipeError, SourceError, did_you_mean
from augforge.evaluate.arms import Arm, arms_of, class_sizes
from augforge.evaluate.goals import Goal
from augforge.evaluate.learners import Learner
from augforge.evaluate.network import NetworkLearner
from augforge.evaluate.probe import ProbeLearner
from augforge.evaluate.settings import PROBE
from augforge.models.devices import pick_device

if TYPE_CHECKING:
    from augforge.evaluate.tasks.base import Bench
    from augforge.stages.selector import Subsampler


def classifier(bench: Bench, goal: Goal, real: Arm, subsampler: Subsampler | None) -> Learner:
    """A linear probe on embeddings, or a network on pixels."""
    if bench.settings.learner != PROBE:
        return NetworkLearner(bench, goal, pick_device(bench.device))
    made = bench.outcomes.made
    every = arms_of(bench.outcomes, ["real", "real+synthetic"] if made.any() else ["real"], subsampler)[-1]
    return ProbeLearner(bench, goal, real, class_sizes(bench.ledger, every.rows[made[every.rows]]))


def refuse_several(what: str, several: Collection[Shares]) -> None:
    """RecipeError, with the tasks that can use them, where images have several labels or a soft one."""
    if not several:
        return
    soft = [is_soft(shares) for shares in several]
    tasks = [name for name, there in (("multi-label", not all(soft)), ("soft-label", any(soft))) if there]
    error = needs_one_label(what, several)
    raise RecipeError(error.message, f"use {' or '.join(f'--task {name}' for name in tasks)}; or {HINT}")


def refuse_strangers(source: str, labels: Iterable[str], classes: Sequence[str]) -> None:
    """SourceError where one of `labels` is not among the classes of the run."""
    for label in dict.fromkeys(labels):
        if label not in classes:
            raise SourceError(
                f"{source} has images of the class {label!r}, which the run does not have",
                did_you_mean(str(label), list(classes)),
            )
