"""Draw what `generate controlled` and `generate inpaint` make of scikit-learn's digits, with the built-in models.

    python scripts/layout_sheet.py docs/images/layout.png

Above: digits, their edges, and two new images that follow them. Below: two digits in one picture, what of it is
painted, and the new picture: one digit, by the seed, became a three, and the other one stays to the bit.
Cost: half a minute on a CPU.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits

from augforge.algorithms.control import draw_edges
from augforge.algorithms.inpainting import things_in_boxes, weights_of
from augforge.algorithms.shifts.base import grey_of
from augforge.algorithms.shifts.edges import edges_of
from augforge.engine.run import run
from augforge.models.known import DIGITS
from augforge.recipe import Recipe, SourceSpec, build_stage

SIDE = 32
SCALE = 2
GAP = 6
TEXT = 14


def picture(number: int, which: int = 0) -> Image.Image:
    """A handwritten digit, 32 px."""
    digits = load_digits()
    place = int(np.flatnonzero(digits.target == number)[which])
    small = Image.fromarray((digits.images[place] * 255 / 16).astype(np.uint8))
    return small.resize((SIDE, SIDE), Image.Resampling.BICUBIC).convert("RGB")


def made(source: SourceSpec, name: str, out: Path, **options: Any) -> list[tuple[Any, Any]]:
    """Every kept new image with its parent, as rows of the dataset, the labels of boxes as texts."""
    from datasets import load_from_disk

    run(Recipe("sheet", 1, (source,), (build_stage("generate", name, {"model": "builtin-sd", **options}),)), out)
    data = load_from_disk(str(out / "dataset"))
    rows = {row["id"]: row for row in data}
    for row in rows.values():
        for box in row.get("boxes") or ():
            box["label"] = data.features["boxes"].feature["label"].int2str(box["label"])
    new = [row for row in rows.values() if row["origin"] == "synthetic"]
    return [(row, rows[json.loads(row["provenance"])["parents"][0]["id"]]) for row in new]


def digits_source(folder: Path) -> SourceSpec:
    """One picture of each of eight digits."""
    for number in range(8):
        (folder / DIGITS[number]).mkdir(parents=True)
        picture(number, 3).save(folder / DIGITS[number] / "0.png")
    return SourceSpec("folder", str(folder))


def pairs_source(folder: Path) -> SourceSpec:
    """COCO: four pictures of two digits each, with their boxes."""
    (folder / "images").mkdir(parents=True)
    notes: dict[str, Any] = {"images": [], "annotations": []}
    notes["categories"] = [{"id": number + 1, "name": name} for number, name in enumerate(DIGITS)]
    for number in range(4):
        both = Image.new("RGB", (2 * SIDE, SIDE))
        notes["images"].append({"id": number, "file_name": f"{number}.png", "width": 2 * SIDE, "height": SIDE})
        for side, digit in enumerate((number + 1, 8 - number)):
            both.paste(picture(digit, number), (side * SIDE, 0))
            box = {"bbox": [side * SIDE + 5, 0, SIDE - 10, SIDE], "area": 22 * SIDE, "iscrowd": 0}
            notes["annotations"].append({"id": 2 * number + side, "image_id": number, "category_id": digit + 1, **box})
        both.save(folder / "images" / f"{number}.png")
    (folder / "instances.json").write_text(json.dumps(notes))
    return SourceSpec("coco", str(folder))


def pixels(row: Any) -> NDArray[np.uint8]:
    """The picture of a row."""
    return np.asarray(row["image"].convert("RGB"))


def controlled(folder: Path) -> list[list[NDArray[np.uint8]]]:
    """Columns: a parent, its edges, and two new images."""
    source, options = digits_source(folder / "digits"), {"controlnet": "builtin-controlnet", "control": "edges"}
    found: dict[str, list[NDArray[np.uint8]]] = {}
    for new, parent in made(source, "controlled", folder / "controlled", **options, **{"per-class": 2}):
        before = pixels(parent)
        edges = draw_edges(edges_of(grey_of(before), 1.0, "otsu"))
        found.setdefault(parent["id"], [before, edges]).append(pixels(new))
    return sorted(found.values(), key=lambda column: column[0].tobytes())


def inpainted(folder: Path) -> list[list[NDArray[np.uint8]]]:
    """Columns: a parent, the weights of the paint, and the new image."""
    options = {"paint": "one", "label": "three", "context": 0.0, "dilate": 1, "feather": 2}
    source, found, size = pairs_source(folder / "pairs"), [], (SIDE, 2 * SIDE)
    more = {"per-class": 4, "any-class": True}
    for new, parent in made(source, "inpaint", folder / "inpaint", **options, **more):
        things = things_in_boxes([{"box": box["box"], "label": box["label"]} for box in parent["boxes"]], size)
        chosen = [thing for thing in things if thing.label in json.loads(new["provenance"])["replaced"]]
        weights = weights_of(chosen, [], size, (1, 2), False)
        paint = np.round(weights * 255).astype(np.uint8)[..., None]
        found.append([pixels(parent), np.repeat(paint, 3, axis=2), pixels(new)])
    return found


def block(columns: list[list[NDArray[np.uint8]]], titles: list[str]) -> Image.Image:
    """Columns of pictures under each other, with a title before each line."""
    height, width = (SCALE * side for side in columns[0][0].shape[:2])
    drawn = Image.new("RGB", (110 + len(columns) * (width + GAP), len(titles) * (height + GAP)), "white")
    pen = ImageDraw.Draw(drawn)
    for line, title in enumerate(titles):
        top = line * (height + GAP)
        pen.text((4, top + (height - TEXT) // 2), title, "black", font_size=TEXT)
        for number, column in enumerate(columns):
            enlarged = Image.fromarray(column[line]).resize((width, height), Image.Resampling.NEAREST)
            drawn.paste(enlarged, (110 + number * (width + GAP), top))
    return drawn


def main(path: Path) -> None:
    """Write the sheet, in few colours, so that it stays small."""
    with tempfile.TemporaryDirectory() as folder:
        blocks = [
            block(controlled(Path(folder)), ["parent", "its edges", "new", "new"]),
            block(inpainted(Path(folder)), ["parent", "paint", "new"]),
        ]
    sheet = Image.new("RGB", (max(each.width for each in blocks), sum(each.height + 10 for each in blocks)), "white")
    top = 0
    for each in blocks:
        sheet.paste(each, (0, top))
        top += each.height + 10
    sheet.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
