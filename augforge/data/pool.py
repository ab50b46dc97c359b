"""The images that a generator may be conditioned on, class by class, and stable fair choices among them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING

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
        start = bisect_left(self._places, unit("start", parent.id, variant))
        others = (s for s in self._from(start) if s.digest != parent.digest and fits(s))
        window = list(islice(others, WINDOW))
        return min(window, key=lambda other: unit("pair", parent.id, variant, other.id), default=None)

    def _from(self, start: int) -> Iterator[Sample]:
        for step in range(len(self.samples)):
            yield self.samples[(start + step) % len(self.samples)]


def _video_of(sample: Sample) -> str:
    """The video that an image is a frame of, "" if it is of none: sources of videos name frames VIDEO#FRAME."""
    source = sample.source or ""
    return source.rpartition("#")[0] if source.startswith("video ") else ""


class Pools(Mapping[str | None, Pool]):
    """The conditioning images of every class, by label; under None those without one. None is for evaluation.

    `likeness` says how alike they are, for a generator that plans by it.
    """

    def __init__(self, pools: Mapping[str | None, Pool], likeness: Likeness | None = None) -> None:
        self._pools, self.likeness = dict(pools), likeness

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
    def by_id(self) -> Mapping[str, Sample]:
        """The images of all classes, by their ids."""
        return {sample.id: sample for sample in self.together.samples}

    @cached_property
    def together(self) -> Pool:
        """The images of all classes as one pool: its `partner` may be of another class."""
        return Pool(chain.from_iterable(pool.samples for pool in self._pools.values()))
