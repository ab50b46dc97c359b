"""Blur, loss of size, noise and JPEG, one after the other, perhaps several times: each step is plain JSON."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.degrade.noise_bank import spread
from augforge.data.ids import rng

Pixels = NDArray[np.uint8]
MINED = "mined-noise"
WAYS = ("bilinear", "bicubic", "box", "lanczos")
"""Pillow's filters that images are resized with."""


def draw_chain(
    random: np.random.Generator, severity: float, steps: Sequence[str], rounds: int = 1
) -> list[dict[str, Any]]:
    """The steps with their parameters, as JSON: those named, in that order, `rounds` times. At severity 0 none.

    The ranges are about those of the first stage of Real-ESRGAN (Wang et al., 2021); a second round is half as strong.
    """
    if severity == 0:
        return []
    strengths = [severity / 2**turn for turn in range(rounds)]
    return [{"step": name, **DRAWS[name](random, strength)} for strength in strengths for name in steps]


def apply_chain(pixels: Pixels, chain: Sequence[Mapping[str, Any]], bank: NDArray[np.float32] | None = None) -> Pixels:
    """An image (h, w, 3) after the steps, of the same size; mined noise is of a `bank` (n, s, s, 3), if it has any."""
    made = pixels.copy()
    for step in chain:
        options = dict(step)
        name = options.pop("step")
        if name == MINED:
            made = made if bank is None or not len(bank) else mined_noise(made, bank, **options)
        else:
            made = STEPS[name](made, **options)
    return made


def blur(pixels: Pixels, across: float, along: float, angle: float) -> Pixels:
    """A Gaussian of two standard deviations in px, the second along an angle in degrees."""
    radius = int(np.ceil(3 * max(across, along)))
    if radius == 0:
        return pixels
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    turn = np.deg2rad(angle)
    length, width = columns * np.cos(turn) - rows * np.sin(turn), columns * np.sin(turn) + rows * np.cos(turn)
    kernel = np.exp(-((length / max(along, 1e-3)) ** 2 + (width / max(across, 1e-3)) ** 2) / 2)
    return _rounded(_filtered(pixels, kernel / kernel.sum()))


def resize(pixels: Pixels, scale: float, down: str, up: str) -> Pixels:
    """Made smaller (or larger) by `scale` in one way, and as large as before in another."""
    from PIL import Image

    image = Image.fromarray(pixels)
    small = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    if small == image.size:
        return pixels
    there = image.resize(small, Image.Resampling[down.upper()])
    return np.asarray(there.resize(image.size, Image.Resampling[up.upper()]))


def noise(pixels: Pixels, deviation: float, shot: float, grey: bool, seed: int) -> Pixels:
    """Gaussian noise of a standard deviation in grey levels, and of a variance of `shot` for each grey level; the same
    in all channels if `grey`.
    """
    values = pixels.astype(np.float32)
    drawn = rng(seed, "noise").standard_normal((*pixels.shape[:2], 1 if grey else 3), dtype=np.float32)
    return _rounded(values + drawn * np.sqrt(np.float32(deviation**2) + np.float32(shot) * values))


def mined_noise(pixels: Pixels, bank: NDArray[np.float32], strength: float, seed: int) -> Pixels:
    """Noise of patches (n, s, s, 3), n >= 1, times `strength`."""
    return _rounded(pixels + np.float32(strength) * spread(bank, pixels.shape[:2], rng(seed, MINED)))


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    """Written as JPEG of a quality of 1 to 95, colours at half the size, and read again."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(file).convert("RGB"))


def _draw_blur(random: np.random.Generator, severity: float) -> dict[str, Any]:
    across, along = random.uniform(0.2, 3.0, 2) * severity
    return {"across": float(across), "along": float(along), "angle": float(random.uniform(0, 180))}


def _draw_resize(random: np.random.Generator, severity: float) -> dict[str, Any]:
    scale = float(1 / (1 + severity * random.uniform(0, 3)))
    down, up = (WAYS[int(random.integers(len(WAYS)))] for _ in range(2))
    return {"scale": scale, "down": down, "up": up}


def _draw_noise(random: np.random.Generator, severity: float) -> dict[str, Any]:
    deviation, shot = severity * random.uniform(1, 25), severity * random.uniform(0, 2)
    grey, seed = bool(random.random() < 0.4), int(random.integers(2**31))
    return {"deviation": float(deviation), "shot": float(shot), "grey": grey, "seed": seed}


def _draw_jpeg(random: np.random.Generator, severity: float) -> dict[str, Any]:
    return {"quality": round(95 - severity * random.uniform(0, 65))}


def _draw_mined(random: np.random.Generator, severity: float) -> dict[str, Any]:
    return {"strength": float(severity * random.uniform(0.5, 1.5)), "seed": int(random.integers(2**31))}


DRAWS: dict[str, Callable[[np.random.Generator, float], dict[str, Any]]] = {
    "blur": _draw_blur,
    "resize": _draw_resize,
    "noise": _draw_noise,
    MINED: _draw_mined,
    "jpeg": _draw_jpeg,
}
STEPS: dict[str, Callable[..., Pixels]] = {"blur": blur, "resize": resize, "noise": noise, "jpeg": jpeg}
"""What can be done to an image by itself, in the usual order."""


def _filtered(pixels: Pixels, kernel: NDArray[np.float64]) -> NDArray[np.float32]:
    """An image convolved with a kernel that is the same from both ends; the edge goes on outside."""
    from scipy.signal import oaconvolve

    radius = len(kernel) // 2
    wide = np.pad(pixels.astype(np.float32), [(radius, radius), (radius, radius), (0, 0)], mode="edge")
    planes = [oaconvolve(wide[..., c], kernel.astype(np.float32), mode="valid") for c in range(pixels.shape[2])]
    return np.stack(planes, axis=-1)


def _rounded(values: NDArray[np.float32]) -> Pixels:
    made: Pixels = np.rint(values).clip(0, 255).astype(np.uint8)
    return made
