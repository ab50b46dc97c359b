"""`label-errors.csv` of a run folder: the labels that are likely wrong, with what they may have to be."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from augforge.data.files import write_atomically
from augforge.errors import StoreError

NAME = "label-errors.csv"


@dataclass(frozen=True, slots=True)
class LabelError:
    """One image: its `id` and `source` (for people to read), the `label` that it has and the one `suggested`, the
    `probability` of that, the `quality` of the label in [0, 1], and the `stage` that says so."""

    id: str
    source: str
    label: str
    suggested: str
    probability: float
    quality: float
    stage: str


COLUMNS = tuple(field.name for field in fields(LabelError))


def write_label_errors(folder: Path, errors: Iterable[LabelError]) -> None:
    """Write the list, the worst label first; without any error there is no file."""
    listed = sorted(errors, key=lambda error: (error.quality, error.id))
    if not listed:
        (folder / NAME).unlink(missing_ok=True)
        return
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([getattr(error, name) for name in COLUMNS] for error in listed)
    write_atomically(folder / NAME, text.getvalue().encode())


def read_label_errors(folder: Path) -> list[LabelError]:
    """The list of a run folder, [] where it has none; StoreError where it is damaged."""
    path = folder / NAME
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [_error(row) for row in csv.DictReader(file)]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is damaged: {error}", "run the same command again") from error


def _error(row: dict[str, str]) -> LabelError:
    numbers = {name: float(row[name]) for name in ("probability", "quality")}
    return LabelError(**{**{name: row[name] for name in COLUMNS}, **numbers})  # type: ignore[arg-type]
