"""Noisy labels: leave out the images whose label is likely wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from augforge.data.sample import OnOption
from augforge.stages.selector import Selector, required
from augforge.stages.stage import Share, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.selection import Selection


class NoisyLabels(Selector):
    """Leave out the images whose label is likely wrong, or only list them (`keep-errors`).

    Confident learning (Northcutt et al., JAIR 2021) by cleanlab 2, on out-of-sample probabilities: a logistic
    regression on the embeddings learns from all folds but one and judges that one, so that no label is judged by a
    classifier that learnt it. How good the list is depends on the embeddings: name a model that knows such images.
    Copies, and what was generated from one image, lie in the same fold. Images of evaluation splits are neither learnt
    from nor judged. A class needs two images; images without a label or with several are left alone.

    Scores: `label-quality` in [0, 1], low for a label that is likely wrong. The errors are in `label-errors.csv` and in
    the report, with the suggested label beside the given one. With `share` or `count` the images of best quality stay,
    however many errors there are.
    """

    name: ClassVar[str] = "noisy-labels"
    example: ClassVar[Mapping[str, Any]] = {"share": 0.5}
    decision_options: ClassVar[frozenset[str]] = frozenset({"on", "count", "share", "allocation", "keep_errors"})

    on: OnOption = Field(
        default="real",
        description="Judge all images, or only the synthetic or the real ones; auto: the synthetic ones if there are "
        "any, else all.",
    )
    count: int | None = Field(
        default=None, ge=0, description="Keep so many images, those of the best labels (else all but the errors)."
    )
    share: Share | None = Field(default=None, description="Keep this share, the best labels (else all but the errors).")
    model: Annotated[str, Task("image-embedding")] = Field(
        default="builtin-clip", description="The model whose embeddings the classifier sees."
    )
    folds: int = Field(default=5, ge=3, le=100, description="Folds of the cross-validation.")
    by: Literal["prune-by-noise-rate", "prune-by-class", "both", "confident-learning", "predicted-neq-given"] = Field(
        default="prune-by-noise-rate", description="How cleanlab tells errors (its `filter_by`)."
    )
    score: Literal["self-confidence", "normalized-margin", "confidence-weighted-entropy"] = Field(
        default="self-confidence", description="How cleanlab scores the quality of a label (its `method`)."
    )
    keep_errors: bool = Field(default=False, description="Drop nothing: only score the labels and list the errors.")

    @model_validator(mode="after")
    def _one_decision(self) -> NoisyLabels:
        if self.keep_errors and (self.count is not None or self.share is not None):
            raise ValueError("keep-errors drops nothing: give no count or share")
        return self

    def check(self) -> None:
        """Without a budget the errors go: nothing has to be given."""

    def packages(self) -> tuple[str, ...]:
        """What judges the labels."""
        return ("torch", "cleanlab")

    def budget(self, available: int) -> int:
        """How many of `available` images stay; all of them, less the errors, where nothing was asked for."""
        return available if self.count is None and self.share is None else super().budget(available)

    def choose(
        self, budget: int, labels: Sequence[str], ids: Sequence[str], features: NDArray[np.float32] | None
    ) -> Selection:
        """Those of the best quality (n, 1) per class."""
        from augforge.algorithms.selection import largest

        return largest(
            required(features)[:, 0], budget, labels=labels, allocation=self.allocation, name="label quality"
        )
