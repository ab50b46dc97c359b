"""What stands for a sample when its effect on training matters: its last-layer gradient, and how wrong a model is.

After *Data-Efficient Augmentation for Training Neural Networks* (NeurIPS 2022). Logits are (n, c), labels (n,) are
columns of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from augforge.algorithms.selection.selection import Floats

Array = NDArray[np.float32]


def columns(labels: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """(n,) which of `classes` (c,), the names of the columns of logits, each of `labels` (n,) is.

    Raises:
        ValueError: a label that is none of them.
    """
    places = {name: place for place, name in enumerate(classes)}
    unknown = sorted(set(labels) - set(places))
    if unknown:
        raise ValueError(f"the classifier does not know the class {unknown[0]!r}")
    return np.array([places[label] for label in labels], dtype=np.int64)


def softmax_residual(logits: ArrayLike, labels: ArrayLike) -> Array:
    """(n, c) softmax(z) - onehot(y): the gradient of the cross-entropy with respect to the logits.

    Raises:
        ValueError: logits that are not (n, c) or not finite, or a label that is no column.
    """
    scores, classes = _checked(logits, labels)
    residual = np.exp(_log_softmax(scores))
    residual[np.arange(len(classes)), classes] -= 1
    return residual.astype(np.float32)


def outer_gram(residuals: ArrayLike, features: ArrayLike) -> Floats:
    """(n, n) inner products of the outer products g_i h_i' of `residuals` g (n, c) and `features` h (n, d).

    The outer products are the gradients with respect to the last layer's weights. They are never formed, because
    <g_i h_i', g_j h_j'> = <g_i, g_j> <h_i, h_j>.
    """
    left, right = np.asarray(residuals, np.float64), np.asarray(features, np.float64)
    _as_many(left, right)
    gram: Floats = (left @ left.T) * (right @ right.T)
    return gram


def outer_product(logits: ArrayLike, labels: ArrayLike, features: ArrayLike, *, width: int = 2048) -> Array:
    """(n, width) vectors whose inner products are about those of the outer products of residual and features.

    Where c d is at most `width`, the outer products themselves, (n, c d). Otherwise each column is the product of a
    random projection of the residual (n, c) and one of the features (n, d), with signs of +-1 / width**(1/4): the
    expected inner product is exact, and for vectors of length 1 its standard deviation is at most
    3 / sqrt(width). The projection is always the same for the same sizes.

    Raises:
        ValueError: as `softmax_residual`; features of another length; or a width under 1.
    """
    return outer_products(softmax_residual(logits, labels), features, width=width)


def outer_products(residuals: ArrayLike, features: ArrayLike, *, width: int = 2048) -> Array:
    """As `outer_product`, of residuals (n, c) that are there already: of soft labels, or weighted.

    Raises:
        ValueError: residuals or features that are not (n, c) and (n, d), or a width under 1.
    """
    if width < 1:
        raise ValueError(f"width is {width}: give 1 or more")
    left, right = np.asarray(residuals, np.float32), np.asarray(features, np.float32)
    _as_many(left, right)
    if left.shape[1] * right.shape[1] <= width:
        whole: Array = left[:, :, None] * right[:, None, :]
        return whole.reshape(len(left), -1)
    draw = np.random.default_rng(0)
    projected: Array = left @ _signs(draw, left.shape[1], width)
    projected *= right @ _signs(draw, right.shape[1], width)
    return projected


def losses(logits: ArrayLike, labels: ArrayLike) -> Floats:
    """(n,) the cross-entropy of each sample, in nats.

    Raises:
        ValueError: as `softmax_residual`.
    """
    scores, classes = _checked(logits, labels)
    found: Floats = -_log_softmax(scores)[np.arange(len(classes)), classes]
    return found


def divergences(teacher: ArrayLike, student: ArrayLike, *, temperature: float = 1.0) -> Floats:
    """(n,) the Kullback-Leibler divergence KL(teacher || student) of the softmax of their logits (n, c), in nats.

    Logits are divided by `temperature` first. It is 0 where both agree.

    Raises:
        ValueError: logits that are not (n, c) or not finite, of different shape, or a temperature that is not over 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}: give a number over 0")
    first, second = _logits(teacher), _logits(student)
    if first.shape != second.shape:
        raise ValueError(f"the teacher's logits are {first.shape} and the student's {second.shape}")
    sure, unsure = _log_softmax(first / temperature), _log_softmax(second / temperature)
    found: Floats = np.maximum((np.exp(sure) * (sure - unsure)).sum(axis=1), 0)
    return found


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    found: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found


def _signs(draw: np.random.Generator, rows: int, width: int) -> Array:
    return (draw.integers(2, size=(rows, width)) * 2 - 1).astype(np.float32) / np.float32(width**0.25)


def _logits(logits: ArrayLike) -> Floats:
    scores = np.asarray(logits, np.float64)
    if scores.ndim != 2 or scores.shape[1] < 1:
        raise ValueError(f"logits have shape {scores.shape}: give (n, c)")
    finite = np.isfinite(scores).all(axis=1)
    if not finite.all():
        raise ValueError(f"logits: row {int(finite.argmin())} is not finite")
    return scores


def _checked(logits: ArrayLike, labels: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    scores, classes = _logits(logits), np.asarray(labels)
    if classes.shape != scores.shape[:1] or (classes.size and classes.dtype.kind not in "iu"):
        raise ValueError(f"labels are {classes.dtype} of shape {classes.shape}: give one column for each row")
    wrong = np.flatnonzero((classes < 0) | (classes >= scores.shape[1]))
    if len(wrong):
        raise ValueError(f"labels: row {wrong[0]} is {classes[wrong[0]]}, of {scores.shape[1]} columns")
    return scores, classes.astype(np.int64)


def _as_many(left: NDArray[np.floating], right: NDArray[np.floating]) -> None:
    if right.ndim != 2 or len(left) != len(right):
        raise ValueError(f"features have shape {right.shape}: give ({len(left)}, d)")
