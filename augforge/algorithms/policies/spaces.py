"""The operations of each policy, and how strong each is at a level between 0 and 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Magnitude:
    """How strong an operation is at a level in [0, 1], for an image of (height, width); `signed`: in either direction.

    At level 0 an operation with a magnitude is the identity, but for AugMix's Posterize.
    """

    at: Callable[[float, int, int], float]
    signed: bool = True


Space = Mapping[str, Magnitude | None]
"""Operations by name, None for one that has no magnitude."""
NO_LEVEL: Space = {"AutoContrast": None, "Equalize": None}


def _linear(most: float) -> Magnitude:
    return Magnitude(lambda level, height, width: most * level)


def _bits(kept: int, most: int) -> Magnitude:
    """Bits that Posterize keeps, `most` fewer than `kept` at full strength."""
    return Magnitude(lambda level, height, width: round(kept - most * level), signed=False)


SOLARIZE = Magnitude(lambda level, height, width: 1 - level, signed=False)


def _shifts(share: float) -> dict[str, Magnitude]:
    """Translations by up to a share of the sides."""
    return {
        "TranslateX": Magnitude(lambda level, height, width: share * width * level),
        "TranslateY": Magnitude(lambda level, height, width: share * height * level),
    }


def _enhanced(most: float) -> dict[str, Magnitude]:
    return {name: _linear(most) for name in ("Brightness", "Color", "Contrast", "Sharpness")}


_SLANTED = {"ShearX": _linear(0.3), "ShearY": _linear(0.3)}
_PUBLISHED: Space = {
    **_SLANTED,
    **_shifts(150 / 331),
    "Rotate": _linear(30),
    **_enhanced(0.9),
    "Posterize": _bits(8, 4),
    "Solarize": SOLARIZE,
    **NO_LEVEL,
}
RANDAUGMENT: Space = {"Identity": None, **_PUBLISHED}
"""14 operations (Cubuk et al., NeurIPS 2020, arXiv 1909.13719)."""
AUTOAUGMENT: Space = {**_PUBLISHED, "Invert": None}
"""Those of AutoAugment's policies (Cubuk et al., CVPR 2019, arXiv 1805.09501)."""
MADAUG: Space = {"Identity": None, **AUTOAUGMENT}
"""All of them, for a curriculum (MADAug has 17; of the others, Cutout is none of torchvision's)."""
TRIVIALAUGMENT: Space = {
    "Identity": None,
    "ShearX": _linear(0.99),
    "ShearY": _linear(0.99),
    "TranslateX": _linear(32),
    "TranslateY": _linear(32),
    "Rotate": _linear(135),
    **_enhanced(0.99),
    "Posterize": _bits(8, 6),
    "Solarize": SOLARIZE,
    **NO_LEVEL,
}
"""The wide space (Müller and Hutter, ICCV 2021, arXiv 2103.10158)."""
AUGMIX: Space = {
    **_SLANTED,
    **_shifts(1 / 3),
    "Rotate": _linear(30),
    "Posterize": _bits(4, 4),
    "Solarize": SOLARIZE,
    **NO_LEVEL,
    **_enhanced(0.9),
}
"""All operations of AugMix (Hendrycks et al., ICLR 2020, arXiv 1912.02781)."""


def magnitude_at(space: Space, name: str, level: float, size: tuple[int, int], minus: bool) -> float:
    """The magnitude of an operation at a level in [0, 1] for `size` (height, width); 0 if it has none."""
    magnitude = space[name]
    if magnitude is None:
        return 0.0
    value = float(magnitude.at(level, *size))
    return -value if minus and magnitude.signed else value
