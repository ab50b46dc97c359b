"""Max-loss: the images that a classifier is most wrong about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from augforge.errors import RecipeError
from augforge.select import Selection, columns, largest, losses
from augforge.stage import Selector, Task


class MaxLoss(Selector):
    """Keep the images of each class with the largest cross-entropy of a trained classifier: the hard, and the wrong.

    The baseline of *Data-Efficient Augmentation for Training Neural Networks* (NeurIPS 2022).
    """

    name: ClassVar[str] = "max-loss"
    example: ClassVar[Mapping[str, Any]] = {"share": 0.5}

    classifier: Annotated[str, Task("classification")] = Field(..., description="A classifier that was trained.")

    def choose(
        self, budget: int, labels: Sequence[str], ids: Sequence[str], features: NDArray[np.float32] | None
    ) -> Selection:
        """The largest losses per class; `features` are the classifier's logits (n, c)."""
        from augforge.models import find_model
        from augforge.models.classifier import classes_of

        assert features is not None
        classes = classes_of(find_model(self.classifier, "classification"))
        return most_wrong(features, labels, classes, budget, self.allocation)


def most_wrong(
    logits: NDArray[np.float32],
    labels: Sequence[str],
    classes: Sequence[str],
    budget: int,
    allocation: Any = "proportional",
) -> Selection:
    """The rows of `logits` (n, c) over `classes` (c,) with the largest losses, for `labels` (n,)."""
    try:
        truth = columns(labels, classes)
    except ValueError as error:
        raise RecipeError(f"max-loss: {error}", "train the classifier on every class") from None
    return largest(losses(logits, truth), budget, labels=labels, allocation=allocation, name="max-loss")
