"""Which adapter loads a model: one door for everything that makes vectors or logits of images."""

from __future__ import annotations

from typing import Any

from augforge.models.classifier import Classifier, trained_classes
from augforge.models.offline import Lite2Logits, imagenet_classes, open_lite2
from augforge.models.table import Model
from augforge.models.vision import ClipTower, Tower, open_tower

LITE2 = ("efficientnet-lite2",)


def load_embedder(model: Model, device: str = "auto") -> ClipTower | Tower:
    """What embeds images with the model of this row.

    Raises:
        ModelError: it cannot be loaded, or it sees images in a way that is not known here.
    """
    return open_lite2(model, device) if model.backends == LITE2 else open_tower(model, device)


def load_classifier(model: Model, device: str = "auto") -> Any:
    """What gives logits of a classifier that was trained here, or of one with published weights, by `embed_images`."""
    return Lite2Logits(model, device) if model.backends == LITE2 else Classifier(model, device)


def classes_of(model: Model) -> list[str]:
    """The names of the classes of a classifier, without loading it.

    Raises:
        ModelError: the directory holds no classifier.
    """
    return imagenet_classes() if model.backends == LITE2 else trained_classes(model)
