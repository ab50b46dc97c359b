"""Which adapter loads a model: one door for everything that makes vectors or logits of images."""

from __future__ import annotations

from typing import Any

from augforge.models.classifier import Classifier, trained_classes
from augforge.models.embedders import LITE2, load_embedder
from augforge.models.offline import Lite2Logits, imagenet_classes
from augforge.models.table import Model

__all__ = ["classes_of", "load_classifier", "load_embedder"]


def load_classifier(model: Model, device: str = "auto") -> Any:
    """What gives logits of a classifier that was trained here, or of one with published weights, by `embed_images`."""
    return Lite2Logits(model, device) if model.backends == LITE2 else Classifier(model, device)


def classes_of(model: Model) -> list[str]:
    """The names of the classes of a classifier, without loading it.

    Raises:
        ModelError: the directory holds no classifier.
    """
    return imagenet_classes() if model.backends == LITE2 else trained_classes(model)
