"""Draw every strong transform of `augforge.algorithms.shifts` once, on scikit-learn's flower.

python scripts/shift_sheet.py docs/images/shifts.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_image

from augforge.algorithms.geometry import Resize
from augforge.algorithms.shifts import FAMILIES
from augforge.data.ids import rng

COLUMNS = 11
SIDE = 60
WIDTH = 84
LINES = 20


def main(path: Path) -> None:
    """Write the sheet, in few colours, so that it stays small."""
    photo = Resize(227, 341).move(load_sample_image("flower.jpg"), "bicubic", None)[:, 45:272]
    tiles = [("the photo", photo)]
    for family, ops in FAMILIES.items():
        tiles += [(name, op(photo, op.draw(rng(3, family + name), 1.0))) for name, op in ops.items()]
    height = SIDE + LINES + 4
    sheet = Image.new("RGB", (COLUMNS * WIDTH, -(-len(tiles) // COLUMNS) * height), "white")
    pen = ImageDraw.Draw(sheet)
    pen.fontmode = "1"
    for number, (name, pixels) in enumerate(tiles):
        left, top = number % COLUMNS * WIDTH, number // COLUMNS * height
        small = Image.fromarray(np.asarray(pixels)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        sheet.paste(small, (left + (WIDTH - SIDE) // 2, top))
        pen.multiline_text(
            (left + WIDTH // 2, top + SIDE + 1),
            _lines(name),
            "black",
            font_size=9,
            anchor="ma",
            align="center",
            spacing=0,
        )
    sheet.quantize(160, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE).save(path, optimize=True)


def _lines(name: str) -> str:
    """A long name in two lines."""
    words = name.split("-")
    if len(name) < 14:
        return name
    middle = -(-len(words) // 2)
    return "-".join(words[:middle]) + "-\n" + "-".join(words[middle:])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
