"""Fields: transforms whose parameters change smoothly from place to place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field, field_validator

from augforge.data.ids import rng
from augforge.data.pool import Pools
from augforge.data.sample import Sample
from augforge.stages.generator import GeneratedImage, GenerationInput, SampledParams
from augforge.stages.generators.sized import SizedOperator
from augforge.stages.stage import Share

GEOMETRY = ("rotate", "scale", "shear", "shift")
CORRELATION, EXPONENT = 0.5, 6.0
COLOURS = ("brightness", "contrast", "saturation", "hue")


class Fields(SizedOperator):
    """Turn, bend and recolour images by amounts that are random fields: smooth functions of the place.

    Each parameter is a Gaussian random field of its own (*Random Field Augmentations*, Mansfield et al., 2023), with an
    amplitude (its standard deviation), a correlation length and an exponent of its power spectrum. The geometric ones
    never fold: where they would, all of them are made smaller by one factor, which is recorded. Masks, boxes and
    keypoints follow.
    """

    name: ClassVar[str] = "fields"
    made_with: ClassVar[tuple[str, ...]] = ("numpy", "pillow", "scipy")
    example: ClassVar[Mapping[str, Any]] = {"per-class": 3, "size": 32}

    severity: Share = Field(default=1.0, description="What all amplitudes are multiplied by: 0 leaves the image alone.")
    rotate: float = Field(default=6.0, ge=0, le=360, description="Amplitude of the turn, in degrees.")
    scale: float = Field(default=0.1, ge=0, le=4, description="Amplitude of the logarithm of the scale.")
    shear: float = Field(default=0.06, ge=0, le=4, description="Amplitude of the tangent of the slant.")
    shift: float = Field(default=0.02, ge=0, le=4, description="Amplitude of the shift, in shares of the shorter side.")
    brightness: float = Field(default=0.15, ge=0, le=4, description="Amplitude of the logarithm of the brightness.")
    contrast: float = Field(default=0.15, ge=0, le=4, description="Amplitude of the logarithm of the contrast.")
    saturation: float = Field(default=0.25, ge=0, le=4, description="Amplitude of the logarithm of the saturation.")
    hue: float = Field(default=0.03, ge=0, le=1, description="Amplitude of the hue, in turns of the colour circle.")
    correlation: tuple[str, ...] = Field(
        default=(f"{CORRELATION:g}",),
        description="Correlation length in shares of the shorter side: of all parameters, or as hue=0.2 of one.",
    )
    exponent: tuple[str, ...] = Field(
        default=(f"{EXPONENT:g}",),
        description="How fast the power falls with the frequency, over 2: of all parameters, or as hue=3 of one.",
    )

    @field_validator("correlation", mode="before")
    @classmethod
    def _lengths(cls, given: Any) -> tuple[str, ...]:
        return _each(given, 0.0, 100.0)

    @field_validator("exponent", mode="before")
    @classmethod
    def _exponents(cls, given: Any) -> tuple[str, ...]:
        return _each(given, 2.0, 20.0)

    def draw(self, label: str | None, parent: Sample, pools: Pools, variant: int, seed: int) -> SampledParams:
        """The parameters of the fields, and the seeds that they follow from."""
        random = rng(seed, "fields")
        moving = {"op": "fields", "seed": int(random.integers(2**31)), "fields": self._specs(GEOMETRY)}
        colours = {"seed": int(random.integers(2**31)), "fields": self._specs(COLOURS)}
        return [parent], {"variant": variant, "geometry": [moving], "colours": colours}

    def operate(self, item: GenerationInput) -> GeneratedImage:
        """Moved, then recoloured."""
        from augforge.algorithms.fields import FieldSpec, recolour
        from augforge.algorithms.geometry import Fields as FieldsOp
        from augforge.algorithms.geometry import Geometry

        drawn = item.job.sample.sampled_params
        pixels, resize = self.resized(item)
        moves = Geometry.from_plain(drawn["geometry"])
        shares = [op.share(pixels.shape[:2]) for op in moves.ops if isinstance(op, FieldsOp)]
        specs = [FieldSpec(*spec) for spec in drawn["colours"]["fields"]]
        made = recolour(moves.apply(pixels), drawn["colours"]["seed"], specs)
        found = self.followed(item, made, Geometry((*resize.ops, *moves.ops)))
        return replace(found, facts={**found.facts, "field-share": min(shares, default=1.0)})

    def _specs(self, names: Sequence[str]) -> list[list[Any]]:
        """Parameter, amplitude, correlation length and exponent of each."""
        lengths, exponents = _by_parameter(self.correlation, CORRELATION), _by_parameter(self.exponent, EXPONENT)
        return [[name, self.severity * getattr(self, name), lengths[name], exponents[name]] for name in names]


def _each(given: Any, above: float, most: float) -> tuple[str, ...]:
    """The words of an option: a number for all parameters, NAME=NUMBER for one; ValueError at any other."""
    if isinstance(given, Mapping):
        given = [f"{name}={number}" for name, number in given.items()]
    texts = given if isinstance(given, list | tuple) else [given]
    words = tuple(word.strip() for text in texts for word in str(text).split(",") if word.strip())
    for word in words:
        _check_word(word, above, most)
    return words


def _check_word(word: str, above: float, most: float) -> None:
    name, equals, number = word.rpartition("=")
    if equals and name not in (*GEOMETRY, *COLOURS):
        raise ValueError(f"{name!r} is none of {', '.join((*GEOMETRY, *COLOURS))}")
    try:
        value = float(number)
    except ValueError:
        raise ValueError(f"{word!r} is neither a number nor, as hue={above + 1:g}, one of a parameter") from None
    if not (math.isfinite(value) and above < value <= most):
        raise ValueError(f"{word!r}: it is over {above:g} and at most {most:g}")


def _by_parameter(words: Sequence[str], default: float) -> dict[str, float]:
    """The number of each parameter: its own, else the one for all, else the default; the last given counts."""
    named = {name: float(number) for name, _, number in (word.rpartition("=") for word in words)}
    return {name: named.get(name, named.get("", default)) for name in (*GEOMETRY, *COLOURS)}
