"""What a benchmark measured, as a small JSON file that is whole after every figure: a cut-off loses only the rest."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any


class Figures:
    """Tables of rows, bars with what was reached, and remarks; written to `path` as they come, if there is one."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.bars: list[dict[str, Any]] = []
        self.notes: list[str] = []

    def row(self, table: str, **values: Any) -> None:
        """One more row of `table`; a value is text, a number, or None for what was not measured."""
        self.tables.setdefault(table, []).append(values)
        self._write()

    def bar(self, what: str, value: float, least: float) -> None:
        """A bar: `value` is to be at least `least`. It is printed as met or missed."""
        self.bars.append({"what": what, "value": value, "least": least, "met": value >= least})
        print(f"{what}: {value:.3g}, bar {least:g}: {'met' if value >= least else 'MISSED'}", flush=True)
        self._write()

    def note(self, text: str) -> None:
        """A remark that belongs to the figures."""
        self.notes.append(text)
        print(text, flush=True)
        self._write()

    def _write(self) -> None:
        if self._path is not None:
            write_json(self._path, {"tables": self.tables, "bars": self.bars, "notes": self.notes})


def write_json(path: Path, content: Any) -> None:
    """Write JSON beside `path`, then put it in place: whoever reads finds the old file or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.write("\n")
        Path(fresh).chmod(0o644)
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise
