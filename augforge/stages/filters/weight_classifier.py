"""Weights by a classifier: a generated image counts for more if its class is clear, among those of its parent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from augforge.data.sample import On
from augforge.errors import RecipeError
from augforge.stages.filter import EmbeddingFilter
from augforge.stages.stage import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.data.stage_facts import Facts
    from augforge.stages.filter_inputs import FilterInputs, Vectors

    Scores = NDArray[np.float64]


class WeightClassifier(EmbeddingFilter):
    """Weight the generated images by how sure a calibrated classifier is of their class, instead of cutting.

    DIAGen (arXiv 2408.14584): the probability of the image's class, after temperature scaling on images that the
    classifier did not learn from, is averaged over `views` of the image, and the probabilities of the images of one
    parent are scaled to sum to their number. So each real image has the same say, and the mean weight is 1; it
    multiplies the weight that an image has. Nothing is dropped unless a rule is given, but for images of a class that
    the classifier does not know.

    The views are the same for every image and every run: the image, its mirror image, and three crops of nine tenths
    of the sides, one of them mirrored. Measures: `weight-classifier`, the weight, and `weight-classifier-probability`,
    in [0, 1]. Images from several parents are a family of their own, as are those without a parent, by class.
    """

    name: ClassVar[str] = "weight-classifier"
    measures: ClassVar[tuple[str, ...]] = ("weight-classifier", "weight-classifier-probability")
    default_rule: ClassVar[Mapping[str, float]] = {"keep": 1.0}
    reweights: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"on": "all", "keep": 0.5}

    on: On = Field(default="synthetic", description="Weight all images, or only the synthetic or the real ones.")
    model: Annotated[str, Task("classification")] = Field(..., description="A classifier of the classes.")
    views: int = Field(default=5, ge=1, le=5, description="Over so many views the probability is averaged.")
    temperature: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        default="auto", description="What logits are divided by; auto: the best on the held-out images."
    )
    held_out: str = Field(
        default="validation", description="The split that sets the temperature; without it, what was not learnt from."
    )

    @property
    def needs_one_label(self) -> bool:
        """It asks for the probability of one class."""
        return True

    @property
    def needs_labels(self) -> bool:
        """It asks for the probability of an image's class."""
        return True

    @property
    def judge(self) -> tuple[str, str]:
        """The classifier, asked about every view."""
        return self.model, "classification-of-views"

    def compare(self, inputs: FilterInputs) -> dict[str, Scores]:
        """The weights within each family, and the probabilities."""
        import numpy as np

        from augforge.algorithms.calibration import probabilities, within_families

        places = {name: place for place, name in enumerate(inputs.known)}
        columns = np.array([places.get(name, -1) for name in inputs.names] + [-1])[inputs.classes]
        temperature, width = self._temperature(inputs), len(inputs.known)
        rows, found = np.arange(len(inputs)), np.zeros(len(inputs))
        for view in range(self.views):
            logits = inputs.images[:, view * width : (view + 1) * width]
            found += probabilities(logits, temperature)[rows, columns] / self.views
        found[columns < 0] = np.nan
        weights = within_families(found, inputs.families)
        return dict(zip(self.measures, (weights, found), strict=True))

    def _temperature(self, inputs: FilterInputs) -> float:
        """What the logits are divided by."""
        if self.temperature != "auto":
            return self.temperature
        logits, truth = self._held_out(inputs)
        from augforge.algorithms.calibration import temperature_of

        return temperature_of(logits, truth)

    def _held_out(self, inputs: FilterInputs) -> tuple[Vectors, NDArray[np.int64]]:
        """(m, c) logits of the held-out images as they are, and (m,) the columns of their classes."""
        import numpy as np

        held_out, known = inputs.held_out(self.held_out), list(inputs.known)
        usable = [row for row, label in enumerate(held_out.labels) if label in known]
        if not usable:
            raise RecipeError(
                f"filter weight-classifier: the classifier knows no class of {held_out.where}",
                "give `temperature: 1`, or hold out images of its classes",
            )
        truth = np.array([known.index(held_out.labels[row]) for row in usable], dtype=np.int64)
        return held_out.vectors[usable][:, : len(known)], truth

    def facts(self, inputs: FilterInputs) -> Facts:
        """The temperature, where it is from, and the number of views."""
        return {"temperature": self._temperature(inputs), "temperature by": self._set_by(inputs), "views": self.views}

    def remark(self, inputs: FilterInputs) -> str:
        """The temperature, and where it is from."""
        if self.temperature != "auto":
            return ""
        return f"temperature {self._temperature(inputs):.3f}, by {self._set_by(inputs)}"

    def _set_by(self, inputs: FilterInputs) -> str:
        """Where the temperature is from."""
        if self.temperature != "auto":
            return "the recipe"
        held_out = inputs.held_out(self.held_out)
        return f"{len(held_out.labels):,} of {held_out.where}"

    def explain(self, inputs: FilterInputs, scores: Scores) -> Sequence[str | None]:
        """An image of a class that the classifier does not know is dropped for that reason."""
        return ["the classifier does not know its class" if score != score else None for score in scores.tolist()]
