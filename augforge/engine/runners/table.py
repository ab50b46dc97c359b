"""What runs each kind of stage: one line a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from augforge.engine.context import RunContext
from augforge.engine.kinds import of_kind
from augforge.engine.one_label import refuse_several
from augforge.engine.runners.caption import run_captioner
from augforge.engine.runners.classes import run_classes
from augforge.engine.runners.duplicates import run_duplicates
from augforge.engine.runners.filter import run_filter
from augforge.engine.runners.generate import run_generator
from augforge.engine.runners.label import run_labeler, run_splitter
from augforge.engine.runners.label_errors import run_noisy_labels
from augforge.engine.runners.operate import run_operator
from augforge.engine.runners.review import run_marked, run_review
from augforge.engine.runners.select import run_selector
from augforge.engine.runners.subsample import run_subsampler
from augforge.engine.runners.train import run_trainer
from augforge.stages.captioner import Captioner
from augforge.stages.captioners.classes import Classes
from augforge.stages.filter import Filter
from augforge.stages.filters.duplicates import Duplicates
from augforge.stages.filters.review import Review
from augforge.stages.generator import Generator
from augforge.stages.generators.operator import OperatorGenerator
from augforge.stages.labeler import Labeler
from augforge.stages.selector import Selector, Subsampler
from augforge.stages.selectors.noisy_labels import NoisyLabels
from augforge.stages.selectors.review import Marked
from augforge.stages.splitter import Splitter
from augforge.stages.stage import Stage
from augforge.stages.trainer import Trainer

Runner = Callable[[Any, str, RunContext], dict[str, int]]
"""Runs a stage of its kind under a title, on the ledger of a run; counts what it computed and what was there."""

RUNNERS: Mapping[type[Stage], Runner] = {
    Generator: run_generator,
    OperatorGenerator: run_operator,
    Filter: run_filter,
    Duplicates: run_duplicates,
    Review: run_review,
    Selector: run_selector,
    NoisyLabels: run_noisy_labels,
    Marked: run_marked,
    Subsampler: run_subsampler,
    Trainer: run_trainer,
    Captioner: run_captioner,
    Classes: run_classes,
    Labeler: run_labeler,
    Splitter: run_splitter,
}


def run_stage(stage: Stage, title: str, context: RunContext) -> dict[str, int]:
    """Run one stage, called `title` in the ledger; counts of what was computed, chosen and reused."""
    refuse_several(stage, context.ledger)
    return of_kind(RUNNERS, stage)(stage, title, context)
