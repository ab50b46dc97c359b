"""The lines of a YOLO label file: a class and, in shares of the image's sides, a box, a polygon, or box and points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Any

from augforge.data.annotations.base import DIGITS, RELATIVE, Size, in_pixels
from augforge.io.yolo_data import YoloData

Thing = dict[str, Any]
HALF = Decimal("0.5")
BOX = 4
PRECISIONS = tuple(Context(prec=digits) for digits in (6, 10, 17, 25, 40, 60))
"""With how many digits a share is written: the first of these that brings back every bit."""
LONGEST = 4300
"""Characters of the longest number that is read."""


def read_lines(text: str, data: YoloData) -> tuple[list[Thing | str], list[Thing]]:
    """The boxes and the instances with keypoints of a label file; a text in place of a box says what is wrong."""
    boxes: list[Thing | str] = []
    points: list[Thing] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            box, instance = _read(line.split(), data, str(number))
        except ValueError as error:
            boxes.append(f"line {number}: {error}")
            continue
        boxes.append(box)
        points += [instance] if instance else []
    return boxes, points


def looks_like_labels(text: str) -> bool:
    """Whether a text has lines, all of them a class and at least four numbers in the manner of YOLO."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    return bool(lines) and all(_is_line(words) for words in lines)


def _is_line(words: Sequence[str]) -> bool:
    try:
        _class_number(words[0])
        values = [float(word) for word in words[1:]]
    except ValueError:
        return False
    return len(values) >= BOX and all(-1 <= value <= 2 for value in values)


def _read(words: Sequence[str], data: YoloData, number: str) -> tuple[Thing, Thing | None]:
    """Box and keypoints of a line; ValueError says what is wrong with it."""
    category, values = _class_number(words[0]), [_share(word) for word in words[1:]]
    if data.names and category not in data.names:
        raise ValueError(f"class {category} has no name")
    label = data.names.get(category, str(category))
    count, each = data.shape or (0, 0)
    if count and len(values) == BOX + count * each:
        box = _box(values[:BOX], label) | {"id": number}
        return box, _points(values[BOX:], each, label, number) | _named(data, category, count)
    if len(values) in (BOX, BOX + 1):
        return _box(values, label), None
    if len(values) >= 6 and len(values) % 2 == 0:
        return _polygon(values, label), None
    raise ValueError(f"{len(values)} numbers after the class are no box, polygon or pose")


def _class_number(word: str) -> int:
    """The number of a class, which some tools write as 1.0."""
    try:
        value = float(word)
    except ValueError:
        raise ValueError(f"{word[:40]!r} is no number of a class") from None
    if not 0 <= value < 1e9 or value != int(value):
        raise ValueError(f"{word[:40]!r} is no number of a class")
    return int(value)


def _share(word: str) -> Decimal:
    """A number, exactly as it is written."""
    try:
        if len(word) < LONGEST and math.isfinite(float(word)):
            return Decimal(word)
    except ValueError:
        pass
    raise ValueError(f"{word[:40]!r} is no number")


def _box(values: Sequence[Decimal], label: str) -> Thing:
    """The box of its centre, width and height, and perhaps how sure a model was of it."""
    x, y, width, height = values[:BOX]
    a, b = DIGITS.multiply(width, HALF), DIGITS.multiply(height, HALF)
    corners = DIGITS.subtract(x, a), DIGITS.subtract(y, b), DIGITS.add(x, a), DIGITS.add(y, b)
    sure = {"attributes": {"confidence": float(values[BOX])}} if len(values) > BOX else {}
    return {"box": [str(corner) for corner in corners], "label": label, RELATIVE: True, **sure}


def _polygon(values: Sequence[Decimal], label: str) -> Thing:
    """A polygon, and the box around it."""
    across, down = values[::2], values[1::2]
    corners = min(across), min(down), max(across), max(down)
    outline = [str(value) for value in values]
    return {"box": [str(c) for c in corners], "label": label, "segmentation": [outline], RELATIVE: True}


def _points(values: Sequence[Decimal], each: int, label: str, identity: str) -> Thing:
    """The keypoints of an instance. Without a visibility a point is visible, but for (0, 0) and negative ones."""
    found = []
    for place in range(0, len(values), each):
        x, y, *seen = values[place : place + each]
        visible = float(seen[0]) if seen else 2.0 * (x > 0 or y > 0) * (x >= 0 and y >= 0)
        found.append([str(x), str(y), visible])
    return {"points": found, "label": label, "id": identity, RELATIVE: True}


def _named(data: YoloData, category: int, count: int) -> Thing:
    """Names and places in a mirror of the points of a class, as far as they are known."""
    names = data.point_names.get(category)
    found: Thing = {"names": list(names)} if names and len(names) == count else {}
    return found | ({"flip": list(data.flip)} if data.flip else {})


def written(box: Thing, category: int, size: Size) -> str:
    """The line of a box on an image of `size`, as `read_lines` brings it back to the last bit.

    A box around its one polygon is written as that; of other outlines, and of all that is said of a box beyond its
    class, a line has no room. Corners of under 1e-40 px are not brought back.
    """
    outline = box.get("segmentation")
    if isinstance(outline, list) and len(outline) == 1 and _bounds(outline[0]) == box["box"]:
        words = [_word(value, size[1 - place % 2]) for place, value in enumerate(outline[0])]
    else:
        words = _box_words(box["box"], size)
    return " ".join([str(category), *words]) + "\n"


def _bounds(polygon: Sequence[float]) -> list[float]:
    across, down = polygon[::2], polygon[1::2]
    return [min(across), min(down), max(across), max(down)]


def _word(value: float, side: int) -> str:
    """The share of a side that is `value` px."""
    shares = (precision.divide(Decimal(value), Decimal(side)) for precision in PRECISIONS)
    found = next((share for share in shares if in_pixels([share], (side, side)) == [value]), Decimal(0))
    return format(DIGITS.normalize(found), "f")


def _box_words(box: Sequence[float], size: Size) -> list[str]:
    """Centre, width and height of a box in shares."""
    found: list[Decimal] = []
    for precision in PRECISIONS:
        found = _centre(box, size, precision)
        if in_pixels(_box(found, "")["box"], size) == list(box):
            break
    return [format(DIGITS.normalize(value), "f") for value in found]


def _centre(box: Sequence[float], size: Size, precision: Context) -> list[Decimal]:
    """Centre, width and height in shares; the width and the first corner are rounded, and the centre follows."""
    starts = [precision.divide(Decimal(box[axis]), Decimal(size[1 - axis])) for axis in (0, 1)]
    lengths = [
        precision.divide(DIGITS.subtract(Decimal(box[axis + 2]), Decimal(box[axis])), Decimal(size[1 - axis]))
        for axis in (0, 1)
    ]
    middles = [DIGITS.add(a, DIGITS.multiply(length, HALF)) for a, length in zip(starts, lengths, strict=True)]
    return [*middles, *lengths]
