"""Splitters: stages that assign images to splits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from augforge.stages.stage import Stage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]


class Splitter(Stage):
    """Assigns the training images to splits; runs before anything is generated."""

    verb: ClassVar[str] = "split"

    @abstractmethod
    def assign(
        self, hashes: Hashes, ids: Sequence[str], labels: Sequence[str], splits: Sequence[str | None]
    ) -> list[str]:
        """The split of each of n images, from perceptual `hashes` (n,), `ids`, `labels` and current `splits` (n,)."""

    def groups(self, hashes: Hashes, ids: Sequence[str]) -> list[str]:
        """(n,) the group of each image that `assign` keeps in one split; here each image is its own."""
        return list(ids)
