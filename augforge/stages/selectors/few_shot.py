"""A few-shot set: K real images of each class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from augforge.stages.selector import Subsampler


class FewShot(Subsampler):
    """Keep K real training images of each class, those that a generator with `shots: K` would see.

    No later stage sees the others, filters and selectors included.
    """

    name: ClassVar[str] = "few-shot"
    example: ClassVar[Mapping[str, Any]] = {"shots": 2}

    shots: int = Field(..., ge=1, description="Keep K images of each class; those of a smaller K are among them.")

    def max_per_class(self, counts: Mapping[str, int]) -> dict[str, int]:
        """K of each."""
        return dict.fromkeys(counts, self.shots)
