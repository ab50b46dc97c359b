"""Gradient matching: the weighted images whose gradient is that of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from augforge.stages.selector import Selector, required
from augforge.stages.selectors.facility_location import proxy_of
from augforge.stages.selectors.logits import one_of
from augforge.stages.stage import Column, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.selection import Selection


class GradientMatching(Selector):
    """Keep images whose weighted gradients add up to those of their class, outliers with them: filter them before.

    GradMatch (ICML 2021): orthogonal matching pursuit with non-negative weights, on the gradient of a classifier's loss
    with respect to its last layer. An image's weight is the factor that its gradient gets, scaled to average 1 over the
    chosen. Fewer than asked for are kept where no further image brings the sum nearer; the run says so. CRAIG (ICML
    2020), which covers gradients, is `facility-location` with a proxy.

    Where we measured it, it was worth no more than a random choice of as many, and much less by softmax-residual.

    What matches now does not match a classifier that has learnt more: choose again with its later state (`--again`, or
    `augforge.torch.Reselected` in a training loop).
    """

    name: ClassVar[str] = "gradient-matching"
    keeps_outliers: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"share": 0.5}

    classifier: Annotated[str | None, Task("classification")] = Field(
        default=None, description="The classifier whose gradients are matched, as far as it is trained."
    )
    logits: Annotated[str | None, Column()] = Field(
        default=None, description="The column of the source with logits over its classes, instead of a classifier."
    )
    proxy: Literal["softmax-residual", "outer-product"] = Field(
        default="outer-product",
        description="The gradient of the last layer's weights, with the embeddings of `model` as its input, or of its "
        "bias (softmax minus the truth).",
    )
    model: Annotated[str, Task("image-embedding")] = Field(
        default="builtin-clip",
        description="The embeddings of the proxy outer-product: the classifier's own, if it can.",
    )
    ridge: float = Field(
        default=0.5, ge=0, le=1e6, description="Of the squared weights; more makes weights more alike."
    )

    @model_validator(mode="after")
    def _with_logits(self) -> GradientMatching:
        one_of(self, "gradient-matching", "classifier", "logits")
        return self

    @property
    def needs(self) -> tuple[str, ...]:
        """The options that name the models or columns whose numbers `compared` gets, side by side."""
        logits = "classifier" if self.logits is None else "logits"
        return (logits,) if self.proxy == "softmax-residual" else ("model", logits)

    @property
    def needs_one_label(self) -> bool:
        """A gradient is that of one class."""
        return True

    def compared(
        self, features: NDArray[np.float32], labels: Sequence[str], classes: Sequence[str]
    ) -> NDArray[np.float32]:
        """(n, d) what stands for the gradients."""
        return proxy_of(self.proxy, features, labels, classes)

    def choose(
        self, budget: int, labels: Sequence[str], ids: Sequence[str], features: NDArray[np.float32] | None
    ) -> Selection:
        """Matching pursuit per class over what is `compared` (n, d)."""
        from augforge.algorithms.selection import gradient_matching

        return gradient_matching(
            required(features), budget, labels=labels, allocation=self.allocation, ridge=self.ridge
        )
