"""Pre-screen: leave out what is surely of no interest, before anything larger looks at it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from augforge.errors import RecipeError, shortened
from augforge.stages.filter import EmbeddingFilter
from augforge.stages.filters.classifier import softmax
from augforge.stages.stage import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.screening import OperatingPoint
    from augforge.stages.filter_inputs import FilterInputs, Vectors

    Scores = NDArray[np.float64]


class PreScreen(EmbeddingFilter):
    """Keep the images that a small classifier takes for positive, at a threshold that misses few of them.

    As the pre-screening of intra-operative ultrasound, where frames that show no tumour are sorted out before the main
    model sees them. The threshold is the largest at which at least `recall` of the held-out positives pass, an exact
    order statistic of their scores. Held out are the labelled images of the split `held-out`, or where there are none
    those outside evaluation splits that the classifier did not learn from. The run says recall and specificity on them,
    and what the recall on new positives is at least.

    Measures: `pre-screen-probability`, that of the positive classes together, in [0, 1]; `pre-screen`, that less the
    threshold, in [-1, 1], of which 0 and more passes. Another rule, such as `min`, looks at the probability, and no
    threshold is set then. The image's own label is not looked at.
    """

    name: ClassVar[str] = "pre-screen"
    measures: ClassVar[tuple[str, ...]] = ("pre-screen", "pre-screen-probability")
    default_rule: ClassVar[Mapping[str, float]] = {"minimum": 0.0}
    decision_options: ClassVar[frozenset[str]] = EmbeddingFilter.decision_options | {"recall", "positive", "held_out"}
    example: ClassVar[Mapping[str, Any]] = {"positive": ["cat"], "keep": 0.5}

    model: Annotated[str, Task("classification")] = Field(..., description="A classifier that was trained.")
    positive: tuple[str, ...] = Field(..., min_length=1, description="The classes that must not be missed.")
    recall: float = Field(default=0.95, gt=0, le=1, description="Share of the held-out positives that must pass.")
    held_out: str = Field(default="validation", description="The split with the images that set the threshold.")

    @property
    def primary_measure(self) -> str:
        """What is over the threshold, or the probability where another rule was given."""
        return self.measures[1 if self.given_rule else 0]

    def compare(self, inputs: FilterInputs) -> dict[str, Scores]:
        """The probability of the positive classes, and by how much it is over the threshold."""
        probability = self._positive(inputs, inputs.images)
        if self.given_rule:
            return {"pre-screen-probability": probability}
        return {"pre-screen": probability - self._point(inputs).threshold, "pre-screen-probability": probability}

    def remark(self, inputs: FilterInputs) -> str:
        """The threshold, and how good it is on the held-out images."""
        if self.given_rule:
            return ""
        point, where = self._point(inputs), inputs.held_out(self.held_out).where
        specific = "" if math.isnan(point.specificity) else f", specificity {point.specificity:.3f}"
        return (
            f"passes from a probability of {point.threshold:.4f}: recall {point.recall:.3f}{specific} on {where} "
            f"({point.positives:,} positive, {point.negatives:,} negative); of new positives at least "
            f"{point.least_recall:.3f} pass, with a confidence of 95 %"
        )

    def explain(self, inputs: FilterInputs, scores: Scores) -> Sequence[str | None]:
        """The threshold in the reason, where it decides."""
        if self.given_rule:
            return ()
        least = self._point(inputs).threshold
        text = f"its probability is under {least:.4f}, the threshold for a recall of {self.recall:g}"
        return [text if score < 0 else None for score in scores.tolist()]

    def _point(self, inputs: FilterInputs) -> OperatingPoint:
        """The threshold, from the held-out images."""
        import numpy as np

        from augforge.algorithms.screening import operating_point

        held_out = inputs.held_out(self.held_out)
        positive = np.array([label in self.positive for label in held_out.labels], dtype=bool)
        if not positive.any():
            raise RecipeError(
                f"filter pre-screen: none of {held_out.where} is of {shortened(self.positive)}",
                "the threshold is set by positives that the classifier did not learn from",
            )
        scores = self._positive(inputs, held_out.vectors)
        return operating_point(scores[positive], scores[~positive], self.recall)

    def _positive(self, inputs: FilterInputs, logits: Vectors) -> Scores:
        """(k,) the probability of the positive classes together, of logits (k, c)."""
        unknown = [name for name in self.positive if name not in inputs.known]
        if unknown:
            raise RecipeError(
                f"filter pre-screen: the classifier does not know {unknown[0]!r}",
                f"its classes are {shortened(inputs.known)}",
            )
        columns = [place for place, name in enumerate(inputs.known) if name in self.positive]
        probabilities: Scores = softmax(logits)[:, columns].sum(axis=1)
        return probabilities
