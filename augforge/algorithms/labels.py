"""Pseudo-labels: which classes to believe, decided from stored logits alone, so deciding again is free.

A row that holds NaN or infinite logits is never believed. `classification_metrics` compares predictions with the truth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
MOST_NAMED = 20
NO_NUMBER = "the classifier gave no number"


@dataclass(frozen=True, slots=True)
class PseudoLabels:
    """What a classifier's logits say of n images.

    `labels` (n,) index of the likeliest class, -1 without numbers; `confidence` (n,) its probability in [0, 1], NaN
    without numbers; `accepted` (n,) whether it is believed; `reasons` (n,) why not, None where it is.
    """

    labels: NDArray[np.int64]
    confidence: FloatArray
    accepted: BoolArray
    reasons: NDArray[np.object_]


def pseudo_labels(
    logits: NDArray[np.floating], ids: Sequence[str], *, min_confidence: float, cap: int | None, classes: Sequence[str]
) -> PseudoLabels:
    """Believe what is sure enough, and of each class no more than the cap. The order of the rows does not matter.

    Args:
        logits: (n, c), turned into probabilities by a softmax of temperature 1.
        ids: (n,) all different; they break ties at the cap, the lowest first.
        min_confidence: the least probability of the likeliest class, in [0, 1]; equal is enough.
        cap: how many images of a class to believe at most, the surest first; None for no limit.
        classes: (c,) names, for the reasons.

    Raises:
        ValueError: shapes that do not go together.
    """
    logits = _checked(logits, len(ids), len(classes))
    labels, confidence = _likeliest(logits)
    accepted = confidence >= min_confidence
    reasons = np.full(len(ids), None, dtype=object)
    for row in np.flatnonzero(~accepted).tolist():
        reasons[row] = _unsure(confidence[row], min_confidence)
    if cap is not None:
        for row in _over(cap, labels, confidence, accepted, ids):
            accepted[row], reasons[row] = False, f"over the cap of {cap} for class {classes[labels[row]]}"
    return PseudoLabels(labels, confidence, accepted, reasons)


def probabilities(logits: NDArray[np.floating]) -> FloatArray:
    """(n, c) softmax of logits (n, c), temperature 1; a row with a logit that is not finite is all NaN."""
    values = np.asarray(logits, dtype=np.float64)
    finite = np.isfinite(values).all(axis=1, keepdims=True)
    safe = np.where(finite, values, 0.0)
    powers = np.exp(safe - safe.max(axis=1, keepdims=True, initial=-np.inf))
    chances: FloatArray = np.where(finite, powers / powers.sum(axis=1, keepdims=True), np.nan)
    return chances


def entropy(logits: NDArray[np.floating]) -> FloatArray:
    """(n,) entropy in nats of the softmax of logits (n, c): 0 where sure, log c where all classes are equal."""
    chances = probabilities(logits)
    parts = chances * np.log(chances, out=np.zeros_like(chances), where=chances > 0)
    return np.asarray(np.abs(parts.sum(axis=1)))


def keep_lowest_entropy(entropies: FloatArray, fraction: float) -> BoolArray:
    """(n,) bool, true for what lies strictly below the entropy at rank floor(fraction * n) of the sorted ones.

    Keeps exactly floor(fraction * n) where all differ, and no more among equals; 0 keeps none and 1 keeps all.
    NaN is neither counted nor kept. The rule of SemiUHPE (Zhou et al., arXiv 2404.02544), which recomputes the
    threshold over all unlabelled images.

    Raises:
        ValueError: `fraction` is not in [0, 1].
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"the fraction is {fraction:g}, not in [0, 1]")
    entropies = np.asarray(entropies, dtype=np.float64)
    ranked = np.sort(entropies[~np.isnan(entropies)])
    count = int(fraction * len(ranked) + 1e-9)
    threshold = ranked[count] if count < len(ranked) else np.inf
    return entropies < threshold


def classification_metrics(truth: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """Accuracy, macro-F1 and the recall of every class, each in [0, 1], of n >= 1 predictions.

    Macro-F1 is the mean F1 over the classes that are there or predicted. A class that is there has
    a recall; of more than 20 classes only the lowest recall is given.
    """
    right = Counter(label for label, guess in zip(truth, predicted, strict=True) if label == guess)
    there, guessed = Counter(truth), Counter(predicted)
    scores = [2 * right[label] / (there[label] + guessed[label]) for label in there | guessed]
    recalls = {f"recall {label}": right[label] / there[label] for label in sorted(there)}
    if len(recalls) > MOST_NAMED:
        recalls = {"lowest-recall": min(recalls.values())}
    return {"accuracy": right.total() / len(truth), "macro-f1": sum(scores) / len(scores), **recalls}


def _checked(logits: NDArray[np.floating], rows: int, columns: int) -> NDArray[np.floating]:
    """The logits, (rows, columns); with no rows whatever the width, as where nothing was asked for."""
    if rows == 0 and len(logits) == 0:
        return np.zeros((0, columns))
    if logits.shape != (rows, columns):
        raise ValueError(f"logits are {logits.shape} for {rows} ids and {columns} classes")
    return logits


def _likeliest(logits: NDArray[np.floating]) -> tuple[NDArray[np.int64], FloatArray]:
    """(n,) the likeliest class, the first of equals, and its probability."""
    chances = probabilities(logits)
    known = ~np.isnan(chances).any(axis=1)
    labels = np.full(len(logits), -1, dtype=np.int64)
    labels[known] = chances[known].argmax(axis=1)
    return labels, np.where(known, chances.max(axis=1, initial=0.0), np.nan)


def _unsure(confidence: float, least: float) -> str:
    """The confidence is rounded down, so that it never reads as the least one."""
    if np.isnan(confidence):
        return NO_NUMBER
    return f"confidence {Decimal(str(confidence)).quantize(Decimal('0.01'), ROUND_FLOOR)} under {least:g}"


def _over(
    cap: int, labels: NDArray[np.int64], confidence: FloatArray, accepted: BoolArray, ids: Sequence[str]
) -> list[int]:
    """The accepted rows that come after the `cap` surest of their class."""
    taken: dict[int, int] = {}
    beyond = []
    for row in sorted(np.flatnonzero(accepted).tolist(), key=lambda row: (-confidence[row], ids[row])):
        taken[labels[row]] = taken.get(labels[row], 0) + 1
        if taken[labels[row]] > cap:
            beyond.append(row)
    return beyond
