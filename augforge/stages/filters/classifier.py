"""Classifier: how sure is an image classifier of an image, or of its label?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from augforge.stages.filter import EmbeddingFilter
from augforge.stages.stage import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.rules import Scale
    from augforge.stages.filter_inputs import FilterInputs, Vectors

Scores: TypeAlias = "NDArray[np.float64]"


class Classifier(EmbeddingFilter):
    """Keep the images that a classifier is sure of; without a rule outliers go, on the scale of log-odds.

    Measures of its softmax p: `confidence`, the largest p, in [1/c, 1]; `entropy` in nats, in [0, ln c], less is better
    (SemiUHPE keeps the share of lowest entropy of all unlabelled images: `by: entropy`, `keep: 0.75`, `scope: all`);
    `label-probability`, p of the image's own label, in [0, 1], NaN for a label that the classifier does not know.
    """

    name: ClassVar[str] = "classifier"
    compares_classes: ClassVar[bool] = True
    measures: ClassVar[tuple[str, ...]] = (
        "classifier-confidence",
        "classifier-entropy",
        "classifier-label-probability",
    )
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"classifier-entropy"})
    scales: ClassVar[Mapping[str, Scale]] = {
        "classifier-confidence": "logit",
        "classifier-entropy": "log",
        "classifier-label-probability": "logit",
    }
    finds_outliers: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    model: Annotated[str, Task("classification")] = Field(..., description="A classifier that was trained.")
    by: Literal["confidence", "entropy", "label-probability"] = Field(
        default="confidence", description="The measure that the rule looks at."
    )

    @property
    def needs_labels(self) -> bool:
        """Only the probability of its label does."""
        return self.by == "label-probability"

    def compare(self, inputs: FilterInputs) -> dict[str, Scores]:
        """The three measures of the classifier's softmax."""
        import numpy as np

        probabilities = softmax(inputs.images)
        places = {name: place for place, name in enumerate(inputs.known)}
        columns = np.array([places.get(name, -1) for name in inputs.names] + [-1])[inputs.classes]
        own = probabilities[np.arange(len(inputs)), columns]
        return {
            "classifier-confidence": probabilities.max(axis=1),
            "classifier-entropy": entropy(probabilities),
            "classifier-label-probability": np.where(columns >= 0, own, np.nan),
        }


def softmax(logits: Vectors) -> Scores:
    """(n, c) probabilities of logits (n, c)."""
    import numpy as np

    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    terms = np.exp(shifted)
    probabilities: Scores = terms / terms.sum(axis=1, keepdims=True)
    return probabilities


def entropy(probabilities: Scores) -> Scores:
    """(n,) Shannon's entropy of each row of (n, c), in nats; a probability of 0 adds nothing."""
    import numpy as np

    logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
    entropies: Scores = np.maximum(0.0, -(probabilities * logs).sum(axis=1))
    return entropies
