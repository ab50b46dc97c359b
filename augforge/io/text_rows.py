"""The rows of a table that tells of image files: CSV, TSV, JSON lines or Parquet, as people write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from augforge.errors import SourceError
from augforge.io.records import json_object
from augforge.io.table_rows import python_rows

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row: its values by column, and what is wrong with it ("" when nothing is). `number` counts from 1."""

    number: int
    values: Mapping[str, Any]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class TextTable:
    """The rows of a file, the Arrow types of its columns where they are known, and what is to be said of it."""

    rows: tuple[TableRow, ...]
    types: Mapping[str, str]
    remarks: tuple[str, ...] = ()


def read_table(path: Path, where: str) -> TextTable:
    """Read a table.

    Text is UTF-8, with or without a byte order mark; what is not is read as Latin-1. The delimiter of a CSV file is the
    one of `,`, `;`, tab and `|` that its first line has most of. A row with too many or too few cells, and a line that
    is no JSON object, has that problem, and no values.

    Raises:
        SourceError: the file cannot be read at all.
    """
    try:
        if path.suffix.lower() == ".parquet":
            return _parquet(path)
        text, remarks = _text(path.read_bytes())
    except (OSError, ValueError) as error:  # what Arrow raises is of these
        raise SourceError(f"{where}: {path.name} cannot be read: {error}", "make or copy it again") from error
    rows = _json_lines(text) if path.suffix.lower() == ".jsonl" else _csv(text)
    return TextTable(tuple(rows), {}, remarks)


def _text(data: bytes) -> tuple[str, tuple[str, ...]]:
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        return data.decode("latin-1"), ("it is no UTF-8: read as Latin-1",)


def _csv(text: str) -> Iterator[TableRow]:
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: list[str] | None = None
    try:
        for cells in reader:
            if not cells:
                continue
            if header is None:
                header = [name.strip() for name in cells]
            elif len(cells) != len(header):
                yield TableRow(reader.line_num, {}, f"line {reader.line_num} has {len(cells)} cells, not {len(header)}")
            else:
                yield TableRow(reader.line_num, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        yield TableRow(reader.line_num, {}, f"line {reader.line_num} is no CSV: {error}")


def _json_lines(text: str) -> Iterator[TableRow]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        value = json_object(line.encode())
        if value is not None:
            yield TableRow(number, value)
        else:
            yield TableRow(number, {}, f"line {number} is no JSON object")


def _parquet(path: Path) -> TextTable:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    found: list[TableRow] = []
    for batch in table.to_batches():
        rows, problems = python_rows(batch)
        for row, problem in zip(rows, problems or repeat(""), strict=False):
            found.append(TableRow(len(found) + 1, row, problem))
    return TextTable(tuple(found), {field.name: str(field.type) for field in table.schema})
