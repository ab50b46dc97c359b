"""Review: the images that people marked."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from augforge.stages.filters.review import Reviewed


class Marked(Reviewed):
    """Choose exactly the images that people marked, real and synthetic ones, whatever their class and split.

    What was dropped before stays dropped. A mark counts as long as the image has the bytes that were looked at.
    """

    verb: ClassVar[str] = "select"
    name: ClassVar[str] = "review"
    decision_options: ClassVar[frozenset[str]] = Reviewed.decision_options | {"mark"}

    mark: str | None = Field(default=None, min_length=1, description="Only marks that are called so; else any.")
