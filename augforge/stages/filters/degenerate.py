"""Degenerate: images that show nothing, such as failed generations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pydantic import Field

from augforge.data.sample import OnOption
from augforge.stages.filter import PixelFilter

if TYPE_CHECKING:
    from PIL import Image


class Degenerate(PixelFilter):
    """Drop black, white and single-coloured images.

    `spread` is the largest range (maximum minus minimum) of a colour channel, in [0, 1]: 0 for a constant image of
    any colour. By default images below 2/255 are dropped: constant, or constant but for rounding. NaN pixels that were
    written as bytes are black and found here; the engine drops images with NaN before they are encoded. All images are
    judged by default: the threshold is absolute, and what shows nothing is a fault whoever made it.
    """

    name: ClassVar[str] = "degenerate"
    measures: ClassVar[tuple[str, ...]] = ("spread",)
    default_rule: ClassVar[Mapping[str, float]] = {"minimum": 2 / 255}
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    on: OnOption = Field(default="all", description="Judge all images, or only the synthetic or the real ones.")

    def measure(self, image: Image.Image) -> dict[str, float]:
        """The largest range of a channel."""
        return {"spread": max(high - low for low, high in channel_ranges(image)) / 255}


def channel_ranges(image: Image.Image) -> list[tuple[float, float]]:
    """The lowest and highest value of each channel, 0 to 255."""
    channels = image.convert("RGB").split()
    return [cast("tuple[float, float]", channel.getextrema()) for channel in channels]
