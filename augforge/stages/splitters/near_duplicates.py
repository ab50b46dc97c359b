"""Splits that keep near-duplicates together, so that no test image has a near-duplicate in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from augforge.data.sample import is_evaluation
from augforge.stages.splitter import Splitter
from augforge.stages.stage import Share

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class NearDuplicates(Splitter):
    """Put a share of each class into `test` and `validation`, near-duplicates always together.

    Near-duplicates are images whose 64-bit perceptual hashes, mirrored or not, differ in at most `distance` bits, and
    everything connected through them. Random splits leak: a note on the foot-ulcer data set reports .88 inside and .55
    on real data. Images of an evaluation split stay in it, and their near-duplicates in `train`, or
    without a split, move into it; other splits are left alone. Images without a label stay in `train`, unless they are
    near-duplicates of an image that does not.
    """

    name: ClassVar[str] = "near-duplicates"
    example: ClassVar[Mapping[str, Any]] = {"test": 0.3}

    test: Share = Field(default=0.2, description="Share of the images for the split `test`.")
    validation: Share = Field(default=0.0, description="Share of the images for the split `validation`.")
    distance: int = Field(default=6, ge=0, le=16, description="Bits in which the hashes of near-duplicates may differ.")

    @model_validator(mode="after")
    def _leave_some(self) -> NearDuplicates:
        if self.test + self.validation >= 1:
            raise ValueError("test and validation leave nothing to train on")
        return self

    def assign(
        self, hashes: NDArray[np.uint64], ids: Sequence[str], labels: Sequence[str], splits: Sequence[str | None]
    ) -> list[str]:
        """Whole groups, by a hash of each; see the base class for shapes."""
        groups = self.groups(hashes, ids)
        chosen = _groups_in_evaluation(groups, splits)
        movable = [split in (None, "train") for split in splits]
        free = [row for row, label in enumerate(labels) if label and movable[row] and groups[row] not in chosen]
        chosen |= self._draw(*([column[row] for row in free] for column in (groups, ids, labels)))
        placed = zip(groups, splits, movable, strict=True)
        return [chosen.get(group, "train") if moves else str(split) for group, split, moves in placed]

    def groups(self, hashes: NDArray[np.uint64], ids: Sequence[str]) -> list[str]:
        """(n,) the group of near-duplicates of each image, named by the smallest id in it."""
        from augforge.algorithms.duplicates import groups_of

        return groups_of(hashes, ids, self.distance)

    def _draw(self, groups: Sequence[str], ids: Sequence[str], labels: Sequence[str]) -> dict[str, str]:
        """The groups that go to `test` and `validation`, from the group, id and label of every free image."""
        from augforge.algorithms.duplicates import split_by_group

        drawn = split_by_group(ids, groups, labels, {"test": self.test, "validation": self.validation})
        return {group: split for group, split in zip(groups, drawn, strict=True) if split}


def _groups_in_evaluation(groups: Sequence[str], splits: Sequence[str | None]) -> dict[str, str]:
    """The split of every group that has an image in an evaluation split; of several the first by name."""
    known = sorted((group, str(split)) for group, split in zip(groups, splits, strict=True) if is_evaluation(split))
    return dict(reversed(known))
