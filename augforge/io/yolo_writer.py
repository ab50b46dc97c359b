"""Write YOLO: `images/train/NAME.png`, `labels/train/NAME.txt`, `data.yaml`; and `metadata.jsonl` with the history."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from augforge.errors import StoreError
from augforge.io.records import METADATA
from augforge.io.writing import RECORD, FileWriter, Line, Outlet, Row, Shard, dumped, picture_folder, suffix_of
from augforge.io.yolo_lines import written

KEYS = {"validation": "val"}
"""What `data.yaml` calls a split, if that is another name than ours."""


class DetectionWriter(FileWriter):
    """What the formats share that hold boxes only: the history of each image lies in `metadata.jsonl`."""

    def _write(self, row: Row, shard: Shard, outlet: Outlet) -> Line:
        return self._files(row, shard.split, outlet) | row.record() | {"labelled": row.label is not None}

    @abstractmethod
    def _files(self, row: Row, split: str, outlet: Outlet) -> Line:
        """The files of one image, and their names."""

    def finish(self, shards: Sequence[Shard], lines: Callable[[Shard], list[Line]], outlet: Outlet) -> None:
        """The metadata of all splits.

        Raises:
            StoreError: no image has boxes.
        """
        annotated = False
        with outlet.open(METADATA) as file:
            for shard in shards:
                for line in lines(shard):
                    annotated = annotated or line["boxes"]
                    file.write(dumped({name: value for name, value in line.items() if name != "boxes"}))
        if not annotated:
            raise StoreError("no image of the run has boxes, and this format holds nothing else", "use --to parquet")

    def card(self) -> dict[str, Any]:
        """Nothing: the hub does not read it."""
        return {}

    def croissant(self) -> dict[str, Any]:
        """The lines of the metadata."""
        columns = {name: {"column": name} for name in ("file_name", *RECORD)}
        return {"files": [METADATA], "encoding": "application/jsonlines", "columns": columns}


def labelled(row: Row) -> list[dict[str, Any]]:
    """The boxes of an image; StoreError if one has no class."""
    boxes = list(row.annotations.get("boxes", ()))
    for place, box in enumerate(boxes):
        if "label" not in box:
            raise StoreError(
                f"box {place} of sample {row.id} has no class, and this format cannot leave it open", "use --to parquet"
            )
    return boxes


class YoloWriter(DetectionWriter):
    """A label file for each image that is annotated with boxes, empty if there are none; keypoints are not written."""

    def _files(self, row: Row, split: str, outlet: Outlet) -> Line:
        line: Line = {"file_name": f"images/{split}/{row.file_name}", "boxes": "boxes" in row.annotations}
        outlet.put(line["file_name"], row.image)
        for name, data in row.pictures.items():
            path = f"{picture_folder(name)}/{split}/{row.name}.{suffix_of(data)}"
            line[f"{name}_file_name"] = path
            outlet.put(path, data)
        if line["boxes"]:
            size, numbers = (row.height, row.width), {name: place for place, name in enumerate(self.about.classes)}
            text = "".join(written(box, numbers[box["label"]], size) for box in labelled(row))
            outlet.put(f"labels/{split}/{row.name}.txt", text.encode())
        return line

    def finish(self, shards: Sequence[Shard], lines: Callable[[Shard], list[Line]], outlet: Outlet) -> None:
        """The metadata, and `data.yaml`."""
        import yaml

        super().finish(shards, lines, outlet)
        places = {KEYS.get(split, split): f"images/{split}" for split in self.about.splits}
        content = {"path": ".", **places, "names": dict(enumerate(self.about.classes))}
        outlet.put("data.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode())
