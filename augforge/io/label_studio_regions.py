"""What is known of an image as results of Label Studio: regions in percent of its sides, choices, and a text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IMAGE, CHOICE, CHOICES, RECTANGLE, POLYGON = "image", "label", "labels", "box", "polygon"
BRUSH, POINT, CAPTION = "brush", "point", "caption"
"""The names of the controls in the interface."""
POINT_SIZE = 0.5
"""How large a keypoint is drawn, in percent of the width."""
WORD, RUNS = 8, (3, 4, 8, 16)
"""Bits of a value in a brush's run lengths, and of the four kinds of lengths."""
INSIDE = 255
Size = tuple[int, int]
"""Height and width in px."""
Region = dict[str, Any]


def results_of(label: str | None, said: Mapping[str, Any], size: Size) -> list[Region]:
    """Everything that Label Studio can show of an image of `size`."""
    found = [] if label is None else [_result(CHOICE, "choices", {"choices": [label]}, size)]
    found += [_result(CHOICES, "choices", {"choices": said["labels"]}, size)] if said.get("labels") else []
    found += _regions(said.get("boxes") or (), said.get("keypoints") or (), size)
    found += [_result(CAPTION, "textarea", {"text": [said["caption"]]}, size)] if "caption" in said else []
    return found


def _regions(boxes: Sequence[Mapping[str, Any]], points: Sequence[Mapping[str, Any]], size: Size) -> Iterator[Region]:
    """The regions of boxes, and of keypoints, below those of their boxes."""
    ids = {box["id"]: f"box-{number}" for number, box in enumerate(boxes) if "id" in box}
    for number, box in enumerate(boxes):
        yield from _of_box(f"box-{number}", box, size)
    for number, one in enumerate(points):
        yield from _of_points(f"points-{number}", one, size, ids.get(one.get("id")))


def places_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """Where the regions of `results_of` lie in px, by their ids: the corners of a box, and its outlines."""
    found: dict[str, Any] = {}
    for place, box in enumerate(said.get("boxes") or ()):
        found[f"box-{place}"], outline = box["box"], box.get("segmentation") or ()
        if isinstance(outline, dict):
            found[f"box-{place}-mask"] = outline
        else:
            found |= {f"box-{place}-{number}": polygon for number, polygon in enumerate(outline)}
    return found


def point_names(one: Mapping[str, Any]) -> list[str]:
    """What the points of an instance are called."""
    return list(one.get("names") or [f"point {number}" for number in range(1, len(one["points"]) + 1)])


def point_ids(place: int, one: Mapping[str, Any]) -> list[str]:
    """The ids of the regions of the points of an instance, the one at a `place` among all."""
    return [f"points-{place}-{number}" for number in range(len(one["points"]))]


