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
    shares = [shares_of(*each) for each in (first, second)]
    if not all(shares):
        return {}
    weights = (lam, 1.0 - lam)
    if "several" in (knowledge(*first), knowledge(*second)):
        seen = (each for each, weight in zip(shares, weights, strict=True) if weight > 0)
        return {"labels": list(dict.fromkeys(name for each in seen for name in each))}
    names = dict.fromkeys(name for each in shares for name in each)
    found = {
        name: math.fsum(weight * each.get(name, 0.0) for each, weight in zip(shares, weights, strict=True))
        for name in names
    }
    return {"soft_label": {name: round(share, DIGITS) for name, share in found.items() if round(share, DIGITS) > 0}}
