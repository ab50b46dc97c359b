"""What was seen in a generated image, given back in the coordinates of the image that it was made from.

A generator that moves an image leaves in its row which geometric operations it applied, to what size (`moved`). That is
enough to take them back, last first: the label-transport contract of AugUndo (Wu et al., ECCV 2024).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from augforge.errors import StoreError

if TYPE_CHECKING:
    from augforge.algorithms.geometry import Geometry, Order
    from augforge.data.sample import Sample


class Undo:
    """Takes back what moved one image.

    Exact for flips, quarter turns and shifts by whole pixels, and within the error of interpolation otherwise. What was
    moved out of the image is gone: `known` tells where.

    `size` is (height, width) of the source image, `made` that of the generated one. Coordinates are px, (0, 0) the
    upper left corner of the upper left pixel.
    """

    def __init__(self, geometry: Geometry, size: tuple[int, int]) -> None:
        self.geometry, self.size = geometry, size
        self.made = geometry.size(size)

    def image(self, pixels: ArrayLike, order: Order = "bilinear", fill: float | None = None) -> NDArray[Any]:
        """(h, w[, c]) an image or a map of numbers (h', w'[, c]), of the same dtype.

        Where nothing is known lies `fill`, or what the edge shows if it is None. Depth is moved, and not scaled.
        """
        return self.geometry.undo(self._fitting(pixels), self.size, order, fill)

    def label_map(self, labels: ArrayLike, void: float = 255) -> NDArray[Any]:
        """(h, w) a label map (h', w'), of the nearest pixels, so that no other value appears; `void` outside."""
        return self.geometry.undo_label(self._fitting(labels), self.size, void)

    def points(self, xy: ArrayLike) -> NDArray[np.float64]:
        """(n, 2) points (x, y); perhaps outside of the source image."""
        return self.geometry.back_map(self.size).points(np.asarray(xy, dtype=np.float64).reshape(-1, 2))

    def boxes(self, xyxy: ArrayLike) -> NDArray[np.float64]:
        """(n, 4) the boxes (x0, y0, x1, y1) around where `xyxy` (n, 4) came from, cut at the border of the image.

        One that came from outside has no area.
        """
        from augforge.data.annotations.boxes import around

        back, (height, width) = self.geometry.back_map(self.size), self.size
        found = [around(box, back) for box in np.asarray(xyxy, dtype=np.float64).reshape(-1, 4).tolist()]
        return np.array(found, dtype=np.float64).reshape(-1, 4).clip(0, [width, height, width, height])

    def annotations(self, annotations: Mapping[str, Any]) -> dict[str, Any]:
        """Annotations as in the ledger (boxes with outlines, keypoints with names, …), each in its way."""
        from augforge.data.annotations import move_annotations

        return move_annotations(annotations, self.geometry.back_map(self.size), 0.0)

    def known(self) -> NDArray[np.bool_]:
        """(h, w) which pixels of the source image the generated one shows."""
        return self.geometry.survives(self.size)

    def __repr__(self) -> str:
        ops = ", ".join(op.name for op in self.geometry.ops) or "nothing"
        return f"<takes {ops} back: {self.made[1]}x{self.made[0]} px to {self.size[1]}x{self.size[0]}>"

    def _fitting(self, pixels: ArrayLike) -> NDArray[Any]:
        array = np.asarray(pixels)
        if array.shape[:2] != self.made:
            height, width = self.made
            raise StoreError(
                f"this is {array.shape[:2]} px (height, width), the image that it was made from {(height, width)}",
                "give the model's output at the size of the image",
            )
        return array


def undo(row: Sample | Mapping[str, Any] | str) -> Undo:
    """What takes a model's output on a generated image back to the image that it was made from.

    Args:
        row: the image's row of the dataset or of the ledger, its `provenance` alone, as a mapping or its JSON, or a
            `Sample`.

    Raises:
        StoreError: the row says nothing of the kind: its image is real, its generator changes content, or mixes images.
    """
    from augforge.algorithms.geometry import Geometry

    moved = _sampled_params(row).get("moved")
    if moved is None:
        raise StoreError(
            "this row does not say how its image was moved: it is real, made of two images, or was generated anew",
            "`undo` is for images of shifts, night and the classical operators",
        )
    height, width = moved["size"]
    return Undo(Geometry.from_plain(moved["ops"]), (int(height), int(width)))


def _sampled_params(row: Sample | Mapping[str, Any] | str) -> Mapping[str, Any]:
    from augforge.data.sample import Sample

    if isinstance(row, Sample):
        return row.sampled_params
    plain: Mapping[str, Any] = json.loads(row) if isinstance(row, str) else row
    for name in ("provenance", "sampled_params"):
        if (inner := plain.get(name)) is not None:
            return _sampled_params(inner)
    return plain
