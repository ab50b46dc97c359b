"""Review: what people decided about images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from augforge.stages.stage import Stage


class Reviewed(Stage):
    """A stage that follows a review file."""

    decision_options: ClassVar[frozenset[str]] = frozenset({"file"})
    example: ClassVar[Mapping[str, Any]] = {"file": "review.jsonl"}

    file: str = Field(
        default="review.jsonl", min_length=1, description="The review file, relative to the recipe; commit it, too."
    )

    def path(self, beside: Path) -> Path:
        """Where the file lies, of a recipe in the folder `beside`."""
        return beside / self.file


class Review(Reviewed):
    """Drop, keep and relabel the images that people looked at, as they decided.

    `drop` drops an image with the reviewer's reason. `keep` keeps it even where a filter before this one dropped it;
    filters after this one decide by themselves. `relabel` gives an image another label, and keeps it likewise. An image
    that nobody decided about, or about which people disagree, is left as it is. A decision counts as long as the image
    has the bytes that were looked at; those about images that are gone or changed are counted and listed. Without a
    file nothing is decided yet.
    """

    verb: ClassVar[str] = "filter"
    name: ClassVar[str] = "review"
    decision_options: ClassVar[frozenset[str]] = Reviewed.decision_options | {"new_classes"}

    new_classes: bool = Field(
        default=False, description="Let relabel bring classes that no source has; else that is an error."
    )
