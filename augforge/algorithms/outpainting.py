"""What a warp leaves empty, and how much of a label it leaves inside (EchoGAINS: Van De Vyver et al., 2025)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.geometry import VOID, Resize, Sector
from augforge.algorithms.geometry.base import Order, Points, Size

Region = NDArray[np.bool_]
DARK = 10
"""The brightest that what lies outside of a sector may be, of 255: compression leaves no exact black."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """How far a warp may go; 0 leaves an operation out.

    Attributes:
        depth: the most that is added below, in heights.
        tilt: the most that it turns either way, in degrees.
        width: the most that the width changes: 0.5 is half to one and a half times as wide.
        shift: the farthest that it moves, in shares of the shorter side.
        probability: of each operation, in [0, 1].
    """

    depth: float = 0.59
    tilt: float = 30.0
    width: float = 0.5
    shift: float = 0.2
    probability: float = 0.5


def draw_sector(ranges: Ranges, size: Size, random: np.random.Generator) -> Sector:
    """A random warp of a picture of `size`: each operation with its probability, uniform within its range."""
    chosen = random.random(4) < ranges.probability
    depth, tilt, width, distance, way = random.random(5)
    far = float(distance * ranges.shift * min(size) * chosen[3])
    return Sector(
        depth=float(depth * ranges.depth * chosen[0]),
        width=float(1 + (2 * width - 1) * ranges.width * chosen[1]),
        degrees=float((2 * tilt - 1) * ranges.tilt * chosen[2]),
        down=round(far * np.sin(2 * np.pi * way)),
        right=round(far * np.cos(2 * np.pi * way)),
    )


def sector_of(image: NDArray[np.uint8]) -> Region:
    """(h, w) where an image (h, w, 3) shows something on black: in each row from the first to the last bright px."""
    lit = image.max(axis=2) > DARK
    begun = np.logical_or.accumulate(lit, axis=1)
    ends = np.logical_or.accumulate(lit[:, ::-1], axis=1)[:, ::-1]
    found: Region = begun & ends
    return found


def label_points(mask: NDArray[Any] | None, annotations: Mapping[str, Any], region: Region) -> Points:
    """Rows and columns of the pixels that carry a picture's label: what has to stay inside.

    The foreground of its mask; without one its boxes, else its visible keypoints, else the whole `region` (h, w).
    """
    if mask is not None:
        marked = mask.reshape(*mask.shape[:2], -1).any(axis=2)
    elif annotations.get("boxes"):
        marked = inside_boxes(annotations["boxes"], region.shape)
    elif annotations.get("keypoints"):
        return _visible(annotations["keypoints"])
    else:
        marked = region
    rows, columns = np.nonzero(marked if marked.any() else region)
    return rows.astype(np.float64), columns.astype(np.float64)


def share_inside(sector: Sector, points: Points, region: Region) -> float:
    """The share, in [0, 1], of `points` that a warp leaves inside the `region` (h, w) of the picture."""
    size = (region.shape[0], region.shape[1])
    rows, columns = (np.floor(axis + 0.5).astype(np.int64) for axis in sector.target(points, size))
    there = (rows >= 0) & (rows < size[0]) & (columns >= 0) & (columns < size[1])
    there[there] = region[rows[there], columns[there]]
    return float(there.mean()) if len(there) else 1.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """A warp, the share of the label that it keeps, and the number of warps that were looked at."""

    sector: Sector
    inside: float
    tries: int


def first_accepted(
    drawn: Iterable[Sector], points: Points, region: Region, least: float, margin: float = 0
) -> Accepted:
    """The first warp that keeps at least `least` of the label; the best one if there is none.

    What comes within `margin` px of the empty part is painted anew, and not kept. ValueError where nothing is drawn.
    """
    looked_at: list[Accepted] = []
    for number, sector in enumerate(drawn, start=1):
        kept = region & ~empty_part(sector, region, margin)
        looked_at.append(Accepted(sector, share_inside(sector, points, kept), number))
        if looked_at[-1].inside >= least:
            return looked_at[-1]
    best = max(looked_at, key=lambda one: one.inside)
    return Accepted(best.sector, best.inside, len(looked_at))


@dataclass(frozen=True, slots=True)
class Canvas:
    """A warped picture (h, w, 3), and (h, w) what of it is empty: in there lies what the picture's edge shows."""

    pixels: NDArray[np.uint8]
    empty: Region


