"""Segmentation: pieces of the image in one colour each. 4 operations; `share` of the pieces are painted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.shifts.base import Between, Pixels, Seed, Values, op, to_pixels
from augforge.data.ids import rng
from augforge.optional import require

Labels = NDArray[np.int64]


def superpixels(pixels: Pixels, pieces: float, share: float, seed: int) -> Pixels:
    """Pieces that follow the image (SLIC; Achanta et al., 2012)."""
    require("skimage")
    from skimage.segmentation import slic

    labels = np.unique(slic(pixels, round(pieces), compactness=10, start_label=0), return_inverse=True)[1]
    return _paint(pixels, labels.reshape(pixels.shape[:2]), share, seed)


def voronoi_uniform(pixels: Pixels, pieces: float, share: float, seed: int) -> Pixels:
    """The cells of points that lie anywhere."""
    return _voronoi(pixels, rng(seed, "points").random((round(pieces), 2)), share, seed)


def voronoi_grid(pixels: Pixels, pieces: float, share: float, seed: int) -> Pixels:
    """The cells of a square grid of points, some of which are missing."""
    height, width = pixels.shape[:2]
    step = np.sqrt(height * width / pieces)
    points = _grid(max(1, round(height / step)), max(1, round(width / step)))
    return _voronoi(pixels, _thinned(points, 0.25, seed), share, seed)


def voronoi_relative_grid(pixels: Pixels, pieces: float, share: float, seed: int) -> Pixels:
    """The cells of a grid with as many rows as columns, each point moved a little."""
    side = max(2, round(np.sqrt(pieces)))
    moved = _grid(side, side) + rng(seed, "points").uniform(-0.35, 0.35, (side * side, 2)) / side
    return _voronoi(pixels, moved, share, seed)


def _grid(rows: int, columns: int) -> Values:
    """(rows * columns, 2) the middles of cells, in shares of the sides."""
    down, right = np.mgrid[:rows, :columns]
    return np.stack([(down.ravel() + 0.5) / rows, (right.ravel() + 0.5) / columns], axis=1)


def _thinned(points: Values, missing: float, seed: int) -> Values:
    """The points without a share of them, but never none."""
    stays = rng(seed, "points").random(len(points)) >= missing
    return points[stays] if stays.any() else points


def _voronoi(pixels: Pixels, points: Values, share: float, seed: int) -> Pixels:
    """Paint the cells of (n, 2) points in shares of the sides."""
    from scipy.spatial import cKDTree

    height, width = pixels.shape[:2]
    middles = np.indices((height, width)).reshape(2, -1).T + 0.5
    _, labels = cKDTree(points * (height, width)).query(middles)
    return _paint(pixels, labels.reshape(height, width), share, seed)


def _paint(pixels: Pixels, labels: Labels, share: float, seed: int) -> Pixels:
    """A share of the pieces (h, w) in their mean colours."""
    flat, pieces = labels.ravel(), int(labels.max()) + 1
    sizes = np.maximum(np.bincount(flat, minlength=pieces), 1)
    values = pixels.reshape(-1, 3).astype(np.float64)
    means = np.stack([np.bincount(flat, values[:, c], pieces) / sizes for c in range(3)], axis=1)
    painted = (rng(seed, "painted").random(pieces) < share)[labels]
    return np.where(painted[..., None], to_pixels(means)[labels], pixels)


OPS = tuple(
    op(name, apply, pieces=Between(60, 250, rest=250), share=Between(0.7, 1.0), seed=Seed())
    for name, apply in (
        ("superpixels", superpixels),
        ("voronoi-uniform", voronoi_uniform),
        ("voronoi-grid", voronoi_grid),
        ("voronoi-relative-grid", voronoi_relative_grid),
    )
)
