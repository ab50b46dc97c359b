"""Labelers: stages that give unlabelled images a class."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from augforge.stages.stage import Stage, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.labels import PseudoLabels

    Vectors = NDArray[np.float32]


class Labeler(Stage):
    """Gives unlabelled images the class that a classifier predicts; drops those it is not confident about."""

    verb: ClassVar[str] = "pseudo-label"

    earlier_names: ClassVar[Mapping[str, str]] = {"classifier": "model"}

    model: Annotated[str, Task("classification")] = Field(..., description="A trained classifier.")

    def packages(self) -> tuple[str, ...]:
        """What the classifier runs in."""
        return ("torch",)

    @abstractmethod
    def decide(self, logits: Vectors, ids: Sequence[str], classes: Sequence[str]) -> PseudoLabels:
        """Judge n images by `logits` (n, c) over `classes` (c,); `ids` (n,) break ties."""
