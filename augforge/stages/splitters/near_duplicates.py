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

    test: Share = Field(0.2, description="Share of the images for the split `test`.")
    validation: Share = Field(0.0, description="Share of the images for the split `validation`.")
    distance: int = Field(6, ge=0, le=16, description="Bits in which the hashes of near-duplicates may differ.")

    @model_validator(mode="after")
    def _leave_some(self) -> NearDuplicates:
        if self.test + self.validation >= 1:
            raise ValueError("test and validation leave nothing to train on")
        return self

    def assign(
        self, hashes: NDArray[np.uint64], ids: Sequence[str], labels: Sequence[str], splits: Sequence[str | None]
    ) -> list[str]:
        """Whole groups, by a hash of each; see the base class for shapes."""
        from augforge.algorithms.duplicates import groups_of, split_by_group

        groups = groups_of(hashes, ids, self.distance)
        known = sorted((group, split) for group, split in zip(groups, splits, strict=True) if is_evaluation(split))
        fixed = {group: str(split) for group, split in reversed(known)}
        movable = [split in (None, "train") for split in splits]
        free = [row for row, group in enumerate(groups) if group not in fixed and movable[row] and labels[row]]
        shares = {"test": self.test, "validation": self.validation}
        drawn = split_by_group(
            [ids[row] for row in free], [groups[row] for row in free], [labels[row] for row in free], shares
        )
        fixed |= {groups[row]: split for row, split in zip(free, drawn, strict=True) if split}
        return [fixed.get(group, "train") if movable[row] else str(splits[row]) for row, group in enumerate(groups)]
