"""Label errors by confident learning: which labels does a model that never saw them find improbable?

Confident learning is that of Northcutt, Jiang and Chuang (*Confident Learning: Estimating Uncertainty in Dataset
Labels*, JAIR 2021) as cleanlab 2 computes it; here are the out-of-sample probabilities that it needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from augforge.optional import require

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]

FilterBy = Literal["prune-by-noise-rate", "prune-by-class", "both", "confident-learning", "predicted-neq-given"]
Score = Literal["self-confidence", "normalized-margin", "confidence-weighted-entropy"]
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse strengths of the L2 penalty to choose from: with too large a one the classifier takes right labels for
wrong, and which is right depends on the width of the vectors."""
USUAL = 1e-2
MOST_STEPS = 1000
LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class Judged:
    """What is thought of the labels of n images of c classes.

    `quality` (n,) in [0, 1], low for a label that is likely wrong, NaN where nothing can be said; `suggested` (n,) the
    likeliest class, -1 where nothing can be said; `probability` (n,) of the suggested class; `wrong` (n,) the labels
    that confident learning takes for errors.
    """

    quality: Floats
    suggested: Numbers
    probability: Floats
    wrong: NDArray[np.bool_]


def folds_of(classes: Numbers, groups: Numbers, keys: Sequence[str], folds: int) -> Numbers:
    """(n,) the fold in [0, folds) of each row: stratified by class, and the rows of one group in the same fold.

    Args:
        classes: (n,) the class of each row; a group is filed under that of its row with the smallest key.
        groups: (n,) a number that rows share which must not be on two sides, such as copies, or parents and children.
        keys: (n,) distinct texts; the groups of a class are dealt out in their order, so that of rows nothing matters.
        folds: how many, 3 or more.
    """
    found = np.zeros(len(classes), dtype=np.int64)
    order = np.argsort(np.asarray(keys, dtype=np.str_), kind="stable")
    _, first, group = np.unique(groups[order], return_index=True, return_inverse=True)
    heads = order[first]  # (g,) the row with the smallest key of each group
    dealt = heads[np.lexsort((np.asarray(keys, dtype=np.str_)[heads], classes[heads]))]
    fold_of_head = np.zeros(len(classes), dtype=np.int64)
    fold_of_head[dealt] = np.arange(len(dealt)) % folds
    found[order] = fold_of_head[heads][group]
    return found


def judgeable(classes: Numbers, folds: Numbers) -> NDArray[np.bool_]:
    """(n,) the rows whose class lies in two folds or more: there is always something of it to learn from."""
    pairs = np.unique(np.stack([classes, folds]), axis=1)
    known, count = np.unique(pairs[0], return_counts=True)
    found: NDArray[np.bool_] = np.isin(classes, known[count > 1])
    return found


def out_of_sample(vectors: Vectors, classes: Numbers, folds: Numbers) -> Floats:
    """(n, c) probabilities of the classes 0 to c - 1, each row by a classifier that learnt from the other folds alone.

    A logistic regression on standardised vectors. The strength of its penalty is chosen by the log loss on one of the
    folds that it may learn from, so that no label has a say in its own probabilities.

    Args:
        vectors: (n, d) finite.
        classes: (n,) the given classes; each lies in two folds or more.
        folds: (n,) the fold of each row.
    """
    values, numbers = vectors.astype(np.float64), np.unique(folds)
    count, probabilities = int(classes.max()) + 1, np.zeros((len(vectors), int(classes.max()) + 1))
    for fold, following in zip(numbers, np.roll(numbers, -1), strict=True):
        apart, inner = folds == fold, folds == following
        least = ~apart & ~inner
        strength = USUAL
        if len(np.unique(classes[least])) > 1:
            losses = [
                _log_loss(_fitted(values[least], classes[least], c, values[inner], count), classes[inner])
                for c in STRENGTHS
            ]
            strength = STRENGTHS[int(np.argmin(losses))]
        probabilities[apart] = _fitted(values[~apart], classes[~apart], strength, values[apart], count)
    return probabilities


def _fitted(vectors: Floats, classes: Numbers, strength: float, asked: Floats, count: int) -> Floats:
    """(m, count) probabilities of the rows `asked` (m, d) by a classifier of `vectors` (n, d); 0 of unknown classes."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=MOST_STEPS))
    model.fit(vectors, classes)
    probabilities = np.zeros((len(asked), count))
    probabilities[:, model.classes_] = model.predict_proba(asked)
    return probabilities


def _log_loss(probabilities: Floats, classes: Numbers) -> float:
    """The mean of -ln p of the given classes (n,)."""
    own = probabilities[np.arange(len(classes)), classes]
    return float(-np.log(np.maximum(own, LEAST)).mean())


def judge(classes: Numbers, probabilities: Floats, filter_by: FilterBy, score: Score) -> Judged:
    """What cleanlab thinks of given `classes` (n,), by out-of-sample `probabilities` (n, c) of all c classes.

    Raises:
        AugforgeError: cleanlab is not installed.
    """
    require("cleanlab", who="select noisy-labels")
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    wrong = find_label_issues(classes, probabilities, filter_by=filter_by.replace("-", "_"), n_jobs=1)
    quality = get_label_quality_scores(classes, probabilities, method=score.replace("-", "_"))
    return Judged(quality, probabilities.argmax(axis=1), probabilities.max(axis=1), wrong)


def find_label_errors(vectors: Vectors, classes: Numbers, folds: Numbers, filter_by: FilterBy, score: Score) -> Judged:
    """What is thought of the labels of images by their vectors (n, d); classes that lie in one fold are left out."""
    n, known = len(classes), judgeable(classes, folds)
    names, compact = np.unique(classes[known], return_inverse=True)
    judged = Judged(np.full(n, np.nan), np.full(n, -1), np.full(n, np.nan), np.zeros(n, dtype=bool))
    if len(names) < 2:
        return judged
    told = judge(compact, out_of_sample(vectors[known], compact, folds[known]), filter_by, score)
    judged.quality[known], judged.probability[known] = told.quality, told.probability
    judged.suggested[known], judged.wrong[known] = names[told.suggested], told.wrong
    return judged
