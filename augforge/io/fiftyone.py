"""FiftyOne: `samples.json` and `metadata.json` beside `data/`, to look at images and what is said of them.

Written in the form of `FiftyOneDataset` without a version, which every FiftyOne reads (its importer takes the fields
and their types from the samples): `fiftyone.Dataset.from_dir("OUT", dataset_type=fiftyone.types.FiftyOneDataset)`.
"""

from __future__ import annotations

import base64
import io
import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from augforge.data.pictures import MASK
from augforge.io.writing import FileWriter, Line, Outlet, Row, Shard, write_list

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Size = tuple[int, int]
"""Height and width in px."""


class FiftyOneWriter(FileWriter):
    """`data/train/NAME.png`, `samples.json` and `metadata.json`."""

    def _write(self, row: Row, shard: Shard, outlet: Outlet) -> Line:
        path = f"data/{shard.split}/{row.file_name}"
        outlet.put(path, row.image)
        return {"filepath": path, "tags": [shard.split], **fields_of(row), "augforge": row.record()}

    def finish(self, shards: Sequence[Shard], lines: Callable[[Shard], list[Line]], outlet: Outlet) -> None:
        """All samples, and what the data set is called."""
        about = {"name": self.about.name, "media_type": "image", "info": {"classes": list(self.about.classes)}}
        outlet.put("metadata.json", json.dumps(about, indent=1, ensure_ascii=False).encode())
        with outlet.open("samples.json") as file:
            file.write(b'{"samples": [')
            write_list(file, (line for shard in shards for line in lines(shard)))
            file.write(b"]}\n")

    def card(self) -> dict[str, Any]:
        """Nothing: the hub does not read it."""
        return {}

    def croissant(self) -> dict[str, Any]:
        """The list of samples."""
        paths = {"file_name": "filepath"} | {name: f"augforge.{name}" for name in ("id", "label", "split", "origin")}
        columns = {name: {"jsonPath": f"$.samples[*].{path}"} for name, path in paths.items()}
        return {"files": ["samples.json"], "encoding": "application/json", "columns": columns}


def fields_of(row: Row) -> Line:
    """The fields of a sample: its class and everything else that is known of its content."""
    size, said = (row.height, row.width), row.annotations
    found: Line = {}
    if row.label is not None:
        found["label"] = _class(row.label)
    if "labels" in said:
        found["labels"] = {"_cls": "Classifications", "classifications": list(map(_class, said["labels"]))}
    if "boxes" in said:
        found["ground_truth"] = {"_cls": "Detections", "detections": [detection(box, size) for box in said["boxes"]]}
    if "keypoints" in said:
        found["keypoints"] = {"_cls": "Keypoints", "keypoints": [keypoint(one, size) for one in said["keypoints"]]}
    found |= {name: said[name] for name in ("caption", "soft_label") if name in said}
    return found | _extra(said) | ({"segmentation": _segmentation(row.pictures[MASK])} if MASK in row.pictures else {})


def _extra(said: Mapping[str, Any]) -> Line:
    """The other columns of the source, as they are."""
    return {"extra": {name: one["value"] for name, one in said["extra"].items()}} if "extra" in said else {}


def detection(box: Mapping[str, Any], size: Size) -> Line:
    """A `Detection`: the box as shares (x, y, width, height) of the image, and the mask inside of it."""
    height, width = size
    x0, y0, x1, y1 = box["box"]
    found: Line = {
        "_cls": "Detection",
        "label": box.get("label"),
        "bounding_box": [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height],
        "iscrowd": bool(box.get("iscrowd")),
    }
    if "id" in box:
        found["instance_id"] = box["id"]
    if "attributes" in box:
        found["attributes"] = {name: {"_cls": "Attribute", "value": v} for name, v in box["attributes"].items()}
    return found | ({"mask": _mask_in(box, size)} if "segmentation" in box else {})


def keypoint(one: Mapping[str, Any], size: Size) -> Line:
    """A `Keypoint`: points as shares of the image, NaN where one is not labelled."""
    height, width = size
    points = [[x / width, y / height] if seen else [math.nan, math.nan] for x, y, seen in one["points"]]
    names = {"names": one["names"]} if "names" in one else {}
    visible = [int(seen) for *_, seen in one["points"]]
    identity = {"instance_id": one["id"]} if "id" in one else {}
    return {"_cls": "Keypoint", "label": one.get("label"), "points": points, "visible": visible, **names, **identity}


def binary(array: NDArray[np.uint8]) -> Line:
    """An array as FiftyOne keeps it: compressed `.npy`, in base64."""
    import numpy as np

    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return {"$binary": {"base64": base64.b64encode(zlib.compress(out.getvalue())).decode(), "subType": "00"}}


def _class(label: str) -> Line:
    return {"_cls": "Classification", "label": label}


def _mask_in(box: Mapping[str, Any], size: Size) -> Line:
    """The part of an outline inside of its box, in whole px."""
    from augforge.data.annotations import segmentation

    x0, y0, x1, y1 = box["box"]
    left, top = math.floor(x0), math.floor(y0)
    right, bottom = max(left + 1, math.ceil(x1)), max(top + 1, math.ceil(y1))
    return binary(segmentation.decoded(box["segmentation"], size)[top:bottom, left:right])


def _segmentation(mask: bytes) -> Line:
    from augforge.data import images

    return {"_cls": "Segmentation", "mask": binary(images.decode_condition(mask))}
