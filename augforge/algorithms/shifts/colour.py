"""Colour: brightness, hue, saturation, fewer colours. 18 operations."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from augforge.algorithms.shifts.base import Among, Between, Pixels, Values, from_unit, grey_of, op, to_pixels, to_unit
from augforge.optional import require

HUE, SATURATION, BRIGHTNESS = 0, 1, 2


def brightness(pixels: Pixels, factor: float = 1.0, value: float = 0.0) -> Pixels:
    """Brightness, as the V of HSV, times a factor, plus a value in 0 to 1."""
    planes = _hsv(pixels)
    planes[..., BRIGHTNESS] = planes[..., BRIGHTNESS] * factor + value
    return _rgb(planes)


def hue_multiply(pixels: Pixels, factor: float) -> Pixels:
    """The angle of hue times a factor."""
    planes = _hsv(pixels)
    planes[..., HUE] *= factor
    return _rgb(planes)


def hue_add(pixels: Pixels, turn: float) -> Pixels:
    """Hue turned by a share of the circle."""
    planes = _hsv(pixels)
    planes[..., HUE] += turn
    return _rgb(planes)


def saturation_multiply(pixels: Pixels, factor: float) -> Pixels:
    """Saturation, of HSV, times a factor."""
    planes = _hsv(pixels)
    planes[..., SATURATION] *= factor
    return _rgb(planes)


def saturation_add(pixels: Pixels, value: float) -> Pixels:
    """Saturation plus a value in 0 to 1; what has no hue turns red."""
    planes = _hsv(pixels)
    planes[..., SATURATION] += value
    return _rgb(planes)


def hue_saturation_multiply(pixels: Pixels, hue: float, saturation: float) -> Pixels:
    """Both multiplied."""
    return saturation_multiply(hue_multiply(pixels, hue), saturation)


def hue_saturation_add(pixels: Pixels, hue: float, saturation: float) -> Pixels:
    """Both added to."""
    return saturation_add(hue_add(pixels, hue), saturation)


def temperature(pixels: Pixels, warmth: float) -> Pixels:
    """Warmer (more red, less blue) or, below 0, colder."""
    return to_pixels(pixels * np.array([1 + warmth, 1, 1 - warmth]))


def grey(pixels: Pixels, share: float) -> Pixels:
    """Towards luminance."""
    return from_unit((1 - share) * to_unit(pixels) + share * grey_of(pixels)[..., None])


def quantize_kmeans(pixels: Pixels, colours: int) -> Pixels:
    """Only so many colours, the image's own by k-means."""
    from PIL import Image

    image = Image.fromarray(pixels)
    few = image.quantize(colours, method=Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
    return np.asarray(few.convert("RGB"))


def quantize_uniform(pixels: Pixels, levels: int) -> Pixels:
    """Only so many evenly spaced values a channel, black and white among them."""
    step = 255 / (levels - 1)
    return to_pixels(np.rint(pixels / step) * step)


def posterize(pixels: Pixels, bits: float) -> Pixels:
    """Only the highest bits of each value."""
    mask = 256 - (1 << (8 - round(bits)))
    return pixels & np.uint8(mask)


def channel_shuffle(pixels: Pixels, order: tuple[int, int, int]) -> Pixels:
    """Red, green and blue in another order."""
    return pixels[..., list(order)]


def lab_add(pixels: Pixels, green_red: float, blue_yellow: float) -> Pixels:
    """The colour axes of CIE L*a*b* moved."""
    require("skimage")
    from skimage.color import lab2rgb, rgb2lab

    if green_red == blue_yellow == 0:
        return pixels.copy()
    lab = rgb2lab(pixels) + np.array([0, green_red, blue_yellow])
    lab[..., 2] = np.minimum(lab[..., 2], 199.9 * (lab[..., 0] + 16) / 116)  # beyond it there is no colour
    return from_unit(lab2rgb(lab))


def tint(pixels: Pixels, hue: float, share: float) -> Pixels:
    """Towards the luminance in one hue."""
    require("skimage")
    from skimage.color import hsv2rgb

    colour = hsv2rgb(np.array([[[hue % 1.0, 0.8, 1.0]]]))
    return from_unit((1 - share) * to_unit(pixels) + share * grey_of(pixels)[..., None] * colour)


def _hsv(pixels: Pixels) -> Values:
    require("skimage")
    from skimage.color import rgb2hsv

    planes: Values = rgb2hsv(to_unit(pixels))
    return planes


def _rgb(planes: Values) -> Pixels:
    require("skimage")
    from skimage.color import hsv2rgb

    planes[..., HUE] %= 1.0
    return from_unit(hsv2rgb(planes.clip(0, 1)))


ORDERS = tuple(list(order) for order in permutations(range(3)) if order != (0, 1, 2))

OPS = (
    op("brightness-multiply", brightness, factor=Between(1.4, 1.75, rest=1, signed=True)),
    op("brightness-add", brightness, value=Between(0.2, 0.4, signed=True)),
    op(
        "brightness-multiply-add",
        brightness,
        factor=Between(1.2, 1.6, rest=1, signed=True),
        value=Between(0.1, 0.25, signed=True),
    ),
    op("hue-multiply", hue_multiply, factor=Between(1.5, 3.0, rest=1)),
    op("saturation-multiply", saturation_multiply, factor=Between(1.5, 3.0, rest=1)),
    op(
        "hue-saturation-multiply",
        hue_saturation_multiply,
        hue=Between(1.5, 3.0, rest=1),
        saturation=Between(1.4, 1.8, rest=1, signed=True),
    ),
    op("saturation-remove", saturation_multiply, factor=Between(0.0, 0.3, rest=1)),
    op("hue-add", hue_add, turn=Between(0.15, 0.5, signed=True)),
    op("saturation-add", saturation_add, value=Between(0.25, 0.5, signed=True)),
    op(
        "hue-saturation-add",
        hue_saturation_add,
        hue=Between(0.15, 0.5, signed=True),
        saturation=Between(0.2, 0.4, signed=True),
    ),
    op("temperature", temperature, warmth=Between(0.25, 0.6, signed=True)),
    op("grey", grey, share=Between(0.8, 1.0)),
    op("quantize-kmeans", quantize_kmeans, fades=True, colours=Among((2, 3, 4, 6, 8))),
    op("quantize-uniform", quantize_uniform, fades=True, levels=Among((2, 3, 4))),
    op("posterize", posterize, bits=Between(1, 2, rest=8)),
    op("channel-shuffle", channel_shuffle, fades=True, order=Among(ORDERS)),
    op("lab-add", lab_add, green_red=Between(20, 45, signed=True), blue_yellow=Between(20, 45, signed=True)),
    op("tint", tint, hue=Between(0, 1), share=Between(0.6, 0.9)),
)
