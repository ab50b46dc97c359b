"""The rows of a table of images as entries: label, split, annotations, and what is wrong with them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from augforge.data.annotations import KINDS
from augforge.data.annotations.arrow_values import to_json
from augforge.io.base import Entry, labels_met, natural, split_name
from augforge.io.cells import carried
from augforge.io.column_roles import OBJECTS, Roles, Wanted
from augforge.io.columns import Chunk, TableFile, declared_names, named
from augforge.io.listed import label_of
from augforge.io.splits import evaluation_first, path_split
from augforge.io.table_files import TableData, damage
from augforge.io.text_columns import boxes_of, take_caption

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["RowReader", "Wanted", "all_classes", "labels_in", "light_rows", "python_rows"]

Look = Callable[[Any], tuple[str, str]]
"""Stamp and problem of the file that a path in a row means."""


class RowReader(Roles):
    """How the rows of a file are read."""

    def entries(self, file: TableFile, chunk: Chunk, look: Look | None = None) -> Iterator[Entry]:
        """Entries of consecutive rows of a file; `look` sees to the files that rows name."""
        looks = look if self.columns.paths else None
        for number, row in enumerate(chunk.rows):
            problem = chunk.problems[number] if chunk.problems else ""
            stamp, known = file.stamp, carried(row) if self.columns.ours else None
            label: str | None = None
            said: dict[str, Any] = {}
            if not problem:
                label, said, wrong = self._meaning(row, file)
                seen, problem = looks(row[self.columns.image]) if looks else ("", "")
                stamp, problem = f"{stamp} {seen}".rstrip(), problem or wrong
            yield Entry(
                locator=f"{file.name}#{chunk.first + number}",
                label=label,
                split=self._split_of(row, file.split),
                stamp=stamp,
                carried=known,
                problem=problem,
                pictures={name: name for name in chunk.pictures[number]},
                annotations=_without_prompt(said, known) if known else said,
            )

    def _split_of(self, row: Mapping[str, Any], of_file: str | None) -> str | None:
        """The split in the row's own column, of its file, or told by the path of its image; in our own tables the
        column alone counts.

        An evaluation split that one of them tells is the one.
        """
        own = self._own_split(row)
        if self.columns.ours and self.split:
            return own
        told = [split for split in (of_file, own, self._path_split(row, of_file or own)) if split]
        return evaluation_first(*told)

    def _own_split(self, row: Mapping[str, Any]) -> str | None:
        told = row.get("split") if self.split else None
        if self.split_names is not None:
            told, _ = named(told, self.split_names)
        return split_name(str(told)) if told else None

    def _path_split(self, row: Mapping[str, Any], told: str | None) -> str | None:
        """The split that the path of an image tells; where the row has the image itself, only if nothing else does."""
        path = row.get(self.paths) if self.paths and (self.columns.paths or not told) else None
        return path_split(path.replace("\\", "/")) if isinstance(path, str) else None

    def _meaning(self, row: Mapping[str, Any], file: TableFile) -> tuple[str | None, dict[str, Any], str]:
        """Label and annotations of a row, and what is wrong with it."""
        columns, label, wrong = self.columns, None, ""
        if columns.label and columns.form == "one":
            label, wrong = columns.label_of(row[columns.label])
        said: dict[str, Any] = {}
        if self._tells_more:
            parts = [self._own(row, said), self._labels(row, said), self._shares(row, said), self._others_of(row, said)]
            wrong = next((problem for problem in (wrong, *parts) if problem), "")
        if label is None and "labels" not in said and not columns.ours:
            label, several = self._found_label(said, file)
            said |= several
        return label, _with_keys(said, file.keys, {self.of_folder, *self.schema.names}) if file.keys else said, wrong

    @cached_property
    def _tells_more(self) -> bool:
        """Whether some column tells more than a label."""
        return bool(self.own or self.types or self.several or self.shares or self.columns.form == "several")

    def _found_label(self, said: Mapping[str, Any], file: TableFile) -> tuple[str | None, dict[str, Any]]:
        """The label of the folder, or that of all boxes; or several labels."""
        of_folder = file.keys.get(self.of_folder or "")
        if of_folder is not None:
            return of_folder, {}
        return label_of(box["label"] for box in said.get("boxes", ()) if box.get("label"))

    def _own(self, row: Mapping[str, Any], said: dict[str, Any]) -> str:
        for name, feature in self.own.items():
            try:
                value = KINDS[name].value(row[name], feature, self.columns.names or ())
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                return f"its {name} cannot be read: {error}"
            if value is not None:
                said[name] = to_json(value)
        return ""

    def _labels(self, row: Mapping[str, Any], said: dict[str, Any]) -> str:
        """Several labels; what is wrong with them."""
        name = self.columns.label if self.columns.form == "several" else self.several
        values = row[name] if name else None
        if values is None:
            return ""
        names = self.columns.names if name == self.columns.label else declared_names(self.features.get(str(name)))
        pairs = [named(value, names) for value in values]
        said["labels"] = [label for label, _ in pairs if label is not None]
        return next((problem for _, problem in pairs if problem), "")

    def _shares(self, row: Mapping[str, Any], said: dict[str, Any]) -> str:
        """The share of each class; what is wrong with them."""
        shares = row[self.shares] if self.shares else None
        if shares is None:
            return ""
        names = self.classes or tuple(map(str, range(len(shares))))
        if len(names) != len(shares):
            return f"column {self.shares!r} has {len(shares)} shares for {len(names)} classes"
        said["soft_label"] = dict(zip(names, to_json(shares), strict=True))
        return ""

    def _others_of(self, row: Mapping[str, Any], said: dict[str, Any]) -> str:
        """Boxes, caption, and the columns that are carried along; what is wrong with them."""
        left = {name: to_json(row[name]) for name in self.types if row[name] is not None}
        problem = ""
        if isinstance(left.get(OBJECTS), (dict, list)):
            said["boxes"], problem = self._boxes(left.pop(OBJECTS), left)
        said |= {name: text for name, text in take_caption(left).items() if text}
        if self.columns.paths:
            left.pop(self.columns.image, None)
        extra = {name: {"type": self.types[name], "value": value} for name, value in left.items()}
        own = said.get("extra", {})
        said |= {"extra": {**own, **extra}} if extra else {}
        return problem

    def _boxes(self, objects: Any, row: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str]:
        """The boxes of a cell of objects, their classes by name; what is wrong with them."""
        boxes = boxes_of(objects, as_corners=self.wanted.boxes == "xyxy")
        wrong = ""
        for place, box in enumerate(boxes):
            if self.categories is not None and str(box.get("label")).lstrip("-").isdecimal():
                label, problem = named(int(box.pop("label")), self.categories)
                box |= {"label": label} if label is not None else {}
                wrong = wrong or (f"box {place}: {problem}" if problem else "")
        if self.wanted.boxes is None and not self.crossed:
            self.crossed = any(_crosses(box.get("box"), row) for box in boxes)
        return boxes, wrong


def light_rows(data: TableData, columns: Sequence[str]) -> Iterator[tuple[list[dict[str, Any]], list[str]]]:
    """The rows of a file in some columns, and what is wrong with each; nothing is to be had of a damaged group."""
    done = 0
    try:
        for batch in data.batches(columns, 0, len(data.starts) - 1):
            yield python_rows(batch)
            done += batch.num_rows
        return
    except damage():
        pass  # group by group then, to find out which rows are lost
    for group in range(bisect_right(data.starts, done) - 1, len(data.starts) - 1):
        yield _group_rows(data, columns, group, max(0, done - data.starts[group]))


def _group_rows(
    data: TableData, columns: Sequence[str], group: int, first: int
) -> tuple[list[dict[str, Any]], list[str]]:
    import pyarrow as pa

    try:
        return python_rows(pa.Table.from_batches(data.batches(columns, group, group + 1)).slice(first))
    except damage() as error:
        left = data.starts[group + 1] - data.starts[group] - first
        problem = f"row group {group} of its file is damaged: {error}"
        return [dict.fromkeys(columns)] * left, [problem] * left


def python_rows(batch: pa.RecordBatch) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of a batch, and what is wrong with each: a text that is no UTF-8, a time that Python cannot tell."""
    try:
        return batch.to_pylist(), []
    except (ValueError, OverflowError):
        pairs = [_python_row(batch, place) for place in range(batch.num_rows)]
        return [row for row, _ in pairs], [problem for _, problem in pairs]


