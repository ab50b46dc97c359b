"""Hardness: the images on which a student disagrees with its teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from augforge.select import Selection, divergences, largest
from augforge.stage import Selector, Task


class Hardness(Selector):
    """Keep the images of each class on which two classifiers differ most: KL(teacher || student) of their softmax.

    The score that the augmentations of HARD maximise, used to choose images. Equal classifiers score 0 everywhere.
    """

    name: ClassVar[str] = "hardness"
    example: ClassVar[Mapping[str, Any]] = {"share": 0.5}

    teacher: Annotated[str, Task("classification")] = Field(..., description="The classifier that is believed.")
    student: Annotated[str, Task("classification")] = Field(..., description="The classifier that is to learn.")
    temperature: float = Field(1.0, gt=0, description="Divides both logits; over 1 the less likely classes count more.")

    def choose(
        self, budget: int, labels: Sequence[str], ids: Sequence[str], features: NDArray[np.float32] | None
    ) -> Selection:
        """The largest divergences per class; `features` are the teacher's and the student's logits (n, c + c)."""
        assert features is not None
        width = features.shape[1] // 2
        scores = divergences(features[:, :width], features[:, width:], temperature=self.temperature)
        return largest(scores, budget, labels=labels, allocation=self.allocation, name="hardness")
