"""The images that a generator may be conditioned on, class by class, and stable fair choices among them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from augforge.data.ids import unit
from augforge.data.sample import Sample

if TYPE_CHECKING:
    from augforge.data.likeness import Likeness

WINDOW = 16  # candidates looked at per choice; more would be fairer and slower


class Pool:
    """The conditioning images of one class.

    A choice is made by hashes (consistent hashing with a window), so it does not depend on order, and adding
    an image to n others changes about 1 in n choices.
    """

    def __init__(self, samples: Iterable[Sample], shots: int | None = None) -> None:
        ring = sorted(samples, key=lambda sample: (unit("ring", sample.id), sample.id))
        self.samples = ring[:shots]
        self._places = [unit("ring", sample.id) for sample in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def cycle(self, count: int) -> Iterator[tuple[Sample, int]]:
        """The first `count` of: every image once (variant 0), then every image again (variant 1), and so on."""
        if not self.samples:
            return
        for turn in range(count):
            yield self.samples[turn % len(self.samples)], turn // len(self.samples)

    def partner(
        self, parent: Sample, variant: int, fits: Callable[[Sample], bool] = lambda sample: True
    ) -> Sample | None:
        """Another image than `parent` (other content) that `fits`, or None where there is none."""
        return self.drawn(parent.id, variant, fits=lambda other: other.digest != parent.digest and fits(other))

    def drawn(self, *named: Any, fits: Callable[[Sample], bool] = lambda sample: True) -> Sample | None:
        """An image that `fits`, for what is called `named`; None where there is none."""
        start = bisect_left(self._places, unit("start", *named))
        window = list(islice(filter(fits, self._from(start)), WINDOW))
        return min(window, key=lambda other: unit("pair", *named, other.id), default=None)

    def _from(self, start: int) -> Iterator[Sample]:
        for step in range(len(self.samples)):
            yield self.samples[(start + step) % len(self.samples)]


def _video_of(sample: Sample) -> str:
    """The video that an image is a frame of, "" if it is of none: sources of videos name frames VIDEO#FRAME."""
    source = sample.source or ""
    return source.rpartition("#")[0] if source.startswith("video ") else ""


class Pools(Mapping[str | None, Pool]):
    """The conditioning images of every class, by label; under None those without one. None is for evaluation.

    `likeness` says how alike they are, for a generator that plans by it. `seed` is that of the run. `words` are lists
    of the run's, by attribute and class, such as backgrounds.
    """

    def __init__(
        self,
        pools: Mapping[str | None, Pool],
        likeness: Likeness | None = None,
        seed: int = 0,
        words: Mapping[str, Mapping[str, Sequence[str]]] = MappingProxyType({}),
    ) -> None:
        self._pools, self.likeness, self.seed, self.words = dict(pools), likeness, seed, words

    def __getitem__(self, label: str | None) -> Pool:
        return self._pools[label]

    def __iter__(self) -> Iterator[str | None]:
        return iter(self._pools)

    def __len__(self) -> int:
        return len(self._pools)

    @cached_property
    def videos(self) -> Mapping[str, list[Sample]]:
        """The frames of each video of a source that names them VIDEO#FRAME, in the order in which they are shown."""
        found: dict[str, list[Sample]] = {}
        for sample in chain.from_iterable(pool.samples for pool in self._pools.values()):
            if video := _video_of(sample):
                found.setdefault(video, []).append(sample)
        return {video: sorted(frames, key=lambda frame: frame.source or "") for video, frames in found.items()}

    def around(self, frame: Sample, count: int) -> list[Sample]:
        """Up to `count` neighbouring frames of a video, `frame` among them and all of its size; it alone if there are
        none.
        """
        frames = self.videos.get(_video_of(frame), [frame])
        alike = [other for other in frames if (other.width, other.height) == (frame.width, frame.height)]
        place = next(n for n, other in enumerate(alike) if other.id == frame.id)
        first = max(0, min(place - count // 2, len(alike) - count))
        return alike[first : first + count]

    @cached_property
    def contexts(self) -> Contexts:
        """What others of the images say in words."""
        return Contexts(self)

    @cached_property
    def by_id(self) -> Mapping[str, Sample]:
        """The images of all classes, by their ids."""
        return {sample.id: sample for sample in self.together.samples}

    def similar_classes(self, label: str | None) -> list[tuple[str, float]]:
        """The other classes with the mean likeness of their images to those of `label`, the most similar first."""
        return self._similar.get(str(label), []) if label is not None else []

    @cached_property
    def _similar(self) -> Mapping[str, list[tuple[str, float]]]:
        groups = {label: [s.id for s in pool.samples] for label, pool in self._pools.items() if label is not None}
        return {} if self.likeness is None else self.likeness.similar_groups(groups)

    @cached_property
    def together(self) -> Pool:
        """The images of all classes as one pool: its `partner` may be of another class."""
        return Pool(chain.from_iterable(pool.samples for pool in self._pools.values()))


class Contexts:
    """The images of `pools` that have a caption, and fair choices among them; another seed of the run makes others.

    None of them is for evaluation, as none in `pools` is.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools, self._seed = pools, pools.seed
        self._circles: dict[int, tuple[list[float], list[Sample]]] = {}

    def of_another(self, parent: Sample, variant: int) -> Sample | None:
        """Another image of whatever class, each being as likely; None if no other one has a caption.

        Seed and variant put the images in a circle, and the next one is taken: of images that all have captions, each
        gives its own to one other (Sattolo's cycle), and one image more changes one choice.
        """
        places, circle = self._circle(variant)
        start = bisect_right(places, self._place(variant, parent))
        after = [*circle[start : start + 2], *circle[:2]]
        return next((donor for donor in after if donor.id != parent.id), None)

    def of_any(self, label: str | None, variant: int, own: bool) -> Sample | None:
        """An image for one that has no parent: of its own class, or of any; None where none has a caption."""
        pool = captioned(self._pools[label]) if own else self._everyone
        return pool.drawn(self._seed, label, variant)

    @cached_property
    def _everyone(self) -> Pool:
        return captioned(self._pools.together)

    def _circle(self, variant: int) -> tuple[list[float], list[Sample]]:
        if variant not in self._circles:
            ordered = sorted((self._place(variant, each), each.id, each) for each in self._everyone.samples)
            self._circles[variant] = [place for place, _, _ in ordered], [each for _, _, each in ordered]
        return self._circles[variant]

    def _place(self, variant: int, sample: Sample) -> float:
        return unit("context", self._seed, variant, sample.id)


def captioned(pool: Pool) -> Pool:
    """The images of a pool that have a caption."""
    return Pool(sample for sample in pool.samples if sample.annotations.get("caption"))