def brush_runs(mask: NDArray[np.uint8]) -> list[int]:
    """A mask (h, w), 0 outside, as the bytes of Label Studio's run lengths, in which a pixel has four values.

    A header (number of values in 32 bits, bits of a value less 1 in 5, bits of the four kinds of lengths less 1 in 4
    each), then for every run a 1, the kind of its length, its length less 1, and its value.
    """
    import numpy as np

    flat = (mask.ravel() > 0).astype(np.uint8) * INSIDE
    edges = np.flatnonzero(np.diff(flat)) + 1
    starts = np.concatenate([[0], edges]) if len(flat) else np.zeros(0, dtype=np.int64)
    lengths = np.diff(np.concatenate([starts, [len(flat)]])) * 4
    bits = [f"{len(flat) * 4:032b}{WORD - 1:05b}", *(f"{size - 1:04b}" for size in RUNS)]
    bits += [_run(int(length), int(flat[start])) for start, length in zip(starts, lengths, strict=True)]
    joined = "".join(bits)
    joined += "0" * (-len(joined) % 8)
    return list(int(joined, 2).to_bytes(len(joined) // 8, "big"))


def brush_mask(runs: Any, size: Size) -> NDArray[np.uint8]:
    """(h, w) 1 where a brush has drawn, of the bytes of Label Studio's run lengths; what `brush_runs` made, taken back.

    A pixel has four values, the last of which says how much is drawn on it. ValueError if they are not of `size`.
    """
    import numpy as np

    total = 4 * size[0] * size[1]
    bits = _Bits(runs)
    if bits.take(32) != total:
        raise ValueError(f"its run lengths are not of {size[1]}x{size[0]} px")
    word, lengths = bits.take(5) + 1, [bits.take(4) + 1 for _ in RUNS]
    values, place = np.zeros(total, np.uint8), 0
    while place < total:
        alike, count = bits.take(1), bits.take(lengths[bits.take(2)]) + 1
        for _ in range(1 if alike else count):
            step = count if alike else 1
            values[place : place + step] = bits.take(word) > 0
            place += step
    return values.reshape(*size, 4)[..., 3]


class _Bits:
    """A list of bytes, read bit by bit."""

    def __init__(self, runs: Any) -> None:
        try:
            data = bytes(runs if isinstance(runs, list) else [])
        except (TypeError, ValueError) as error:
            raise ValueError("its run lengths are no bytes") from error
        self._bits = f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}" if data else ""
        self._place = 0

    def take(self, count: int) -> int:
        """The next bits as a number; ValueError at the end."""
        self._place += count
        if self._place > len(self._bits):
            raise ValueError("its run lengths end too early")
        return int(self._bits[self._place - count : self._place], 2)


def _run(length: int, value: int) -> str:
    """The bits of a run, in pieces if it is longer than one can be."""
    longest = 1 << RUNS[-1]
    whole, rest = divmod(length, longest)
    kind = next(kind for kind, size in enumerate(RUNS) if rest <= 1 << size)
    last = f"1{kind:02b}{rest - 1:0{RUNS[kind]}b}{value:0{WORD}b}" if rest else ""
    return f"1{len(RUNS) - 1:02b}{longest - 1:0{RUNS[-1]}b}{value:0{WORD}b}" * whole + last


def _of_box(identity: str, box: Mapping[str, Any], size: Size) -> Iterator[Region]:
    """The region of a box, and those of its outline below it."""
    x0, y0, x1, y1 = (100 * value / size[1 - place % 2] for place, value in enumerate(box["box"]))
    labels = [box["label"]] if box.get("label") is not None else []
    meta = {name: box[name] for name in ("id", "iscrowd", "attributes") if name in box}
    value = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0, "rotation": 0, "rectanglelabels": labels}
    yield {**_result(RECTANGLE, "rectanglelabels", value, size), "id": identity, **({"meta": meta} if meta else {})}
    outline = box.get("segmentation") or ()
    if isinstance(outline, dict):
        from augforge.data.annotations import segmentation

        drawn = {"format": "rle", "rle": brush_runs(segmentation.decoded(outline, size)), "brushlabels": labels}
        yield {**_result(BRUSH, "brushlabels", drawn, size), "id": f"{identity}-mask", "parentID": identity}
        return
    for number, polygon in enumerate(outline):
        value = {"points": _percent(polygon, size), "closed": True, "polygonlabels": labels}
        yield {**_result(POLYGON, "polygonlabels", value, size), "id": f"{identity}-{number}", "parentID": identity}


def _of_points(identity: str, one: Mapping[str, Any], size: Size, parent: str | None) -> Iterator[Region]:
    """The regions of the labelled points of an instance."""
    names = point_names(one)
    for number, (x, y, seen) in enumerate(one["points"]):
        if not seen:
            continue
        value = {"x": 100 * x / size[1], "y": 100 * y / size[0], "width": POINT_SIZE, "keypointlabels": [names[number]]}
        region = {**_result(POINT, "keypointlabels", value, size), "id": f"{identity}-{number}"}
        yield {**region, "meta": {"visible": seen == 2}, **({"parentID": parent} if parent else {})}


def _percent(flat: Sequence[float], size: Size) -> list[list[float]]:
    height, width = size
    return [[100 * x / width, 100 * y / height] for x, y in zip(flat[::2], flat[1::2], strict=True)]


def _result(name: str, kind: str, value: Mapping[str, Any], size: Size) -> Region:
    height, width = size
    about = {"from_name": name, "to_name": IMAGE, "type": kind, "value": dict(value)}
    return {"id": name, **about, "original_width": width, "original_height": height, "image_rotation": 0}
