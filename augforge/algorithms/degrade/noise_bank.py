"""Noise from real frames: what flat windows show beside their mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Noise = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Limits:
    """When a window is flat: grey levels of 0 to 255, and their squares.

    Its `variance` is at most so much in every frame, its mean over 0 (black shows no noise); over the frames of a
    sequence, neither the variances nor the means vary by more than `spread` (their variance).
    """

    side: int = 64
    variance: float = 50.0
    spread: float = 50.0


def mine(frames: Sequence[NDArray[np.uint8]], limits: Limits | None = None) -> Noise:
    """(n, t, s, s, 3) the noise of n flat windows in t consecutive frames (h, w, 3) of one size, n perhaps 0.

    Windows do not overlap; s is `limits.side`, or the shorter side of the frames. Variances are means over the three
    channels, each about its own mean: a plain colour is flat. From each window in each frame and channel its mean is
    taken away.

    Raises:
        ValueError: there is no frame, or they are not of one size.
    """
    if not frames or len({frame.shape for frame in frames}) > 1:
        raise ValueError("noise is mined from at least one frame, all of one size")
    limits = limits or Limits()
    side = min(limits.side, *frames[0].shape[:2])
    windows = np.stack([_windows(frame, side) for frame in frames], axis=1)
    flat = windows[_flat(windows, limits)].astype(np.float32)
    noise: Noise = flat - flat.mean(axis=(2, 3), keepdims=True)
    return noise


def spread(noise: NDArray[np.float32], size: tuple[int, ...], random: np.random.Generator) -> Noise:
    """(h, w, 3) noise for an image of `size` from n >= 1 patches (n, s, s, 3): tiles, each a random one, turned and
    mirrored at random; the first row and column of tiles is cut at random.
    """
    side = noise.shape[1]
    down, right = (length // side + 2 for length in size)
    chosen = random.integers(len(noise), size=(down, right))
    turns, mirrored = random.integers(4, size=(down, right)), random.random((down, right)) < 0.5
    tiled = np.empty((down * side, right * side, 3), np.float32)
    for row, column in np.ndindex(down, right):
        tile = np.rot90(noise[chosen[row, column]], int(turns[row, column]))
        tile = tile[:, ::-1] if mirrored[row, column] else tile
        tiled[row * side : (row + 1) * side, column * side : (column + 1) * side] = tile
    top, left = random.integers(side, size=2)
    return tiled[top : top + size[0], left : left + size[1]]


def _windows(frame: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """(n, side, side, 3) the windows of a frame, row by row; what is left over at the lower right is not used."""
    down, right = frame.shape[0] // side, frame.shape[1] // side
    cut = frame[: down * side, : right * side].reshape(down, side, right, side, 3)
    return cut.swapaxes(1, 2).reshape(-1, side, side, 3)


def _flat(windows: NDArray[np.uint8], limits: Limits) -> NDArray[np.bool_]:
    """(n,) which of the windows (n, t, s, s, 3) are."""
    means = windows.mean(axis=(2, 3), dtype=np.float64)
    squares = np.square(windows, dtype=np.float64).mean(axis=(2, 3))
    variances = (squares - means**2).mean(axis=2)
    greys = means.mean(axis=2)
    in_each = (variances <= limits.variance) & (greys > 0)
    steady = (variances.var(axis=1) <= limits.spread) & (greys.var(axis=1) <= limits.spread)
    flat: NDArray[np.bool_] = in_each.all(axis=1) & steady
    return flat
