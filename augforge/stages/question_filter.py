"""Filters that ask a model about an image in words."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from augforge.stages.filter import Filter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from augforge.stages.filter_inputs import FilterInputs

Answer = Callable[[Sequence["Image"], Sequence[str]], "NDArray[np.float64]"]
"""Gives the scores (n,) of n RGB images and the questions (n,) about them."""


class QuestionFilter(Filter):
    """A filter that asks about one image, perhaps by the name of its class.

    An image with several labels is asked about by each of them, of which the best answer counts; one with a soft label
    by each class, of which the mean weighted by the shares counts.
    """

    @property
    def asks_a_model(self) -> bool:
        """Whether a model is asked; a filter that is an EmbeddingFilter too may leave it to `compare`."""
        return True

    @property
    def exact(self) -> bool:
        """False: a model answers."""
        return False

    @property
    def asks_by_prompt(self) -> bool:
        """Whether each image is asked about by the text that it was made from, or its caption, and by no question."""
        return False

    @property
    @abstractmethod
    def asks_by_class(self) -> bool:
        """Whether the question names the class of the image."""

    @property
    def needs_labels(self) -> bool:
        """Whether the question names the class."""
        return self.asks_by_class

    @abstractmethod
    def question_of(self, label: str | None) -> str:
        """The question about an image of class `label`, None where it has none or is not asked about."""

    @abstractmethod
    def load(self, device: str) -> Answer:
        """Load the model on `device` ("auto", "cpu", "cuda", "cuda:N", "mps")."""

    def explain(self, inputs: FilterInputs, scores: NDArray[np.float64]) -> Sequence[str | None]:
        """That there was no class to ask about, where there was none."""
        return ["it has no label to ask about" if score != score else None for score in scores.tolist()]