def _python_row(batch: pa.RecordBatch, place: int) -> tuple[dict[str, Any], str]:
    row: dict[str, Any] = dict.fromkeys(batch.schema.names)
    problem = ""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row[name] = column[place].as_py()
        except (ValueError, OverflowError) as error:
            problem = problem or f"column {name!r} cannot be read: {error}"
    return row, problem


def all_classes(
    files: Iterable[str], reader_of: Callable[[str], RowReader | None], labels_of: Callable[[str], Iterable[str]]
) -> list[str]:
    """The classes of several files: those that they declare, in order, then other labels in natural order.

    `labels_of` finds all labels of a file; it is called only if the file declares no classes.
    """
    declared: dict[str, None] = {}
    met: set[str] = set()
    for file in files:
        reader = reader_of(file)
        if reader is not None:
            declared |= dict.fromkeys(reader.classes)
            met |= set() if reader.classes else set(labels_of(file))
    return [*declared, *sorted(met - set(declared), key=natural)]


def labels_in(entries: Iterable[Entry]) -> set[str]:
    """All labels that entries have or show."""
    return {label for entry in entries for label in labels_met(entry)}


def _with_keys(said: dict[str, Any], keys: Mapping[str, str | None], used: Collection[str | None]) -> dict[str, Any]:
    """The annotations, with the other keys of the file's folders as `extra`."""
    there = {name: value for name, value in keys.items() if value is not None and name != "split"}
    more = {name: {"type": "string", "value": value} for name, value in there.items() if name not in used}
    return {**said, "extra": {**more, **said.get("extra", {})}} if more else said


def _without_prompt(said: dict[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The annotations, less a caption that is only the prompt by which an image was generated."""
    prompt = known.get("sampled_params", {}).get("prompt")
    return {name: value for name, value in said.items() if name != "caption" or value != prompt} if prompt else said


def _crosses(box: Any, row: Mapping[str, Any]) -> bool:
    """Whether a box reaches out of the image, whose row tells its size, and would not if it had been two corners."""
    size = row.get("width"), row.get("height")
    try:
        width, height = (float(side) for side in size)  # type: ignore[arg-type]  # what is no number is no size
        x0, y0, x1, y1 = (float(value) for value in box)
    except (TypeError, ValueError):
        return False
    outside = x1 > width + 1 or y1 > height + 1
    return outside and x0 < x1 - x0 <= width + 1 and y0 < y1 - y0 <= height + 1
