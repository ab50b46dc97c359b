"""Which adapter loads a model: one door for everything that makes vectors or logits of images."""

from __future__ import annotations

from typing import Any

from augforge.models.classifier import Classifier, trained_classes
from augforge.models.embedders import LITE2, load_embedder
from augforge.models.image_classifiers import ImageClassifier, named_classes
from augforge.models.offline import Lite2Logits, imagenet_classes
from augforge.models.table import Model
from augforge.models.tasks import CLASSIFIER
from augforge.models.vision import model_folder

__all__ = ["classes_of", "load_classifier", "load_embedder"]


def load_classifier(model: Model, device: str = "auto") -> Any:
    """What gives logits of a classifier that was trained here, or of one with published weights, by `embed_images`."""
    if model.backends == LITE2:
        return Lite2Logits(model, device)
    return ImageClassifier(model, device) if _is_published(model) else Classifier(model, device)


def classes_of(model: Model) -> list[str]:
    """The names of the classes of a classifier, without loading it.

    Raises:
        ModelError: the directory holds no classifier.
    """
    if model.backends == LITE2:
        return imagenet_classes()
    return named_classes(model_folder(model)) if _is_published(model) else trained_classes(model)


def _is_published(model: Model) -> bool:
    """Whether a classifier is one of transformers or timm, and not of ours."""
    return CLASSIFIER in model.backends
