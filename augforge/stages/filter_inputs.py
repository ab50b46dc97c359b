"""What an embedding filter may look at: images, and what they can be compared with, computed on first use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Vectors: TypeAlias = "NDArray[np.float32]"
Numbers: TypeAlias = "NDArray[np.int64]"
Neighbours: TypeAlias = "tuple[NDArray[np.float64], Numbers]"


@dataclass(frozen=True, slots=True)
class Reference:
    """The kept, labelled real images outside evaluation splits: what the classes look like.

    `vectors` (m, d), unit length and finite; `classes` (m,), index of each image's class; `ids` (m,).
    """

    vectors: Vectors
    classes: Numbers
    ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Labelled real images that a classifier did not learn from.

    `vectors` (m, d), as those of the images; `labels` (m,) the names of their classes; `where` says which they are.
    """

    vectors: Vectors
    labels: Sequence[str]
    where: str


@dataclass(frozen=True, slots=True)
class Parents:
    """The parents of images: image `children[k]` has a parent with the vector `vectors[k]`.

    `children` (q,), `vectors` (q, d), unit length, `ids` (q,); parents that cannot be read are left out.
    """

    children: Numbers
    vectors: Vectors
    ids: Sequence[str] = ()

    def of(self, rows: Numbers) -> Parents:
        """The parents of images that are repeated: image k of the answer is that at `rows[k]` (m,) here."""
        import numpy as np

        order = np.argsort(self.children, kind="stable")
        ordered = self.children[order]
        starts, stops = np.searchsorted(ordered, rows), np.searchsorted(ordered, rows, side="right")
        taken = [order[start:stop] for start, stop in zip(starts, stops, strict=True)]
        places = np.concatenate(taken) if taken else order[:0]
        ids = [self.ids[place] for place in places.tolist()] if len(self.ids) else ()
        return Parents(np.repeat(np.arange(len(rows)), stops - starts), self.vectors[places], ids)


def _not_here(*_: object) -> NoReturn:
    raise LookupError("this gallery has no such thing")


