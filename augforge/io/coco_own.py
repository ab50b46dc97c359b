"""How augforge writes one image in COCO, and reads from it what COCO itself has no place for.

What an annotation says counts; what COCO cannot say of it is under its key `augforge`, and what COCO cannot say of an
image under `said` in that of the image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from augforge.data.annotations import segmentation
from augforge.io.listed import label_of
from augforge.io.own import BOXES, CAPTION, corners, xywh

OWN = "augforge"
NO_CLASS, THINGS = "no class", "things only"
"""What categories are marked as: of things without a class, and of things where no image is of the class."""
KEYPOINTS, LABELS = "keypoints", "labels"
Note = dict[str, Any]


def notes_of(label: str | None, said: Mapping[str, Any], size: tuple[int, int]) -> list[Note]:
    """The annotations of an image of `size` (height, width), with `label` for the category.

    An image without boxes and keypoints has one for its class: the whole image, marked so.
    """
    boxes, points = said.get(BOXES) or [], said.get(KEYPOINTS) or []
    if not boxes and not points:
        return [_whole(label, size)] if label is not None else []
    notes = [_of_box(box, size) for box in boxes]
    for place, one in zip(_together(boxes, points), points, strict=True):
        if place is None:
            notes.append(_with_points(_around(one), one))
        else:
            notes[place] = _with_points(notes[place], one)
    return notes


def beyond(label: str | None, said: Mapping[str, Any]) -> dict[str, Any]:
    """What a reader of the annotations of an image could not know: its label, and annotations by kind."""
    boxes, points = said.get(BOXES) or [], said.get(KEYPOINTS) or []
    told, several = label_of(box["label"] for box in boxes if "label" in box)
    found: dict[str, Any] = {} if told == label or not (boxes or points) else {"label": label}
    found |= {LABELS: said.get(LABELS)} if several.get(LABELS) != said.get(LABELS) else {}
    return found | dict(_unsaid(said))


def _unsaid(said: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The kinds of which annotations tell nothing, or not all."""
    if BOXES not in said:
        yield BOXES, None
    for name, value in said.items():
        if name in (BOXES, LABELS) or (name == KEYPOINTS and value) or (name == CAPTION and value == value.strip()):
            continue
        yield name, value


def completed(label: str | None, said: dict[str, Any], more: Any) -> tuple[str | None, dict[str, Any]]:
    """Label and annotations as they were read, with what `beyond` found; what was corrected since stays corrected.

    Exports that have no such thing were written before annotations were.
    """
    if not isinstance(more, dict):
        return label, {}
    more = dict(more)
    label = more.pop("label", label)
    if more.get(BOXES, ()) is None and said.get(BOXES):
        del more[BOXES]
    if KEYPOINTS in more and KEYPOINTS in said:
        del more[KEYPOINTS]
    if CAPTION in more and str(more[CAPTION]).strip() != said.get(CAPTION):
        del more[CAPTION]
    return label, {name: value for name, value in {**said, **more}.items() if value is not None}


def keypoint_names(notes: Iterable[Note]) -> dict[str | None, list[str]]:
    """What the points of each class that is met are called, by the first thing of it whose points have names."""
    found: dict[str | None, list[str]] = {}
    for note in notes:
        found[note["label"]] = found.get(note["label"]) or own(note).get("names") or []
    return found


def without_names(note: Note, names: list[str] | None) -> Note:
    """An annotation of keypoints without their names, if these are `names`, those of its class."""
    if KEYPOINTS not in note or not names:
        return note
    kept = {name: value for name, value in own(note).items() if name != "names"}
    told = own(note).get("names")
    return {**note, OWN: kept if told == names else {**kept, "names": told}}


def labels_of_things(features: Mapping[str, Any]) -> list[str]:
    """The labels that boxes and keypoints have, from the features of their columns."""
    fields = [features[name].feature.get("label") for name in (BOXES, KEYPOINTS) if name in features]
    return [name for field in fields for name in getattr(field, "names", ())]


