"""Facility location: the images that together stand for all the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from augforge.data.ids import key
from augforge.stages.selector import RowSelector, required
from augforge.stages.selectors.logits import one_of, truth_of
from augforge.stages.stage import Column, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.selection import Certificate, Selection
    from augforge.algorithms.selection.units import Run


class FacilityLocation(RowSelector):
    """Keep the subset that covers each class best, outliers and wrong images with it: filter them before.

    Each kept image is weighted by how many it stands for. An outlier or a mislabelled image is like nothing else, so
    that it stands for itself and tends to be kept. Greedy maximisation of sum_i max_j S(i, j) per class, as in
    *Data-Efficient Augmentation for Training Neural Networks* (NeurIPS 2022), on embeddings or on what stands for an
    image's gradient. Where we measured it, it was worth no more than a random choice of as many.
    """

    name: ClassVar[str] = "facility-location"
    version: ClassVar[int] = 2
    keeps_outliers: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"share": 0.5}

    model: Annotated[str, Task("image-embedding")] = Field(
        default="builtin-clip", description="The model whose embeddings count."
    )
    proxy: Literal["embedding", "softmax-residual", "outer-product"] = Field(
        default="embedding",
        description="What images are compared by: embeddings, the classifier's softmax minus the truth, or the outer "
        "product of both.",
    )
    classifier: Annotated[str | None, Task("classification")] = Field(
        default=None, description="A classifier that was trained; for the proxies softmax-residual and outer-product."
    )
    logits: Annotated[str | None, Column()] = Field(
        default=None, description="The column of the source with logits over its classes, instead of a classifier."
    )
    similarity: Literal["cosine", "euclidean", "exponential"] = Field(
        default="cosine", description="max(cos, 0); 1 - distance / the largest one; or exp(-distance / width)."
    )
    width: float | None = Field(
        default=None, gt=0, description="Of the exponential similarity; the number of features."
    )
    method: Literal["auto", "dense", "sparse", "partition", "distributed", "naive"] = Field(
        default="auto",
        description="All similarities (dense: exact greedy), those of nearest neighbours (sparse), those in parts "
        "(partition), or in parts of vectors that stay on the disk (distributed); naive is a slow dense. auto: dense "
        "for small classes, else the fastest within the memory.",
    )
    neighbours: int = Field(
        default=100, ge=1, description="Nearest neighbours of each image, for sparse and partition."
    )
    memory: int = Field(default=512, ge=1, description="MiB for similarities; auto takes no more.")

    @model_validator(mode="after")
    def _with_logits(self) -> FacilityLocation:
        if self.proxy != "embedding":
            one_of(self, f"proxy {self.proxy}", "classifier", "logits")
        return self

    @property
    def needs(self) -> tuple[str, ...]:
        """The options that name the models or columns whose numbers `compared` gets, side by side."""
        logits = "classifier" if self.logits is None else "logits"
        return {"embedding": ("model",), "softmax-residual": (logits,)}.get(self.proxy, ("model", logits))

    @property
    def needs_one_label(self) -> bool:
        """A gradient is that of one class; embeddings have none."""
        return self.proxy != "embedding"

    def packages(self) -> tuple[str, ...]:
        """faiss as well, which divides large pools into lists."""
        return ("faiss", *super().packages())

    def reads_rows(self, n: int, d: int) -> bool:
        """Embeddings stay on the disk where that was asked for, or where they take several times the memory."""
        from augforge.algorithms.selection.strategies import POINTS

        beyond = self.method == "auto" and 4 * n * d > POINTS * (self.memory << 20)
        return self.proxy == "embedding" and (beyond or self.method == "distributed")

    def compared(
        self, features: NDArray[np.float32], labels: Sequence[str], classes: Sequence[str]
    ) -> NDArray[np.float32]:
        """(n, d) the embeddings, or what stands for the gradients."""
        return features if self.proxy == "embedding" else proxy_of(self.proxy, features, labels, classes)

    def choose(
        self,
        budget: int,
        labels: Sequence[str],
        ids: Sequence[str],
        features: NDArray[np.float32] | None,
        run: Run = map,
    ) -> Selection:
        """Greedy per class over what is `compared` (n, d)."""
        from augforge.algorithms.selection import facility_location

        features = required(features)
        return facility_location(
            features,
            budget,
            labels=labels,
            allocation=self.allocation,
            similarity=self.similarity,
            width=self.width,
            method=self.method,
            neighbours=self.neighbours,
            memory_budget_bytes=self.memory << 20,
            keys=keys_of(ids) if self.reads_rows(*features.shape) else None,
            run=run,
        )

    def certify(
        self,
        selection: Selection,
        labels: Sequence[str],
        ids: Sequence[str],
        features: NDArray[np.float32],
        run: Run = map,
    ) -> Certificate:
        """Compare what `choose` answered for the same arguments with baselines, a bound and other budgets."""
        from augforge.algorithms.selection import certify

        return certify(
            features,
            selection,
            labels=labels,
            allocation=self.allocation,
            similarity=self.similarity,
            width=self.width,
            keys=keys_of(ids),
            run=run,
        )


def keys_of(ids: Sequence[str]) -> NDArray[np.uint64]:
    """(n,) a hash of each id."""
    import numpy as np

    return np.fromiter((int(key("random", 0, i)[:16], 16) for i in ids), dtype=np.uint64, count=len(ids))


def proxy_of(
    proxy: str, features: NDArray[np.float32], labels: Sequence[str], classes: Sequence[str]
) -> NDArray[np.float32]:
    """(n, d) the proxy, of embeddings and logits over `classes` (c,) side by side (n, e + c); logits are enough for
    softmax-residual."""
    from augforge.algorithms.selection import outer_product, softmax_residual

    truth = truth_of(f"proxy {proxy}", labels, classes)
    embeddings, logits = features[:, : -len(classes)], features[:, -len(classes) :]
    if proxy == "softmax-residual":
        return softmax_residual(logits, truth)
    return outer_product(logits, truth, embeddings)
