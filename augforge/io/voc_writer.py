"""Write Pascal VOC: `JPEGImages`, `Annotations`, `ImageSets/Main`, `SegmentationClass`; and `metadata.jsonl`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, ClassVar
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from augforge.data.annotations.base import DIGITS
from augforge.data.pictures import INSTANCES, MASK
from augforge.errors import StoreError
from augforge.io.voc_objects import CORNERS, FLAGS
from augforge.io.voc_sets import SETS
from augforge.io.writing import Line, Outlet, Row, Shard, picture_folder
from augforge.io.yolo_writer import KEYS, DetectionWriter, labelled

FOLDERS = {MASK: "SegmentationClass", INSTANCES: "SegmentationObject"}
FORBIDDEN = re.compile("[^\\t\\n\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""What an XML file cannot hold."""


class VocWriter(DetectionWriter):
    """An XML file for each image that is annotated with boxes; corners as the devkit counts them."""

    split_folders: ClassVar[bool] = False

    def _files(self, row: Row, split: str, outlet: Outlet) -> Line:
        line: Line = {"file_name": f"JPEGImages/{row.file_name}", "boxes": "boxes" in row.annotations}
        outlet.put(line["file_name"], row.image)
        for name, data in row.pictures.items():
            path = f"{FOLDERS.get(name) or picture_folder(name)}/{row.name}.png"
            line[f"{name}_file_name"] = path
            outlet.put(path, data)
        if line["boxes"]:
            outlet.put(f"Annotations/{row.name}.xml", annotation(row))
        return line

    def finish(self, shards: Sequence[Shard], lines: Callable[[Shard], list[Line]], outlet: Outlet) -> None:
        """The metadata, and the lists of the splits."""
        super().finish(shards, lines, outlet)
        for split in self.about.splits:
            names = (line["file_name"] for shard in shards if shard.split == split for line in lines(shard))
            stems = "".join(f"{name.partition('/')[2].rpartition('.')[0]}\n" for name in names)
            outlet.put(f"{SETS}/Main/{KEYS.get(split, split)}.txt", stems.encode())


def annotation(row: Row) -> bytes:
    """The XML file of an image with boxes; StoreError if a text in it cannot be held."""
    root = Element("annotation")
    SubElement(root, "filename").text = row.file_name
    size = SubElement(root, "size")
    for side, value in (("width", row.width), ("height", row.height), ("depth", 3)):
        SubElement(size, side).text = str(value)
    SubElement(root, "segmented").text = str(int(MASK in row.pictures))
    for box in labelled(row):
        root.append(_object(box))
    indent(root)
    text = tostring(root, encoding="unicode")
    if found := FORBIDDEN.search(text):
        raise StoreError(f"sample {row.id}: XML cannot hold the character {found.group()!r}", "use --to coco or yolo")
    return text.encode()


def _object(box: dict[str, Any]) -> Element:
    thing = Element("object")
    SubElement(thing, "name").text = box["label"]
    said = dict(box.get("attributes") or {})
    for name in ("pose", *sorted(FLAGS)):
        if name in said:
            SubElement(thing, name).text = _text(said.pop(name))
    corners = SubElement(thing, "bndbox")
    for name, value in zip(CORNERS, box["box"], strict=True):
        SubElement(corners, name).text = _counted(value, int(name.endswith("min")))
    outline = box.get("segmentation")
    if isinstance(outline, list) and len(outline) == 1:
        polygon = SubElement(thing, "polygon")
        for place, value in enumerate(outline[0]):
            SubElement(polygon, f"{'xy'[place % 2]}{place // 2 + 1}").text = _counted(value, 1)
    attributes = SubElement(thing, "attributes") if said else thing
    for name, value in said.items():
        one = SubElement(attributes, "attribute")
        SubElement(one, "name").text, SubElement(one, "value").text = name, _text(value)
    return thing


def _text(value: Any) -> str:
    """A value as text; true and false as 1 and 0."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def _counted(value: float, first: int) -> str:
    """A coordinate of px counted from `first`, exactly."""
    return format(DIGITS.normalize(DIGITS.add(Decimal(repr(value)), first)), "f")
