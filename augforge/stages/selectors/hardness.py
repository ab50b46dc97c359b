"""Hardness: the images on which a student disagrees with its teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, model_validator

from augforge.stages.selector import Selector, required
from augforge.stages.selectors.logits import one_of
from augforge.stages.stage import Column, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.selection import Selection


class Hardness(Selector):
    """Keep the images of each class on which two classifiers differ most: KL(teacher || student) of their softmax.

    The score that the augmentations of HARD maximise, used to choose images. Equal classifiers score 0 everywhere.
    Where we measured it, it was 2 to 6 points worse than a random choice of as many.
    """

    name: ClassVar[str] = "hardness"
    example: ClassVar[Mapping[str, Any]] = {"share": 0.5}

    teacher: Annotated[str | None, Task("classification")] = Field(default=None, description="The teacher classifier.")
    student: Annotated[str | None, Task("classification")] = Field(default=None, description="The student classifier.")
    teacher_logits: Annotated[str | None, Column()] = Field(
        default=None, description="The column of the source with the teacher's logits, instead of `teacher`."
    )
    student_logits: Annotated[str | None, Column()] = Field(
        default=None, description="The column of the source with the student's logits, instead of `student`."
    )
    temperature: float = Field(
        default=1.0, gt=0, description="Divides both logits; over 1 the less likely classes count more."
    )

    @model_validator(mode="after")
    def _with_both(self) -> Hardness:
        one_of(self, "hardness", "teacher", "teacher_logits")
        one_of(self, "hardness", "student", "student_logits")
        return self

    @property
    def needs(self) -> tuple[str, ...]:
        """The options that name the logits of the teacher and of the student."""
        return ("teacher" if self.teacher else "teacher_logits", "student" if self.student else "student_logits")

    def compared(
        self, features: NDArray[np.float32], labels: Sequence[str], classes: Sequence[str]
    ) -> NDArray[np.float32]:
        """(n, 1) the divergences of the two classifiers' logits, concatenated (n, 2c)."""
        import numpy as np

        from augforge.algorithms.selection import divergences

        width = features.shape[1] // 2
        scores = divergences(features[:, :width], features[:, width:], temperature=self.temperature)
        return scores[:, None].astype(np.float32)

    def choose(
        self, budget: int, labels: Sequence[str], ids: Sequence[str], features: NDArray[np.float32] | None
    ) -> Selection:
        """The largest divergences (n, 1) per class."""
        from augforge.algorithms.selection import largest

        features = required(features)
        return largest(features[:, 0], budget, labels=labels, allocation=self.allocation, name="hardness")
