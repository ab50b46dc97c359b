"""Pseudo-labels by confidence, with a cap for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from augforge.stages.labeler import Labeler
from augforge.stages.stage import Share

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.labels import PseudoLabels


class Confidence(Labeler):
    """Give unlabelled images the class that a trained classifier is confident about, and drop the others.

    After the pseudo-labels of the diabetic-foot-ulcer work (EfficientNet ensembles and pix2pixHD); its threshold is not
    published, so it is an option here.
    """

    name: ClassVar[str] = "confidence"
    decision_options: ClassVar[frozenset[str]] = frozenset({"min_confidence", "per_class_cap"})
    example: ClassVar[Mapping[str, Any]] = {"min-confidence": 0.5, "per-class-cap": 2}

    min_confidence: Share = Field(
        default=0.9, description="Label images to which the classifier gives at least this probability."
    )
    per_class_cap: int | None = Field(
        default=None, ge=1, description="Label at most this many images of a class, the most confident first."
    )

    def decide(self, logits: NDArray[np.float32], ids: Sequence[str], classes: Sequence[str]) -> PseudoLabels:
        """The largest softmax probability decides; see the base class for shapes."""
        from augforge.algorithms.labels import pseudo_labels

        return pseudo_labels(logits, ids, min_confidence=self.min_confidence, cap=self.per_class_cap, classes=classes)
