"""Label Studio: `tasks.json` beside `images/`, with what is known of each image as a prediction, to be corrected.

Coordinates are percents of the image. `labeling.xml` is the labelling interface that the tasks fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from augforge.data.annotations import dump_annotations
from augforge.io.coco_own import OWN, labels_of_things
from augforge.io.label_studio_regions import (
    BRUSH,
    CAPTION,
    CHOICE,
    CHOICES,
    IMAGE,
    POINT,
    POLYGON,
    RECTANGLE,
    results_of,
)
from augforge.io.own import ANNOTATIONS
from augforge.io.writing import FileWriter, Line, Outlet, Row, Shard, write_list

SERVED = "/data/local-files/?d="
"""Where Label Studio serves files of its document root from."""


class LabelStudioWriter(FileWriter):
    """`images/train/NAME.png`, `tasks.json` and `labeling.xml`."""

    def _write(self, row: Row, shard: Shard, outlet: Outlet) -> Line:
        path = f"images/{shard.split}/{row.file_name}"
        outlet.put(path, row.image)
        record = row.record() | ({ANNOTATIONS: dump_annotations(row.annotations)} if row.annotations else {})
        record["labelled"] = row.label is not None
        data = {IMAGE: SERVED + quote(path), "file": path, OWN: record}
        result = results_of(row.label, row.annotations, (row.height, row.width))
        return {"data": data, "predictions": [{"model_version": OWN, "result": result}]}

    def finish(self, shards: Sequence[Shard], lines: Callable[[Shard], list[Line]], outlet: Outlet) -> None:
        """All tasks, and the interface for them."""
        points: dict[str, None] = {}

        def tasks() -> Iterator[Line]:
            for shard in shards:
                for line in lines(shard):
                    points.update(dict.fromkeys(_point_names(line)))
                    yield line

        with outlet.open("tasks.json") as file:
            file.write(b"[")
            write_list(file, tasks())
            file.write(b"]\n")
        outlet.put("labeling.xml", self._interface(list(points)).encode())

    def _interface(self, points: Sequence[str]) -> str:
        """The labelling interface in Label Studio's XML: a control for everything that occurs."""
        kinds = self.about.annotations
        names = list(dict.fromkeys([*self.about.classes, *labels_of_things(kinds)]))
        controls = [_choices(CHOICE, "single", self.about.classes)]
        controls += [_choices(CHOICES, "multiple", self.about.classes)] if "labels" in kinds else []
        if "boxes" in kinds:
            controls += [_labels(tag, name, names) for tag, name in (
                ("RectangleLabels", RECTANGLE), ("PolygonLabels", POLYGON), ("BrushLabels", BRUSH))]  # fmt: skip
        controls += [_labels("KeyPointLabels", POINT, points)] if points else []
        controls += [f'  <TextArea name="{CAPTION}" toName="{IMAGE}"/>'] if CAPTION in kinds else []
        return "\n".join(["<View>", f'  <Image name="{IMAGE}" value="${IMAGE}"/>', *controls, "</View>", ""])

    def card(self) -> dict[str, Any]:
        """Nothing: the hub does not read it."""
        return {}

    def croissant(self) -> dict[str, Any]:
        """The list of tasks."""
        paths = {"file_name": "data.file"} | {
            name: f"data.augforge.{name}" for name in ("id", "label", "split", "origin")
        }
        columns = {name: {"jsonPath": f"$[*].{path}"} for name, path in paths.items()}
        return {"files": ["tasks.json"], "encoding": "application/json", "columns": columns}


def _point_names(task: Line) -> list[str]:
    regions = (one["value"] for one in task["predictions"][0]["result"])
    return [name for value in regions for name in value.get("keypointlabels", ())]


def _choices(name: str, choice: str, values: Sequence[str]) -> str:
    inner = "".join(f"\n    <Choice value={quoteattr(value)}/>" for value in values)
    return f'  <Choices name="{name}" toName="{IMAGE}" choice="{choice}">{inner}\n  </Choices>'


def _labels(tag: str, name: str, values: Sequence[str]) -> str:
    inner = "".join(f"\n    <Label value={quoteattr(value)}/>" for value in values)
    return f'  <{tag} name="{name}" toName="{IMAGE}">{inner}\n  </{tag}>'
