"""Duplicates: copies of other images, and images that leak into or out of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from augforge.data.sample import On
from augforge.stages.stage import Share, Stage, Task

WIDE, NARROW, MANY = 16, 8, 200_000
"""Bits for few and for many images: 16 bits take 20 s for 100,000 hashes, 8 bits 5 s for a million."""


class Duplicates(Stage):
    """Drop exact copies and near-duplicates of images that stay, copies of OTHER, and memorised parents.

    Evidence is an equal file, 64-bit perceptual hashes that differ in few bits, mirrored or not, or an embedding
    close by, where one image fits a part of the other. Plain pictures (drawings, icons, digits, medical slices,
    screenshots), of which a hash says little, must also look the same in colour when one is laid over the other.

    What is dropped is near to an image that is kept, the better of the two: real before synthetic, then more pixels,
    then less compression (more bytes for as many pixels), then the lower id; the reason says which. An image of an
    evaluation split is never dropped for one of its own source. What looks the same and is labelled differently is
    listed as a label conflict; of near-duplicates among these, all real ones stay.

    By default real images may go, too: a copy is one whoever made it, and of a real and a synthetic one the real stays.
    """

    verb: ClassVar[str] = "filter"
    name: ClassVar[str] = "duplicates"
    decision_options: ClassVar[frozenset[str]] = frozenset(
        {"on", "by", "distance", "similarity", "overlap", "flips", "within", "against", "parents", "conflicts"}
    )
    example: ClassVar[Mapping[str, Any]] = {"by": "embedding", "distance": 24, "similarity": 0.0, "overlap": 0.1}

    on: On = Field(
        default="all", description="Drop any, or only synthetic or real ones; the others are still compared with."
    )
    by: Literal["exact", "hash", "embedding"] = Field(
        default="hash",
        description="Evidence: equal bytes; near hashes too; near embeddings of overlapping pictures too.",
    )
    distance: Annotated[int, Field(ge=0, le=32)] | Literal["auto"] = Field(
        default="auto",
        description="Most bits in which hashes differ; over 7, pictures must fit. auto is 16, and 8 from 200,000 on.",
    )
    similarity: float = Field(default=0.9, ge=-1, le=1, description="Least cosine of embeddings, for by embedding.")
    overlap: Share = Field(default=0.82, description="How well a picture must fit a part of the other one.")
    flips: bool = Field(default=True, description="Compare with mirrored images too.")
    within: Literal["class", "all"] = Field(default="all", description="Compare within each class only, or over all.")
    against: str | None = Field(
        default=None, description="Drop what is near an image of this source, such as a test set; it is only read."
    )
    conflicts: Literal["list", "drop"] = Field(
        default="list",
        description="Real near-duplicates with different labels: list them and keep both, or list and drop one.",
    )
    parents: bool = Field(default=True, description="Drop synthetic images that are near-copies of their own parents.")
    model: Annotated[str, Task("image-embedding")] = Field(
        default="builtin-clip", description="The model for by embedding."
    )

    def packages(self) -> tuple[str, ...]:
        """What embeds, where embeddings are the evidence."""
        return ("torch",) if self.by == "embedding" else ()

    def reach(self, size: int) -> int:
        """The most bits in which the hashes of near ones of `size` images differ."""
        if self.distance == "auto":
            return WIDE if size < MANY else NARROW
        return self.distance

    def check(self) -> None:
        """SourceError where `against` cannot be a source."""
        from augforge.io import detect

        if self.against is not None:
            detect(self.against)
