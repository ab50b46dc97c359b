"""Labelled real images that a classifier did not learn from: what a threshold of it may be set by."""

from __future__ import annotations

import numpy as np

from augforge.data.ledger import Indices, Ledger
from augforge.errors import RecipeError
from augforge.models import Model
from augforge.models.directory import DIGITS, trained_on


def held_out(ledger: Ledger, split: str, model: Model) -> tuple[Indices, str]:
    """The kept, labelled real images of `split`, or, where there are none, those outside evaluation splits that the
    classifier did not learn from; and which they are, for a sentence.

    Raises:
        RecipeError: there are none, or the classifier's record does not say what it learnt from.
    """
    seen = None if model.directory is None else trained_on(model.directory)
    real = ledger.visible("real")
    real = real[ledger.class_index(real) >= 0]
    apart = np.array([name == split for name in ledger.column("split", real)], dtype=bool)
    where = f"the images of split {split}" if apart.any() else "the images that the classifier did not learn from"
    candidates = real[apart] if apart.any() else ledger.reference()
    if seen is None and not apart.any():
        raise RecipeError(
            f"{model.name!r} does not say which images it learnt from, and there is no split {split!r}",
            "name a split with labelled images that it did not learn from, as held-out",
        )
    digests = ledger.column("digest", candidates)
    unseen = np.array([digest[:DIGITS] not in (seen or ()) for digest in digests], dtype=bool)
    if not unseen.any():
        raise RecipeError(
            f"{model.name!r} learnt from all labelled images, so that nothing can set a threshold",
            f"give images of a split {split!r}, or train it on fewer (train classifier holds out 10 %)",
        )
    return candidates[unseen], where
