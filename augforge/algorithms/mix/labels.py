"""What the classes of two images come to in one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from augforge.data.annotations.labels import SUM_TOLERANCE
from augforge.data.classes import shares_of

DIGITS = 9
"""Decimals of a share: all that a share of pixels has of meaning, and none of a sum's rounding."""
Knowledge = Literal["one", "several", "none"]


def knowledge(label: str | None, annotations: Mapping[str, Any]) -> Knowledge:
    """What is known of the class of an image: one or a distribution, several labels, or nothing.

    Only images of which the same is known can be mixed and labelled.
    """
    shares = shares_of(label, annotations)
    if not shares:
        return "none"
    return "one" if abs(math.fsum(shares.values()) - 1.0) <= SUM_TOLERANCE else "several"


def edited_classes(label: str, target: str, strength: float, gamma: float) -> dict[str, Any]:
    """The annotation `soft_label` of an image of class `label` that was edited towards another, `target`.

    `strength` in (0, 1] to the power of `gamma` > 0 is the share of the other class (Diff-Mix, CVPR 2024): none is left
    of the first at strength 1, and nearly all is at strengths near 0.
    """
    share = round(strength**gamma, DIGITS)
    found = {label: round(1.0 - share, DIGITS), target: share}
    return {"soft_label": {name: each for name, each in found.items() if each > 0}}


def mixed_classes(
    first: tuple[str | None, Mapping[str, Any]], second: tuple[str | None, Mapping[str, Any]], lam: float
) -> dict[str, Any]:
    """The annotations `soft_label` or `labels` of an image that is `lam` the first and the rest the second.

    Args:
        first: label and annotations of the first image.
        second: likewise.
        lam: share of the first image in [0, 1].

    Returns:
        The weighted mean of two distributions; the classes of both where one has several labels; nothing where the
        class of one is not known.
    """
    ours, theirs = shares_of(*first), shares_of(*second)
    if not (ours and theirs):
        return {}
    if "several" in (knowledge(*first), knowledge(*second)):
        return {"labels": list({**(ours if lam > 0 else {}), **(theirs if lam < 1 else {})})}
    found = {
        name: round(lam * ours.get(name, 0.0) + (1.0 - lam) * theirs.get(name, 0.0), DIGITS)
        for name in {**ours, **theirs}
    }
    return {"soft_label": {name: share for name, share in found.items() if share > 0}}