def own(note: Mapping[str, Any]) -> Mapping[str, Any]:
    """What augforge says of an annotation, {} if it is of others."""
    found = note.get(OWN)
    return found if isinstance(found, dict) else {}


def identity_of(note: Mapping[str, Any], number: Any) -> str | None:
    """The id of a thing: of our annotations the one that it had, of others the `number` of the annotation."""
    found = own(note).get("id", number)
    return None if found is None else str(found)


def exact_corners(note: Mapping[str, Any], read: Any) -> Any:
    """The corners of a box: those that were `read`, or those that it had where no width and height lead to them."""
    exact = own(note).get("corners")
    same = isinstance(exact, list) and len(exact) == 4 and xywh(exact) == note.get("bbox")
    return exact if same else read


def _whole(label: str, size: tuple[int, int]) -> Note:
    height, width = size
    outline = [[0, 0, width, 0, width, height, 0, height]]
    about = {"bbox": [0, 0, width, height], "area": width * height, "segmentation": outline, "iscrowd": 0}
    return {"label": label, **about, OWN: {"whole": True}}


def _of_box(box: Mapping[str, Any], size: tuple[int, int]) -> Note:
    outline = box.get("segmentation")
    x, y, width, height = xywh(box["box"])
    exact = corners([x, y, width, height]) == list(box["box"])
    note: Note = {
        "label": box.get("label"),
        "bbox": [x, y, width, height],
        "area": segmentation.area(outline, size) if outline else width * height,
        **({"segmentation": outline} if outline else {}),
        "iscrowd": int(bool(box.get("iscrowd"))),
        OWN: {"id": box.get("id"), **({} if exact else {"corners": list(box["box"])})},
    }
    return note | ({"attributes": box["attributes"]} if "attributes" in box else {})


def _around(one: Mapping[str, Any]) -> Note:
    """The annotation of keypoints that belong to no box."""
    there = [(x, y) for x, y, visible in one["points"] if visible] or [(0.0, 0.0)]
    x0, y0, x1, y1 = (pick(each) for pick in (min, max) for each in zip(*there, strict=True))
    about = {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0), "iscrowd": 0}
    return {"label": one.get("label"), **about, OWN: {"id": one.get("id"), "box": False}}


def _with_points(note: Note, one: Mapping[str, Any]) -> Note:
    more = {name: one[name] for name in one if name not in ("points", "label", "id")}
    return {**note, **_flat(one), OWN: {**note[OWN], **more}}


def _flat(one: Mapping[str, Any]) -> Note:
    """Keypoints as COCO has them: x, y, v, x, y, v, ..."""
    flat = [value for x, y, visible in one["points"] for value in (x, y, int(visible))]
    return {"keypoints": flat, "num_keypoints": sum(1 for *_, visible in one["points"] if visible)}


def _together(boxes: Sequence[Mapping[str, Any]], points: Sequence[Mapping[str, Any]]) -> list[int | None]:
    """The place of the box of each instance of keypoints, None for all if they would not come back in their order."""
    ids = [(box.get("id"), box.get("label")) for box in boxes]
    found = [_place(ids, (one.get("id"), one.get("label"))) for one in points]
    known = [place for place in found if place is not None]
    sound = known == sorted(set(known)) and found[: len(known)] == known
    return found if sound else [None] * len(points)


def _place(ids: Sequence[tuple[Any, Any]], wanted: tuple[Any, Any]) -> int | None:
    return ids.index(wanted) if wanted[0] is not None and ids.count(wanted) == 1 else None


def marked(categories: Sequence[str], classes: Sequence[str], unnamed: bool) -> Iterator[Note]:
    """The categories in COCO: `classes` first; one of no class behind them if it is `unnamed` things' own."""
    for number, name in enumerate(categories, start=1):
        mark = {} if name in classes else {OWN: THINGS}
        yield {"id": number, "name": name, "supercategory": "", **mark}
    if unnamed:
        yield {"id": len(categories) + 1, "name": NO_CLASS, "supercategory": "", OWN: NO_CLASS}
