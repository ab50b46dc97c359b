"""Semantic loss: has a crop or a strong transform lost what its parent showed?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from augforge.models import find_model
from augforge.stages.filter import EmbeddingFilter
from augforge.stages.filters.classifier import softmax
from augforge.stages.filters.similarity import class_prompts
from augforge.stages.stage import AsksAboutClasses, Prompt, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.stages.filter_inputs import FilterInputs, Vectors

    Scores = NDArray[np.float64]

LEAST = 1e-12
"""The least probability, whose logarithm is still a number."""


class SemanticLoss(AsksAboutClasses, EmbeddingFilter):
    """Keep the generated images that still show their class, where their parents did.

    A crop may miss the object, and a strong transform may hide it: the lost semantics of strong augmentation. A
    classifier, or an image-text model with a prompt for each class, gives the probability of the image's class for the
    image and for its parent. Measures:

    - `semantic-loss`: ln p(parent) - ln p(image), in nats; 0 for a copy, less is better, below 0 where the image shows
      the class more clearly. ln 2 = 0.69 is half of the probability. Of several parents the one that shows the class
      best counts.
    - `semantic-kept`: p(image), in [0, 1].

    Real images have no parents and are not judged; a generated image without parents is dropped, as is one of a class
    that the classifier does not know. Where p(parent) is small the judge does not know the class by sight, and no loss
    can be found: name a better one.
    """

    name: ClassVar[str] = "semantic-loss"
    compares_classes: ClassVar[bool] = True
    measures: ClassVar[tuple[str, ...]] = ("semantic-loss", "semantic-kept")
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"semantic-loss"})
    needs_real: ClassVar[bool] = True
    finds_outliers: ClassVar[bool] = True
    ways_out: ClassVar[str] = "name a full image-text model, such as vit-b-32, or a classifier"
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    on: Literal["synthetic"] = Field(default="synthetic", description="Only generated images have parents.")
    model: Annotated[str, Task("image-embedding")] = Field(
        default="builtin-clip", description="The image-text model that judges, unless a classifier does."
    )
    classifier: Annotated[str | None, Task("classification")] = Field(
        default=None, description="A trained classifier that judges instead of the image-text model."
    )
    prompt: Prompt = Field(default="a photo of a {label}", description="The prompt of a class; {label} is its name.")
    logit_scale: float = Field(
        default=100.0, gt=0, le=1e4, description="What cosines to prompts are multiplied by before the softmax."
    )
    by: Literal["semantic-loss", "semantic-kept"] = Field(
        default="semantic-loss", description="The measure that the rule looks at."
    )

    def check(self) -> None:
        """Refuse a model that knows no text where it has to judge."""
        if self.asks_about_classes:
            find_model(self.model, "image-text")

    @property
    def asks_about_classes(self) -> bool:
        """Whether the prompts of the classes are asked for."""
        return self.classifier is None

    def models(self) -> list[tuple[str, str]]:
        """The one model that judges."""
        return [(self.model, "image-embedding")] if self.classifier is None else [(self.classifier, "classification")]

    @property
    def needs_labels(self) -> bool:
        """It asks for the probability of an image's class."""
        return True

    def compare(self, inputs: FilterInputs) -> dict[str, Scores]:
        """The loss beside the parents, and what is left."""
        import numpy as np

        parents, columns = inputs.parents, self._columns(inputs)
        kept = self._of_class(inputs, inputs.images, columns)
        best = np.full(len(inputs), -np.inf)
        if len(parents.children):
            shown = self._of_class(inputs, parents.vectors, columns[parents.children])
            np.fmax.at(best, parents.children, shown)
        best[best == -np.inf] = np.nan
        loss = np.log(np.maximum(best, LEAST)) - np.log(np.maximum(kept, LEAST))
        return {"semantic-loss": loss, "semantic-kept": np.where(np.isnan(loss), np.nan, kept)}

    def _columns(self, inputs: FilterInputs) -> NDArray[np.int64]:
        """(n,) the column of each image's class among the probabilities; -1 where there is none."""
        import numpy as np

        if self.classifier is None:
            return inputs.classes
        places = {name: place for place, name in enumerate(inputs.known)}
        return np.array([places.get(name, -1) for name in inputs.names] + [-1])[inputs.classes]

    def _of_class(self, inputs: FilterInputs, vectors: Vectors, columns: NDArray[np.int64]) -> Scores:
        """(k,) the probability of one class each of vectors (k, d); NaN without one, or where there is no other."""
        import numpy as np

        logits = vectors
        if self.classifier is None:
            logits = self.logit_scale * (vectors @ class_prompts(inputs, self.prompt).T)
        if logits.shape[1] < 2:
            return np.full(len(vectors), np.nan)
        return np.where(columns >= 0, softmax(logits)[np.arange(len(vectors)), columns], np.nan)

    def explain(self, inputs: FilterInputs, scores: Scores) -> Sequence[str | None]:
        """Why there is no score, where there is none."""
        theirs, columns = set(inputs.parents.children.tolist()), self._columns(inputs).tolist()
        return [
            self._reason(row in theirs, column) if score != score else None  # not a number
            for row, (column, score) in enumerate(zip(columns, scores.tolist(), strict=True))
        ]

    def _reason(self, has_parent: bool, column: int) -> str:
        if not has_parent:
            return "it has no parent to compare with"
        return "the judge knows no other class" if column >= 0 else "the judge does not know its class"
