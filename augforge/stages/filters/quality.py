"""Quality: checks for blurred, dark, light, empty and oddly shaped pictures, and the measures behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from augforge.stages.filter import PixelFilter
from augforge.stages.filters.sharpness import laplacian_variance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from augforge.algorithms.rules import Rule, Scale, Verdict

Level = Annotated[float, Field(ge=0, le=1)] | Literal["off"]
SIDE = 128
"""Pixels of the longer side at which blur is measured, so that it does not depend on the size of the picture."""
ROUNDING = 20 / 12
"""Variance of the Laplacian (weights 4, -1, -1, -1, -1) of what rounding takes from a level, uniform over 1."""
CHECKS = {
    "blurry": "quality-detail",
    "dark": "quality-brightest",
    "light": "quality-darkest",
    "low_information": "quality-entropy",
    "odd_aspect": "quality-aspect",
    "odd_size": "quality-size",
    "grey": "quality-colour",
}
"""The measure that each check looks at, in the order in which a reason is given."""


class Quality(PixelFilter):
    """Drop pictures with a technical defect, by checks with a bound each; or judge by one measure, with `by` or a rule.

    The bounds are absolute, and so wide that public photographs pass (docs/filters.md has the figures); `off` switches
    a check off. All is measured in one pass:

    `detail` (blurry): variance of the Laplacian over the variance of the grey picture, at most 128 px long. `brightest`
    (dark): the level that 1 % of the pixels exceed in their largest channel; `darkest` (light): the level that 1 % fall
    below in their smallest, both in [0, 1]. `entropy` (low information): Shannon's, of 256 grey levels, in bits, in
    [0, 8]. `aspect`: the shorter side by the longer. `size`: the shorter side in px; odd is what is so many times
    smaller or larger than the median of the judged images. `colour` (grey): the difference of the channels that 1 % of
    the pixels exceed, in [0, 1]; a grey photograph is no defect by itself, so the check is off unless set.

    Of no check: `sharpness`, the variance of the Laplacian, in grey levels (0 to 255) squared; `exposure`, mean of
    the grey picture (ITU-R 601 luma), and `contrast`, its standard deviation (RMS contrast; Peli, 1990), in [0, 1] and
    [0, 0.5]; `clipped`, the share of its pixels that are fully black or white, less is better.
    """

    name: ClassVar[str] = "quality"
    version: ClassVar[int] = 2
    measures: ClassVar[tuple[str, ...]] = (
        "quality-sharpness",
        "quality-exposure",
        "quality-clipped",
        "quality-contrast",
        "quality-entropy",
        "quality-size",
        "quality-aspect",
        "quality-detail",
        "quality-brightest",
        "quality-darkest",
        "quality-colour",
    )
    decision_options: ClassVar[frozenset[str]] = PixelFilter.decision_options | frozenset(CHECKS)
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"quality-clipped", "quality-darkest"})
    scales: ClassVar[Mapping[str, Scale]] = {"quality-sharpness": "log", "quality-detail": "log"}
    finds_outliers: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"by": "entropy", "keep": 0.5}

    blurry: Annotated[float, Field(ge=0, le=64)] | Literal["off"] = Field(
        default=0.01, description="Drop what has less detail than this, or `off`."
    )
    dark: Level = Field(
        default=0.25, description="Drop what has next to no pixel brighter than this share of white, or `off`."
    )
    light: Level = Field(
        default=0.75, description="Drop what has next to no pixel darker than this share of white, or `off`."
    )
    low_information: Annotated[float, Field(ge=0, le=8)] | Literal["off"] = Field(
        default=0.2, description="Drop what has fewer bits of entropy a pixel, or `off`."
    )
    odd_aspect: Level = Field(default=0.25, description="Drop what is narrower: shorter side by longer, or `off`.")
    odd_size: Annotated[float, Field(ge=1)] | Literal["off"] = Field(
        default=5.0, description="Drop what is so many times smaller or larger than the median, or `off`."
    )
    grey: Level = Field(default="off", description="Drop what has channels no further apart than this, such as 0.03.")
    by: (
        Literal[
            "sharpness",
            "exposure",
            "clipped",
            "contrast",
            "entropy",
            "size",
            "aspect",
            "detail",
            "brightest",
            "darkest",
            "colour",
        ]
        | None
    ) = Field(default=None, description="Judge by this measure alone, not by the checks (a rule alone: by sharpness).")

    @property
    def checks(self) -> bool:
        """Whether the checks decide, and not a rule over one measure."""
        return self.by is None and not self.given_rule

    @property
    def primary_measure(self) -> str:
        """The measure that a rule looks at."""
        return f"quality-{self.by or 'sharpness'}"

    @property
    def judges_alone(self) -> bool:
        """Only an odd size depends on the others."""
        return self.odd_size == "off" if self.checks else super().judges_alone

    def measure(self, image: Image.Image) -> dict[str, float]:
        """The eleven measures."""
        import numpy as np

        grey = image.convert("L")
        levels = np.asarray(grey)
        values = [laplacian_variance(levels.astype(np.float64)), *tones(np.bincount(levels.ravel(), minlength=256))]
        values += [*shape(image.width, image.height), detail(grey), *ends(image)]
        return dict(zip(self.measures, values, strict=True))

    def decide(
        self, scores: Mapping[str, NDArray[np.float64]], ids: Sequence[str], groups: NDArray[np.int64], within: str
    ) -> Verdict:
        """By the checks, the first that fails giving the reason; or by the rule."""
        import numpy as np

        if not self.checks:
            return super().decide(scores, ids, groups, within)
        failed = np.zeros(len(ids), dtype=bool)
        reasons = np.full(len(ids), None, dtype=object)
        for check, measure in CHECKS.items():
            stays, why = self._bounds(check, scores[measure]).apply(scores[measure], ids, np.zeros_like(groups), "all")
            new = ~stays & ~failed
            reasons[new] = [f"{measure}: {check.replace('_', ' ')}, {reason}" for reason in why[new]]
            failed |= new
        return ~failed, reasons

    def _bounds(self, check: str, scores: NDArray[np.float64]) -> Rule:
        """Within which bounds a picture passes a check."""
        import numpy as np

        from augforge.algorithms.rules import Rule

        bound = getattr(self, check)
        if bound == "off":
            return Rule()
        if check == "odd_size":
            usual = float(np.median(scores)) if len(scores) else 0.0
            return Rule(minimum=usual / bound, maximum=usual * bound)
        return Rule(maximum=bound) if check == "light" else Rule(minimum=bound)


def tones(counts: NDArray[np.int64]) -> tuple[float, float, float, float]:
    """Mean, share at the ends, standard deviation (of values in [0, 1]) and entropy (bits) of a histogram (256,)."""
    import numpy as np

    shares = counts / counts.sum()
    levels = np.arange(256) / 255
    mean = float(shares @ levels)
    spread = float(np.sqrt(shares @ (levels - mean) ** 2))
    there = shares[shares > 0]
    return mean, float(shares[0] + shares[255]), spread, max(0.0, float(-(there * np.log2(there)).sum()))


def shape(width: int, height: int) -> tuple[float, float]:
    """The shorter side in px, and the shorter side by the longer."""
    return float(min(width, height)), min(width, height) / max(width, height)


def detail(grey: Image.Image) -> float:
    """Variance of the Laplacian over the variance of a grey picture, at most `SIDE` px long; 1 for a constant one.

    Dividing takes out the contrast, so that a dark or foggy picture is not taken for a blurred one: scaled grey levels
    have the same detail. What rounding to whole levels adds is taken off. A constant picture has nothing that could be
    blurred.
    """
    import numpy as np
    from PIL import Image

    scale = SIDE / max(grey.size)
    if scale < 1:
        size = max(1, round(grey.width * scale)), max(1, round(grey.height * scale))
        grey = grey.resize(size, Image.Resampling.LANCZOS)
    levels = np.asarray(grey, dtype=np.float64)
    variance = float(levels.var())
    return max(0.0, laplacian_variance(levels) - ROUNDING) / variance if variance > 0 else 1.0


def ends(image: Image.Image) -> tuple[float, float, float]:
    """The brightest, darkest and most colourful level of an RGB picture, 1 % of the pixels left aside; in [0, 1]."""
    from PIL import ImageChops

    red, green, blue = image.convert("RGB").split()
    lightest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    darkest = ImageChops.darker(ImageChops.darker(red, green), blue)
    spread = ImageChops.difference(lightest, darkest)
    return quantile(lightest, 0.99), quantile(darkest, 0.01), quantile(spread, 0.99)


def quantile(channel: Image.Image, share: float) -> float:
    """The lowest level that at least `share` of the pixels of a channel do not exceed, in [0, 1]."""
    import numpy as np

    counts = np.cumsum(channel.histogram())
    return int(np.searchsorted(counts, share * counts[-1] - 1e-9)) / 255
