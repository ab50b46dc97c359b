"""Colours for labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def palette() -> NDArray[np.uint8]:
    """(256, 4) a colour for each label, far from those of its neighbours; label 0 is transparent."""
    hues = (np.arange(256) * 137.508 % 360 / 360 * 255).astype(np.uint8)  # the golden angle
    bright = np.where(np.arange(256) % 2, 255, 190).astype(np.uint8)
    hsv = np.stack([hues, np.full(256, 210, np.uint8), bright], axis=-1)[None]
    rgb = np.asarray(Image.fromarray(hsv, mode="HSV").convert("RGB"))[0]
    colours = np.concatenate([rgb, np.full((256, 1), 255, np.uint8)], axis=1)
    colours[0] = 0
    return colours
