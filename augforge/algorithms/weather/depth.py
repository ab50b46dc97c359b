"""Depth in metres: from a picture, from a model's answer, or from an assumption."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
FAR = 256.0
"""m: the sky, and the largest value of a depth picture whose scale is not given (that of KITTI's 16 bits)."""
NEAR = 3.0
"""m: what a model of relative depth finds nearest."""
BOTTOM, TOP = 3.0, 120.0
"""m: the assumed depth of the lowest and the uppermost row."""


def gradient(size: tuple[int, int]) -> Values:
    """(h, w) a depth for pictures of which none is known: further away from row to row, from 3 m below to 120 m above.

    Each row is further than the one below by the same factor, as on ground that rises slowly. Nothing that stands up is
    known: it has the depth of its row.
    """
    up = 1 - (np.arange(size[0]) + 0.5) / size[0]
    return np.repeat((BOTTOM * (TOP / BOTTOM) ** up)[:, None], size[1], axis=1)


def metres(picture: NDArray[Any], scale: float | None, far: float = FAR) -> Values:
    """(h, w) the depth that a picture (h, w) or (h, w, c) shows, whose first channel counts.

    `scale` is the metres of a step; without one, the largest number that the picture's dtype has stands for `far` (of
    floats, a step is 1 m). 0 and what is not finite is unknown, and filled from the nearest pixel that is known.

    Raises:
        ValueError: no depth is known.
    """
    plane = picture if picture.ndim == 2 else picture[..., 0]
    if scale is None:
        scale = far / np.iinfo(plane.dtype).max if np.issubdtype(plane.dtype, np.integer) else 1.0
    depth = plane.astype(np.float64) * scale
    known = np.isfinite(depth) & (depth > 0)
    if not known.any():
        raise ValueError("its depth picture has no pixel of a known depth")
    if known.all():
        return depth
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    filled: Values = depth[tuple(nearest)]
    return filled


def from_disparity(disparity: NDArray[Any], near: float = NEAR, far: float = FAR) -> Values:
    """(h, w) the depth of what a model of relative inverse depth says: its largest value is `near`, its least `far`."""
    values = disparity.astype(np.float64)
    least, most = float(values.min()), float(values.max())
    share = (values - least) / (most - least) if most > least else np.zeros_like(values)
    return np.asarray(1 / (1 / far + share * (1 / near - 1 / far)))
