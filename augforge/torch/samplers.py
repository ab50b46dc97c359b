"""The order in which a training sees the rows of a dataset: a curriculum, and batches that are half real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from torch.utils.data import Sampler

from augforge.algorithms.curriculum import share_at, within
from augforge.data.ids import rng
from augforge.errors import SourceError
from augforge.evaluate.batches import children_of, half_and_half, replaced

if TYPE_CHECKING:
    from datasets import Dataset
    from numpy.typing import NDArray


class Curriculum(Sampler[int]):
    """A sampler that shows a training the easiest augmented images first, and more of them with every epoch (MADAug).

    All images that are not augmented are shown in every epoch. Tell it which epoch begins, as a `DistributedSampler`:

        curriculum = Curriculum(data["train"])
        loader = DataLoader(data["train"], sampler=curriculum, batch_size=32, collate_fn=collate)
        for epoch in range(120):
            curriculum.set_epoch(epoch)
            for batch in loader: ...

    Args:
        data: a dataset with images of `generate madaug`; their rows have the difficulty and the schedule.
        seed: of the order in which the images are shown, which is another one in every epoch.
        difficulty: (n,) for each row of `data` how difficult it is, NaN for what is not augmented, instead of what the
            rows say. It may be replaced between epochs, such as by the losses of the model so far.

    Raises:
        SourceError: no row has a difficulty.
    """

    def __init__(self, data: Dataset, *, seed: int = 0, difficulty: NDArray[np.float64] | None = None) -> None:
        plain = data.with_format(None)
        scores = plain["scores"] if "scores" in plain.column_names else []
        said = np.array([row.get("difficulty", np.nan) for row in scores], dtype=np.float64)
        augmented = np.flatnonzero(~np.isnan(said))
        if not len(augmented):
            raise SourceError("no row has a difficulty", "make images with `generate madaug` first")
        schedule = json.loads(plain[int(augmented[0])]["provenance"])
        self._schedule = (float(schedule["warm-up"]), float(schedule["start"]))
        self.difficulty = said if difficulty is None else difficulty
        self.epoch, self._seed = 0, seed

    @property
    def share(self) -> float:
        """The share of the augmented images that this epoch uses, in [0, 1]."""
        return share_at(self.epoch, *self._schedule)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins, from 0."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        chosen = within(np.asarray(self.difficulty, dtype=np.float64), self.share)
        return iter(rng(self._seed, f"epoch {self.epoch}").permutation(chosen).tolist())

    def __len__(self) -> int:
        return len(within(np.asarray(self.difficulty, dtype=np.float64), self.share))


class HalfSynthetic(Sampler[list[int]]):
    """Batches of which exactly half is real and half is synthetic, whatever their numbers; give it as `batch_sampler`.

        batches = HalfSynthetic(data, batch_size=32)
        loader = DataLoader(data, batch_sampler=batches, collate_fn=collate)
        for epoch in range(90):
            batches.set_epoch(epoch)
            for batch in loader: ...

    Real images are drawn with replacement, synthetic ones pass by in random order, each once before any comes again
    (arXiv 2502.04475, 256 and 256). An epoch has as many batches as the larger half fills. Without synthetic images
    all of a batch is real. `augforge evaluate` trains on the same batches.

    Args:
        data: a dataset with the column `origin`.
        batch_size: even.
        seed: of what is drawn, which is something else in every epoch.

    Raises:
        SourceError: the dataset does not say which images are real, or none is.
        ValueError: `batch_size` is odd.
    """

    def __init__(self, data: Dataset, batch_size: int, *, seed: int = 0) -> None:
        if "origin" not in data.column_names:
            raise SourceError("the dataset has no column 'origin'", f"it has {', '.join(data.column_names)}")
        real = np.array([origin == "real" for origin in data.with_format(None)["origin"]], dtype=bool)
        if not real.any():
            raise SourceError("the dataset has no real image", "half of each batch is real")
        if batch_size < 2 or batch_size % 2:
            raise ValueError(f"batch_size must be even, not {batch_size}: half of a batch is real")
        self._real, self._synthetic = np.flatnonzero(real), np.flatnonzero(~real)
        self._size, self._seed, self.epoch = batch_size, seed, 0

    @property
    def sampler(self) -> HalfSynthetic:
        """Itself: Lightning and Accelerate look here for what to tell the epoch."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins, from 0."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        random = rng(self._seed, f"epoch {self.epoch}")
        for rows in half_and_half(self._real, self._synthetic, self._size, len(self), random):
            yield rows.tolist()

    def __len__(self) -> int:
        half = self._size // 2 if len(self._synthetic) else self._size
        return -(-max(len(self._real), len(self._synthetic)) // half)


class Replaced(Sampler[int]):
    """The real rows in random order, of which each gives its place with probability `share` to one made from it.

        sampler = Replaced(data, share=0.5)
        loader = DataLoader(data, sampler=sampler, batch_size=32, collate_fn=collate)
        for epoch in range(90):
            sampler.set_epoch(epoch)
            for batch in loader: ...

    An epoch is as long as without generated images, and every real image stands in it once, as itself or as one of what
    was made from it (DA-Fusion: Trabucco et al., ICLR 2024, arXiv 2302.07944, with 0.5). What was made from no real row
    of the dataset is never shown. `augforge evaluate --replacement` trains so.

    Args:
        data: a dataset with the columns `id`, `origin` and `provenance`, which names the parents.
        share: in [0, 1].
        seed: of the order and of what is drawn, which is something else in every epoch.

    Raises:
        SourceError: the dataset has no such columns, or no row was made from a real one of it.
        ValueError: `share` is not in [0, 1].
    """

    def __init__(self, data: Dataset, share: float = 0.5, *, seed: int = 0) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"share must be in [0, 1], not {share}")
        columns = ("id", "origin", "provenance")
        if missing := [name for name in columns if name not in data.column_names]:
            raise SourceError(f"the dataset has no column {missing[0]!r}", f"it has {', '.join(data.column_names)}")
        ids, origins, said = (data.with_format(None)[name] for name in columns)
        real = np.array([origin == "real" for origin in origins], dtype=bool)
        parents = [[one["id"] for one in json.loads(text).get("parents", ())] for text in said]
        self._real, self._children = np.flatnonzero(real), children_of(list(ids), parents, real)
        if not self._children:
            raise SourceError("no row was made from a real one", "the provenance of generated rows names their parents")
        self._share, self._seed, self.epoch = share, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins, from 0."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        random = rng(self._seed, f"epoch {self.epoch}")
        rows = replaced(random.permutation(self._real), self._children, self._share, random)
        return iter(rows.tolist())

    def __len__(self) -> int:
        return len(self._real)
