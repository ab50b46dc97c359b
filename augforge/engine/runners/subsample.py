"""Run subsamplers: leave so many real training images of each class."""

from __future__ import annotations

import numpy as np

from augforge.data.ledger import Ledger
from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.engine.context import RunContext
from augforge.stages.selector import Subsampler


def run_subsampler(stage: Subsampler, title: str, context: RunContext) -> dict[str, int]:
    """Subsample the ledger of a run; no model is needed."""
    return subsample(stage, title, context.ledger)


def subsample(stage: Subsampler, title: str, ledger: Ledger) -> dict[str, int]:
    """Drop the labelled real training images that are over their class's maximum; no other image is looked at."""
    rows = ledger.reference(several=True)
    filed = ledger.filed_under(rows)
    members: dict[str, list[Sample]] = {}
    for label, sample in zip(filed, ledger.samples(rows), strict=True):
        members.setdefault(str(label), []).append(sample)
    counts = {label: len(members[label]) for label in ledger.classes if label in members}
    max_per_class = stage.max_per_class(counts)
    left = {s.id for label, samples in members.items() for s in Pool(samples, max_per_class[label]).samples}
    dropped = [identity not in left for identity in ledger.column("id", rows)]
    gone, labels = rows[dropped], [label for label, goes in zip(filed, dropped, strict=True) if goes]
    ledger.drop(
        gone, np.array([f"not among the {max_per_class[str(label)]} of its class" for label in labels], object), title
    )
    return {"measured": 0, "reused": 0, "chosen": len(left)}
