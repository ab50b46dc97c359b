"""Marginal: would a learner get something from the image, and is it right?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from augforge.models import find_model
from augforge.stages.filter import EmbeddingFilter
from augforge.stages.filters.similarity import class_prompts
from augforge.stages.stage import AsksAboutClasses, Prompt, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.rules import Verdict
    from augforge.stages.filter_inputs import FilterInputs, Numbers

    Scores = NDArray[np.float64]

RIGHT = "marginal-right"


class Marginal(AsksAboutClasses, EmbeddingFilter):
    """Keep what the learner finds informative and a judge finds right: near the learner's boundary, and of its class.

    Two thresholds. Right is what the judge, an image-text model, gives at least the probability `right` for its class:
    `marginal-right`, the softmax of the cosines to the prompts of all classes. Of that the rule keeps the most
    informative: `loss`, the cross-entropy of the learner, in nats; `margin`, its probability of the class minus the
    largest other, in [-1, 1], less is more; or `variance`, the mean variance of softmax - onehot over the states of
    its training that `earlier` names. Without a rule only what is not right goes.

    After GenDataAgent (ICLR 2025), which takes the variance of gradients over epochs and generates meanwhile; here the
    images are there, and the gradient is that of the logits. What is informative alone is wrong first.
    """

    name: ClassVar[str] = "marginal"
    measures: ClassVar[tuple[str, ...]] = ("marginal-loss", "marginal-margin", "marginal-variance", RIGHT)
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"marginal-margin"})
    decision_options: ClassVar[frozenset[str]] = EmbeddingFilter.decision_options | {"right"}
    default_rule: ClassVar[Mapping[str, float]] = {"keep": 1.0}
    finds_outliers: ClassVar[bool] = True
    ways_out: ClassVar[str] = "name a full image-text model, such as vit-b-32 or siglip2-b"
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5, "right": 0.0}

    model: Annotated[str, Task("image-text")] = Field(default="builtin-clip", description="The judge of what is right.")
    learner: Annotated[str, Task("classification")] = Field(
        ..., description="The classifier that is to learn from the images, trained on the real ones."
    )
    earlier: tuple[str, ...] = Field(
        default=(), description="The same classifier after fewer steps, for by variance; one or several."
    )
    prompt: Prompt = Field(default="a photo of a {label}", description="The prompt of a class; {label} is its name.")
    logit_scale: float = Field(
        default=100.0, gt=0, le=1e4, description="What cosines to prompts are multiplied by before the softmax."
    )
    right: float = Field(default=0.5, ge=0, le=1, description="Drop what the judge finds less likely of its class.")
    by: Literal["loss", "margin", "variance"] = Field(default="loss", description="What the rule looks at.")

    @model_validator(mode="after")
    def _with_states(self) -> Marginal:
        if self.by == "variance" and not self.earlier:
            raise ValueError("by variance needs earlier: the classifier after fewer steps")
        return self

    def models(self) -> list[tuple[str, str]]:
        """The judge, the learner, and the learner's earlier states."""
        return [*super().models(), *((name, "classification") for name in self.earlier)]

    @property
    def needs_one_label(self) -> bool:
        """The loss is that of one class."""
        return True

    @property
    def needs_labels(self) -> bool:
        """Both ask about an image's class."""
        return True

    def compare(self, inputs: FilterInputs) -> dict[str, Scores]:
        """The measures of the learner, and the judge's probability."""
        from augforge.algorithms.information import losses_of, margins_of, variances_of

        columns = self._columns(inputs)
        logits = inputs.seen_by(self.learner, "classification")
        found = {
            "marginal-loss": _known(losses_of(logits, columns), columns),
            "marginal-margin": _known(margins_of(logits, columns), columns),
            RIGHT: self._right(inputs),
        }
        if self.earlier:
            states = [logits, *(inputs.seen_by(name, "classification") for name in self.earlier)]
            found["marginal-variance"] = _known(variances_of(states, columns), columns)
        return found

    def _columns(self, inputs: FilterInputs) -> Numbers:
        """(n,) the column of the learner's logits that is each image's class, -1 without one."""
        import numpy as np

        from augforge.models.loading import classes_of

        known = classes_of(find_model(self.learner, "classification"))
        places = {name: place for place, name in enumerate(known)}
        found: Numbers = np.array([places.get(name, -1) for name in inputs.names] + [-1])[inputs.classes]
        return found

    def _right(self, inputs: FilterInputs) -> Scores:
        """(n,) the judge's probability of each image's class; NaN without one, or where there is no other."""
        import numpy as np

        from augforge.algorithms.calibration import probabilities

        if len(inputs.names) < 2:
            return np.full(len(inputs), np.nan)
        found = probabilities(self.logit_scale * (inputs.images @ class_prompts(inputs, self.prompt).T))
        return _known(found[np.arange(len(inputs)), inputs.classes], inputs.classes)

    def decide(
        self, scores: Mapping[str, Scores], ids: Sequence[str], groups: NDArray[np.int64], within: str
    ) -> Verdict:
        """What is not right goes; of the rest, what the rule says."""
        import numpy as np

        stays, reasons = np.zeros(len(ids), dtype=bool), np.full(len(ids), None, dtype=object)
        right = scores[RIGHT] >= self.right
        rows = np.flatnonzero(right)
        chosen = {name: values[rows] for name, values in scores.items()}
        stays[rows], reasons[rows] = super().decide(chosen, [ids[row] for row in rows.tolist()], groups[rows], within)
        reasons[~right] = f"{RIGHT}: under {self.right:g}"
        reasons[np.isnan(scores[RIGHT])] = f"{RIGHT}: it has no score"
        return stays, reasons


def _known(values: Scores, columns: Numbers) -> Scores:
    """The values (n,), NaN where an image's class (n,) is unknown."""
    import numpy as np

    found: Scores = np.where(columns >= 0, values, np.nan)
    return found
