"""Splitters: stages that divide the images into splits."""

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
    """Divides the training images into splits; runs before anything is generated."""

    verb: ClassVar[str] = "split"

    @abstractmethod
    def assign(
        self, hashes: Hashes, ids: Sequence[str], labels: Sequence[str], splits: Sequence[str | None]
    ) -> list[str]:
        """The split of each of n images: `hashes` (n,) perceptual hashes, `ids`, `labels` and present `splits` (n,)."""
