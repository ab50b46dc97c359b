"""Draw what is known of an image over it: boxes, outlines, keypoints, its mask, and in a line below it the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from augforge.algorithms.geometry import Geometry, Resize
from augforge.data.annotations import describe_annotations, move_annotations, segmentation

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))
"""Told apart by people who see colours differently, too (after Okabe and Ito); a class always has the same one."""
CLEAR = 90
"""Opacity of outlines and masks over the image, of 255."""
LINE = 14
"""Height of a line of text in px."""


def annotated(
    image: Image.Image,
    annotations: Mapping[str, Any],
    mask: NDArray[np.uint8] | None = None,
    side: int = 256,
    names: bool = True,
) -> Image.Image:
    """An image with its annotations drawn over it, its longer side `side` px.

    Args:
        image: upright RGB.
        annotations: checked ones, of that image.
        mask: its label map (h, w), if it has one; label 0 stays clear.
        side: px of the longer side of the result.
        names: whether the class of a box stands at it.
    """
    scale = side / max(image.size)
    width, height = (max(1, round(length * scale)) for length in image.size)
    point_map = Geometry((Resize(height, width),)).point_map((image.height, image.width))
    small = image.resize((width, height), Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)
    moved = move_annotations(annotations, point_map, 0.0)
    shown = small.convert("RGBA")
    if mask is not None and mask.ndim == 2:
        shown = _over(shown, np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST)))
    for box in moved.get("boxes", ()):
        shown = _with_outline(shown, box)
    pen = ImageDraw.Draw(shown)
    for box in moved.get("boxes", ()):
        _draw_box(pen, box, names)
    for one in moved.get("keypoints", ()):
        _draw_points(pen, one["points"])
    return shown.convert("RGB")


def sheet(cells: Sequence[tuple[Image.Image, Sequence[str]]], columns: int = 4, side: int = 256) -> Image.Image:
    """Images in rows of `columns`, each with a few lines of text below it."""
    lines = max((len(texts) for _, texts in cells), default=0)
    across, down = side + 8, side + 8 + lines * LINE
    rows = -(-len(cells) // columns)
    page = Image.new("RGB", (min(columns, max(1, len(cells))) * across, max(1, rows) * down), (255, 255, 255))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(11)
    for place, (image, texts) in enumerate(cells):
        x, y = place % columns * across + 4, place // columns * down + 4
        page.paste(image, (x + (side - image.width) // 2, y + (side - image.height) // 2))
        for number, text in enumerate(texts):
            pen.text((x, y + side + number * LINE), _fitting(pen, text, side, font), (0, 0, 0), font=font)
    return page


def described(label: str | None, split: str | None, annotations: Mapping[str, Any]) -> list[str]:
    """What is known of an image, in two short lines."""
    rest = {
        name: text for name, text in describe_annotations(annotations).items() if name not in ("keypoints", "labels")
    }
    first = " · ".join(filter(None, [label or ", ".join(annotations.get("labels", ())) or "no label", split]))
    return [
        first,
        "; ".join(text if name in ("caption", "boxes") else f"{name}: {text}" for name, text in rest.items()),
    ]


def colour_of(name: str | None) -> tuple[int, int, int]:
    """The colour of a class, the same in every picture."""
    return COLOURS[hashlib.sha256((name or "").encode()).digest()[0] % len(COLOURS)]


def _over(shown: Image.Image, labels: NDArray[np.uint8]) -> Image.Image:
    """Label maps in colours, label 0 clear."""
    table = np.zeros((256, 4), np.uint8)
    for label in range(1, 256):
        table[label] = (*COLOURS[label % len(COLOURS)], CLEAR)
    return Image.alpha_composite(shown, Image.fromarray(table[labels], "RGBA"))


def _with_outline(shown: Image.Image, box: Mapping[str, Any]) -> Image.Image:
    if "segmentation" not in box:
        return shown
    inside = segmentation.decoded(box["segmentation"], (shown.height, shown.width))
    layer = np.zeros((*inside.shape, 4), np.uint8)
    layer[inside > 0] = (*colour_of(box.get("label")), CLEAR)
    return Image.alpha_composite(shown, Image.fromarray(layer, "RGBA"))


def _draw_box(pen: ImageDraw.ImageDraw, box: Mapping[str, Any], named: bool) -> None:
    x0, y0, x1, y1 = box["box"]
    colour, font = colour_of(box.get("label")), ImageFont.load_default(11)
    pen.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), outline=colour, width=2)
    text = (box.get("label") or "") + (" (crowd)" if box.get("iscrowd") else "")
    if text and named:
        left, top, right, bottom = pen.textbbox((x0 + 2, y0), text, font=font)
        pen.rectangle((left - 2, top - 1, right + 2, bottom + 1), fill=colour)
        pen.text((x0 + 2, y0), text, (0, 0, 0), font=font)


def _draw_points(pen: ImageDraw.ImageDraw, points: Sequence[Sequence[float]]) -> None:
    for place, (x, y, visibility) in enumerate(points):
        if visibility:
            fill = COLOURS[place % len(COLOURS)] if visibility == 2 else None
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=fill, outline=COLOURS[place % len(COLOURS)])


def _fitting(pen: ImageDraw.ImageDraw, text: str, width: int, font: Any) -> str:
    """As much of a text as has room in `width` px."""
    while text and pen.textlength(text, font=font) > width:
        text = text.removesuffix("…")[:-2] + "…"
    return text