def empty_part(sector: Sector, region: Region, margin: float) -> Region:
    """(h, w) what a warp leaves empty of its `region` (h, w), with what comes within `margin` px of that.

    So nothing of a seam is left. A warp that moves nothing leaves nothing empty.
    """
    from scipy.ndimage import distance_transform_edt

    if sector.still:
        return np.zeros(region.shape, bool)
    empty: Region = region & ~sector.move_label(region, void=False)
    if margin and empty.any():
        empty = region & (distance_transform_edt(~empty) <= margin)
    return empty


def warp(image: NDArray[np.uint8], sector: Sector, region: Region, margin: float) -> Canvas:
    """An image (h, w, 3) warped within its `region` (h, w), with its `empty_part`; what lies outside of that stays."""
    return Canvas(WarpedPictures(sector, region).apply(image), empty_part(sector, region, margin))


@dataclass(frozen=True, slots=True)
class WarpedPictures:
    """The same warp for the pictures that go with an image, such as its mask: what moves them, for `move_pictures`.

    `void` is what a label map says, instead of 255, where it shows nothing of the image.
    """

    sector: Sector
    region: Region
    void: int = 0

    def apply(self, image: NDArray[Any], order: Order = "bilinear") -> NDArray[Any]:
        """A picture (h, w[, c]), interpolated; what lies outside of the region stays."""
        if self.sector.still:
            return image
        return self._inside(self.sector.move(image, order, None), image)

    def apply_label(self, labels: NDArray[Any], void: float | None = VOID) -> NDArray[Any]:
        """A map (h, w[, c]) by the nearest px; where there is nothing what the edge shows, if `void` is None."""
        if self.sector.still:
            return labels
        nothing = self.void if void == VOID else void
        moved = self.sector.move_label(labels, nothing)
        if nothing is not None:
            moved[self.region & ~self.sector.move_label(self.region, void=False)] = nothing
        return self._inside(moved, labels)

    def _inside(self, moved: NDArray[Any], still: NDArray[Any]) -> NDArray[Any]:
        region = self.region if moved.ndim == 2 else self.region[..., None]
        kept: NDArray[Any] = np.where(region, moved, still)
        return kept


def fill(canvas: Canvas, painted: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """(h, w, 3) in [0, 1]: the canvas, and where it is empty the picture `painted` (h', w', 3) in [0, 1], stretched.

    What is not empty is the canvas exactly, in 255ths; so is all if nothing was painted.
    """
    kept = canvas.pixels.astype(np.float32) / np.float32(255)
    if painted is None:
        return kept
    filled: NDArray[np.float32] = np.where(canvas.empty[..., None], stretched(painted, canvas.empty.shape), kept)
    return filled


def stretched(picture: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    """A picture (h', w', 3) in [0, 1], interpolated to `size` (height, width)."""
    if picture.shape[:2] == size:
        return picture
    resized: NDArray[np.float32] = Resize(size[0], size[1]).move(picture, "bicubic", None)
    return np.clip(resized, 0, 1)


def inside_boxes(boxes: Sequence[Mapping[str, Any]], size: tuple[int, ...]) -> Region:
    """(h, w) the pixels whose centres lie in one of the boxes."""
    marked = np.zeros(size, bool)
    for box in boxes:
        left, top, right, bottom = (math.ceil(side - 0.5) for side in box["box"])
        marked[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    return marked


def _visible(instances: Sequence[Mapping[str, Any]]) -> Points:
    """Rows and columns of the keypoints that are labelled."""
    found = np.array([(y, x) for one in instances for x, y, v in one["points"] if v], np.float64).reshape(-1, 2)
    return found[:, 0] - 0.5, found[:, 1] - 0.5
