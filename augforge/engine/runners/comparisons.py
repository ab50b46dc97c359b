"""Pictures are compared by the engine of the run, two at a time, each pair once; the answers are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.duplicates.overlapping import overlapping
from augforge.data.key_index import Keys
from augforge.data.ledger import Ledger
from augforge.data.parts import Parts
from augforge.data.store import Store
from augforge.engine.engines.local import Local
from augforge.engine.pixels import Located, Pixels, located
from augforge.engine.runners.closer_look import SEEN, CloserLook, Pair
from augforge.engine.runners.overlaps import BLOCK, FITS, LOOKS, Block, Overlapping, smalls_of
from augforge.engine.work import Engine, Place
from augforge.progress import Progress

AT_ONCE = 1 << 17
"""Pairs that are best given to `Comparisons` at a time: enough for many workers, and 50 MB of names."""


class HasBytes(Protocol):
    """What gives the bytes of a sample, such as a run folder."""

    def bytes_of(self, sample: Located) -> bytes:
        """The exact encoded bytes; BadImage if they are gone."""


class ByDigest:
    """The images of ledgers by their digests, and `pixels` to read any of them.

    Images of a place that is no `Pixels` can be read in this process alone.
    """

    def __init__(self, *places: tuple[Ledger, Pixels | HasBytes]) -> None:
        self._places = places
        sources: list[Any] = []
        self.pixels = Pixels(sources)
        for _, pixels in places:
            if isinstance(pixels, Pixels):
                sources += pixels.sources
                self.pixels.specs += pixels.specs
                self.pixels.generated |= pixels.generated
            else:
                sources.append(_ById(pixels))

    def located(self, digests: Iterable[str]) -> dict[str, Located]:
        """Where the images of `digests` are, by digest: in the last ledger that has one."""
        found, wanted, before = {}, sorted(set(digests)), 0
        for ledger, pixels in self._places:
            for image in located(ledger, ledger.all_with("digest", wanted)):
                found[image.digest] = image._replace(ref=_ref(image, pixels, before))
            before += len(pixels.sources) if isinstance(pixels, Pixels) else 1
        return found


def _ref(image: Located, pixels: Pixels | HasBytes, before: int) -> str:
    """Where an image is among the sources of all places, of which `before` come before its own."""
    if not isinstance(pixels, Pixels):
        return f"{before}:{image.id}"
    place, _, locator = image.ref.partition(":")
    return image.ref if place == "generated" else f"{int(place) + before}:{locator}"


class _ById:
    """Images that are asked for by id, as a source."""

    def __init__(self, images: HasBytes) -> None:
        self._images = images

    def read(self, identity: str) -> bytes:
        """The bytes of the sample with this id."""
        return self._images.bytes_of(Located(identity, "", ""))


class Comparisons:
    """Compares the pictures of digests whose small ones are in `looks`; with `flips` mirror images, too."""

    def __init__(self, store: Store, looks: Parts, images: ByDigest, engine: Engine, *, flips: bool) -> None:
        self._looks, self._images, self._flips = looks, images, flips
        self._engine = Local() if engine.shares else engine  # tasks of an array have no answers of each other
        self._fits, self._seen = store.parts("overlap-1", FITS, by="block"), store.parts("closer-2", SEEN, by="pair")
        self._fits.merges = self._seen.merges = not engine.shares
        images.pixels.generated[LOOKS] = looks
        self._place = Place(images.pixels, "cpu", _Remarks(store.say))
        self._unseen: set[str] = set()

    def overlapping(self, left: Keys, right: Keys, least: float, smallest: int) -> NDArray[np.bool_]:
        """(p,) whether the pictures of digests (p,) and (p,) overlap at least by `least`."""
        if not len(left):
            return np.zeros(0, dtype=bool)
        both = np.concatenate([np.asarray(left, "S"), np.asarray(right, "S")])
        digests, places = np.unique(both, return_inverse=True)
        lower, upper = np.sort(places.reshape(2, -1), axis=0)
        numbers, which = np.unique(lower.astype(np.int64) * len(digests) + upper, return_inverse=True)
        pairs = np.stack(np.divmod(numbers, len(digests)), axis=1)
        work = Overlapping(least, self._flips, smallest)
        if len(pairs) < BLOCK:
            smalls = smalls_of(self._looks, digests)
            return overlapping(smalls, pairs, least, flips=self._flips, smallest=smallest)[which]
        return self._in_blocks(work, list(work.blocks(digests, pairs)))[which]

    def _in_blocks(self, work: Overlapping, blocks: Sequence[Block]) -> NDArray[np.bool_]:
        """(p,) the answers to the pairs of all blocks; False for those of which there is none."""
        missing = set(self._fits.missing([block.name for block in blocks]))
        todo = [block for block in blocks if block.name in missing]
        refused = self._engine.run(work, todo, work.count(todo), self._fits, self._place)
        for name, why in refused.unjudged.items():
            self._place.progress.say(f"pairs {name[:8]} are taken for different: {why}")
        there = self._fits.find([block.name for block in blocks]) >= 0
        rows = self._fits.rows([block.name for block, known in zip(blocks, there, strict=True) if known], ["fits"])
        answers = []
        for block, known in zip(blocks, there.tolist(), strict=True):
            count = len(block.pairs)
            bits = np.frombuffer(next(rows)["fits"], dtype=np.uint8) if known else np.zeros(-(-count // 8), np.uint8)
            answers.append(np.unpackbits(bits, count=count).astype(bool))
        return np.concatenate(answers)

    def differences(self, left: Sequence[str], right: Sequence[str], smallest: int) -> NDArray[np.float64]:
        """(p,) how much the pictures of digests (p,) and (p,) differ; without end where one can no longer be read."""
        work = CloserLook(self._flips, smallest)
        pairs = {work.name(*pair): pair for pair in zip(left, right, strict=True)}
        missing = sorted(set(self._seen.missing(list(pairs))) - self._unseen)
        if missing:
            at = self._images.located(digest for name in missing for digest in pairs[name])
            todo = [Pair(name, *(at[digest] for digest in sorted(pairs[name]))) for name in missing]
            refused = self._engine.run(work, todo, len(todo), self._seen, self._place)
            self._unseen.update(refused.unjudged)
        names = [work.name(*pair) for pair in zip(left, right, strict=True)]
        found = np.full(len(names), np.inf)
        there = np.flatnonzero(self._seen.find(names) >= 0)
        found[there] = self._seen.numbers([names[place] for place in there.tolist()], "difference")
        return found


class _Remarks(Progress):
    """Passes on what is said; a bar of the whole comparison is shown already."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def say(self, text: str) -> None:
        self._tell(text)
