"""What an arm of an evaluation may be judged by: the names in evaluation.json, and as people call them."""

from __future__ import annotations

MEASURES: dict[str, str] = {
    "accuracy": "accuracy",
    "top-1": "top-1",
    "miou": "mIoU",
    "map": "mAP",
    "map-50": "mAP@50",
    "recall-at-1": "recall@1",
    "recall-at-5": "recall@5",
    "map-of-answers": "mAP, test set asks itself",
    "macro-f1": "macro-F1",
    "pixel-accuracy": "pixel accuracy",
    "kl": "KL, nats",
}
"""The first of those that a task has decides; two are shown first."""
NATS = frozenset({"kl"})
"""Those of which less is better, from 0. All others are shares, in [0, 1], and more is better."""
FEWEST = 30
"""Test images below which no difference between arms is worth a word."""


def too_few(images: int) -> str:
    """A sentence on test images that are too few to say anything; "" where they are enough."""
    who = "1 test image says" if images == 1 else f"{images} test images say"
    return "" if images >= FEWEST else f"{who} nothing of a difference: judge by {FEWEST} or more."
