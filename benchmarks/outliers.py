"""Which rule drops planted faults and spares clean images: the default of the filters beside those not taken.

Run by `benchmarks/defaults.py --only outliers`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from planted import FAULTS, Photos, of_cifar, of_folder, spoilt

from augforge.algorithms.rules import LEAST, Rule, rescaled
from augforge.models import find_model
from augforge.models.loading import load_embedder
from augforge.recipe import build_stage
from augforge.stages.filter import EmbeddingFilter, Filter
from augforge.stages.filter_inputs import FilterInputs, Reference

Scores = NDArray[np.float64]


class Embeddings:
    """Vectors of images by one model, each computed once."""

    def __init__(self, name: str) -> None:
        self._model: Any = load_embedder(find_model(name, "image-embedding"), "cpu")
        self._known: dict[int, tuple[Image.Image, NDArray[np.float32]]] = {}

    def images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """(n, d)."""
        todo = list({id(image): image for image in images if id(image) not in self._known}.values())
        for start in range(0, len(todo), 64):
            some = todo[start : start + 64]
            for image, vector in zip(some, self._model.embed_images(some), strict=True):
                self._known[id(image)] = (image, vector)
        return np.stack([self._known[id(image)][1] for image in images])

    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(t, d)."""
        vectors: NDArray[np.float32] = self._model.embed_texts(list(texts))
        return vectors


def scored(stage: Filter, photos: Photos, embeddings: Embeddings, learnt: Probe) -> tuple[Scores, NDArray[np.int64]]:
    """(n,) what the rule looks at, and the number of each class."""
    names = sorted(set(photos.labels))
    classes = np.array([names.index(label) for label in photos.labels])
    if not isinstance(stage, EmbeddingFilter):
        measured = [stage.measure(image)[stage.primary_measure] for image in photos.images]  # type: ignore[attr-defined]
        return np.array(measured), classes
    vectors = embeddings.images(photos.images)
    ids = [f"{i:06d}" for i in range(len(vectors))]
    inputs = FilterInputs(
        ids,
        classes,
        names,
        images=lambda: learnt.logits(vectors) if stage.name == "classifier" else vectors,
        texts=embeddings.texts,
        reference=lambda: Reference(vectors, classes, ids),
        known=lambda: learnt.classes,
    )
    return stage.compare(inputs)[stage.primary_measure], classes


class Probe:
    """A linear classifier on embeddings, learnt from other images than those that are judged."""

    def __init__(self, photos: Photos, embeddings: Embeddings) -> None:
        from sklearn.linear_model import LogisticRegression

        self._fit = LogisticRegression(C=100, max_iter=500).fit(embeddings.images(photos.images), photos.labels)
        self.classes = list(self._fit.classes_)

    def logits(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, c)."""
        found: NDArray[np.float32] = self._fit.decision_function(vectors).astype(np.float32)
        return found


def otsu(scores: Scores) -> float:
    """The cut between two groups that leaves the least variance within (Otsu, 1979)."""
    ordered, n = np.sort(scores), len(scores)
    below = np.arange(1, n)
    sums = np.cumsum(ordered)[:-1]
    between = below * (n - below) * (sums / below - (ordered.sum() - sums) / (n - below)) ** 2
    place = int(np.argmax(between))
    return float((ordered[place] + ordered[place + 1]) / 2)


def mixture(scores: Scores) -> float:
    """Where two normal distributions meet, if they fit better than one by BIC and are apart (Ashman's D > 2)."""
    from sklearn.mixture import GaussianMixture

    column = scores[:, None]
    one, two = (GaussianMixture(k, n_init=3, random_state=0).fit(column) for k in (1, 2))
    low, high = np.argsort(two.means_[:, 0])
    apart = np.ptp(two.means_) / np.sqrt(two.covariances_.mean())
    if two.bic(column) >= one.bic(column) or apart < 2 or two.weights_[low] > 0.5:
        return -np.inf
    line = np.linspace(two.means_[low, 0], two.means_[high, 0], 500)[:, None]
    return float(line[int(np.argmax(two.predict(line) == high)), 0])


def two_sided(scores: Scores) -> float:
    """Median - 3.5 robust std, the deviation over both sides."""
    middle = np.median(scores)
    return float(middle - 3.5 * 1.4826 * np.median(np.abs(scores - middle)))


CUTS: dict[str, Callable[[Scores], float]] = {"both sides": two_sided, "otsu": otsu, "mixture": mixture}


def dropped(name: str, stage: Filter, scores: Scores, classes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) who goes by the rule called `name`, class by class."""
    shape: dict[str, Any] = {"lower_is_better": stage.rule().lower_is_better, "scale": stage.rule().scale}
    if name in ("outliers", "keep 0.8"):
        rule = stage.rule() if name == "outliers" else Rule(keep=0.8, **shape)
        return ~rule.apply(scores, np.arange(len(scores)), classes, "")[0]
    better = rescaled(scores, shape["scale"]) * (-1 if shape["lower_is_better"] else 1)
    goes = np.zeros(len(scores), dtype=bool)
    for number in np.unique(classes):
        mine = classes == number
        goes[mine] = better[mine] < CUTS[name](better[mine])
    return goes


STAGES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("prototype", {}),
    ("outlier", {}),
    ("clip", {}),
    ("margin", {}),
    ("classifier", {"model": "probe", "by": "label-probability"}),
    ("sharpness", {}),
)
WITHOUT_TEXT = ("prototype", "outlier", "classifier")


def outliers(given: argparse.Namespace) -> None:
    """False drops on clean images, and what goes of planted faults, with the default and with other rules."""
    sets = {}
    if given.flowers and given.cifar:
        flowers, cifar = of_folder(given.flowers / "val"), of_cifar(given.cifar, "test", 2000)
        sets["flowers"] = (flowers, cifar, of_folder(given.flowers / "train", 1000))
        sets["cifar"] = (cifar, flowers, of_cifar(given.cifar, "train", 1000))
    print(
        f"clean: % dropped. Faults in 5 %: % of them dropped (% of the others). Classes of under {LEAST} have no cut."
    )
    for model in ("builtin-clip", "efficientnet-lite2"):
        for name, (photos, strangers, others) in sets.items():
            embeddings = Embeddings(model)
            learnt = Probe(others, embeddings)
            cases = {fault: spoilt(photos, strangers, fault) for fault in ("none", *FAULTS)}
            print(f"\n{model}, {name}: {len(photos.images)}\n{'':24}{'clean':>7}" + "".join(f"{f:>13}" for f in FAULTS))
            for verb, options in STAGES:
                if model == "builtin-clip" or verb in WITHOUT_TEXT:
                    stage = _stage(verb, options)
                    each = {f: (*scored(stage, p, embeddings, learnt), bad) for f, (p, bad) in cases.items()}
                    _table(verb, stage, each)


def _stage(name: str, options: dict[str, Any]) -> Filter:
    stage = build_stage("filter", name, options, {"probe": "classification"})
    assert isinstance(stage, Filter)
    return stage


def _table(title: str, stage: Filter, cases: dict[str, tuple[Scores, NDArray[np.int64], NDArray[np.bool_]]]) -> None:
    for name in ("outliers", "keep 0.8", *CUTS):
        told = []
        for fault, (scores, classes, bad) in cases.items():
            goes = dropped(name, stage, scores, classes)
            good = f"({100 * goes[~bad].mean():.1f})"
            told.append(f"{100 * goes.mean():7.1f}" if fault == "none" else f"{100 * goes[bad].mean():6.0f} {good:>6}")
        print(f"{title:13}{name:11}" + "".join(told))