class FilterInputs:
    """n images of c classes, as a model represents them.

    Args:
        ids: (n,) the images' ids.
        classes: (n,) index of each image's class, -1 where it has no label.
        also: images and classes, (q,) each: of which other classes the image of a row is; one with several labels has
            a row for each.
        names: (c,) the names of the classes.
        images: returns (n, d) vectors of unit length, or a classifier's logits; finite.
        texts: returns (t, d) the vectors of t texts, of unit length.
        reference: returns the real images.
        training: returns the real images, those without a label too.
        parents: returns the parents of the images.
        known: returns the names of the d classes of a classifier, in the order of its logits.
        held_out: returns the images of the split of that name, or others that the classifier did not learn from.
        seen_by: returns (n, d) the vectors of the images by another model, given its name and task.
        families: returns (n,) a number that the images of the same parents share; without a parent, those of a class.
        logit_scale: returns exp(logit_scale) of an image-text model, None where its checkpoint has none.
        prompts: returns (n,) the text that each image was made from, or its caption, "" where there is neither.
        mutual: returns (n,) how odd the oddest patch of each of n images is beside those of others, given both by ids.
    """

    def __init__(
        self,
        ids: Sequence[str],
        classes: Numbers,
        names: Sequence[str],
        *,
        images: Callable[[], Vectors] = _not_here,
        texts: Callable[[Sequence[str]], Vectors] = _not_here,
        reference: Callable[[], Reference] = _not_here,
        training: Callable[[], Reference] = _not_here,
        parents: Callable[[], Parents] = _not_here,
        known: Callable[[], Sequence[str]] = _not_here,
        held_out: Callable[[str], HeldOut] = _not_here,
        mutual: Callable[[Sequence[str], Sequence[str]], NDArray[np.float64]] = _not_here,
        seen_by: Callable[[str, str], Vectors] = _not_here,
        families: Callable[[], Numbers] = _not_here,
        prompts: Callable[[], Sequence[str]] = _not_here,
        logit_scale: Callable[[], float | None] = _not_here,
        also: tuple[Numbers, Numbers] | None = None,
    ) -> None:
        self.ids, self.classes, self.names, self.also = ids, classes, names, also
        self._images, self._texts = images, texts
        self._reference, self._parents, self._known = reference, parents, known
        self._held_out, self._mutual, self._prompts, self._training = held_out, mutual, prompts, training
        self._families, self._seen_by, self._logit_scale = families, seen_by, logit_scale

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def images(self) -> Vectors:
        """(n, d) the images' vectors."""
        return self._images()

    def texts(self, texts: Sequence[str]) -> Vectors:
        """(t, d) the vectors of t texts, of unit length."""
        return self._texts(texts)

    def seen_by(self, model: str, task: str) -> Vectors:
        """(n, d) the vectors of the images by another model, used for `task`."""
        return self._seen_by(model, task)

    def held_out(self, split: str) -> HeldOut:
        """Labelled real images that the classifier did not learn from: those of `split` if there are any.

        Raises:
            RecipeError: there are none.
        """
        return self._held_out(split)

    def mutual(self, ids: Sequence[str], others: Sequence[str]) -> NDArray[np.float64]:
        """(n,) how odd the oddest patch of each image of `ids` (n,) is beside those of `others` (m,), without itself.

        NaN for an image that cannot be read; 0 where there is no other.
        """
        return self._mutual(ids, others)

    @cached_property
    def reference(self) -> Reference:
        """The real images."""
        return self._reference()

    @cached_property
    def training(self) -> Reference:
        """The real images, with class -1 where they have no label or several."""
        return self._training()

    @cached_property
    def parents(self) -> Parents:
        """The parents of the images."""
        return self._parents()

    @cached_property
    def logit_scale(self) -> float | None:
        """What the image-text model's cosines were multiplied by when it learnt; None where its checkpoint has none."""
        return self._logit_scale()

    @cached_property
    def nearest_parent(self) -> Neighbours:
        """(n,) the cosine of each image to the nearest of its own parents, and (n,) its place in `parents`, or -1."""
        from augforge.algorithms.duplicates.replication import nearest_parent

        return nearest_parent(self.images, self.parents.children, self.parents.vectors)

    @cached_property
    def nearest_training(self) -> Neighbours:
        """(n,) the cosine of each image to the nearest one of `training`, and (n,) its place there, or -1."""
        from augforge.algorithms.duplicates.replication import nearest_of

        return nearest_of(self.images, self.training.vectors)

    @cached_property
    def families(self) -> Numbers:
        """(n,) a number that the images of the same parents share; without a parent, those of a class."""
        return self._families()

    @cached_property
    def prompts(self) -> Sequence[str]:
        """(n,) the text that each image was made from, or its caption; "" where there is neither."""
        return self._prompts()

    @cached_property
    def known(self) -> Sequence[str]:
        """The names of a classifier's classes, in the order of its logits."""
        return self._known()

    @cached_property
    def prototypes(self) -> Vectors:
        """(c, d) the mean direction of the real images of each class; NaN for a class without any."""
        real = self.reference
        return mean_directions(real.vectors, real.classes, len(self.names), self.images.shape[1])


def mean_directions(vectors: Vectors, groups: Numbers, count: int, width: int) -> Vectors:
    """(count, width) the mean direction of the unit vectors (n, width) of each group; NaN for a group without any.

    Vectors that are not finite do not count.
    """
    import numpy as np

    means = np.full((count, width), np.nan, dtype=np.float32)
    usable = np.isfinite(vectors).all(axis=1) if vectors.size else np.zeros(len(vectors), dtype=bool)
    vectors, groups = vectors[usable], groups[usable]
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order])) + 1
    for members in np.split(order, starts):
        if len(members) and 0 <= groups[members[0]] < count:
            mean = vectors[members].mean(axis=0)
            means[groups[members[0]]] = mean / max(float(np.linalg.norm(mean)), 1e-12)
    return means
