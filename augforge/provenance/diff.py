"""What differs between the datasets of two run folders: rows added, removed and changed, by class and reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq

from augforge.data.record import no_run
from augforge.errors import RecipeError, StoreError, did_you_mean

Kind = Literal["added", "removed", "changed"]
COLUMNS = ("id", "label", "kept", "dropped", "dropped_by", "digest", "pictures", "annotations", "split", "weight")
COMPARED = {
    "digest": "other bytes",
    "pictures": "another mask, or another of the pictures that go with it",
    "annotations": "other annotations",
    "label": "another label",
    "split": "another split",
}
"""What is said of a column that differs. The pixels of other bytes may be the same: a mark, or another encoder."""
FORMS = ("text", "json", "markdown")
LIGHT = 1e-6
"""Weights that differ by no more than this share are the same."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the dataset that one side has and the other has not, or has otherwise."""

    kind: Kind
    id: str
    label: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Diff:
    """All changes from run folder `before` to `after`, and how many rows each has."""

    before: str
    after: str
    rows: tuple[int, int]
    changes: tuple[Change, ...] = field(default=())

    def counts(self) -> dict[Kind, int]:
        """How many rows were added, removed and changed."""
        counted = Counter(change.kind for change in self.changes)
        return {"added": counted["added"], "removed": counted["removed"], "changed": counted["changed"]}

    def table(self) -> list[tuple[Kind, str, str, int]]:
        """Kind, class, reason and number of rows, sorted."""
        counted = Counter((change.kind, change.label or "", change.reason) for change in self.changes)
        return sorted((*what, count) for what, count in counted.items())

    def plain(self) -> dict[str, Any]:
        """As JSON-like values, with every id."""
        changes = [{"kind": c.kind, "id": c.id, "label": c.label, "reason": c.reason} for c in self.changes]
        table = [dict(zip(("kind", "class", "reason", "rows"), row, strict=True)) for row in self.table()]
        rows = {"before": self.rows[0], "after": self.rows[1]}
        head = {"before": self.before, "after": self.after, "rows": rows, "counts": self.counts()}
        return {**head, "table": table, "changes": changes}

    def markdown(self) -> str:
        """A comment for a pull request."""
        counts = self.counts()
        head = f"{self.rows[0]:,} rows before, {self.rows[1]:,} after: " + ", ".join(
            f"{n:,} {k}" for k, n in counts.items()
        )
        if not self.changes:
            return f"### augforge diff\n\n{head}. The datasets are the same.\n"
        lines = [
            f"| {kind} | {cell(label)} | {cell(reason)} | {count:,} |" for kind, label, reason, count in self.table()
        ]
        return (
            "\n".join(
                ["### augforge diff", "", f"{head}.", "", "| | class | reason | rows |", "|---|---|---|---:|", *lines]
            )
            + "\n"
        )


def check_form(form: str) -> str:
    """One of text, json and markdown; RecipeError if it is none."""
    if form not in FORMS:
        raise RecipeError(f"there is no format {form!r}", did_you_mean(form, list(FORMS)))
    return form


def cell(text: str) -> str:
    """Text for a cell of a Markdown table: nothing in it is markup."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`*_[]|":
        escaped = escaped.replace(sign, "\\" + sign)
    return " ".join(escaped.split())


def diff(before: Path, after: Path) -> Diff:
    """Compare the datasets of two run folders by the ids of their rows.

    Raises:
        StoreError: one of them is no finished run folder.
    """
    old, new = _ledger(before), _ledger(after)
    changes = sorted(_changes(old, new), key=lambda change: (change.kind, change.label or "", change.id))
    rows = sum(row["kept"] for row in old.values()), sum(row["kept"] for row in new.values())
    return Diff(str(before), str(after), rows, tuple(changes))


def _ledger(folder: Path) -> dict[str, Row]:
    path = folder / "samples.parquet"
    if not path.is_file():
        raise no_run(folder)
    try:
        table = pq.read_table(path, columns=list(COLUMNS))
    except (OSError, ValueError) as error:  # what Arrow raises is of these
        raise StoreError(f"{path} cannot be read: {error}", "run the command that made it again") from error
    return {row["id"]: row for row in table.to_pylist()}


def _changes(old: Mapping[str, Row], new: Mapping[str, Row]) -> Iterator[Change]:
    for identity in old.keys() | new.keys():
        if change := _change(identity, old.get(identity), new.get(identity)):
            yield change


def _change(identity: str, before: Row | None, after: Row | None) -> Change | None:
    """What became of a row of either ledger; None if it is kept as it was, or is dropped in both."""
    was, now = _if_kept(before), _if_kept(after)
    if was and now:
        reason = _differences(was, now)
        return Change("changed", identity, now["label"], reason) if reason else None
    if now:
        reason = "new" if before is None else f"no longer {_fate(before)}"
        return Change("added", identity, now["label"], reason)
    if was:
        reason = "no longer in the ledger" if after is None else _fate(after)
        return Change("removed", identity, was["label"], reason)
    return None


def _if_kept(row: Row | None) -> Row | None:
    return row if row and row["kept"] else None


def _differences(before: Row, after: Row) -> str:
    """What is different of a row that both keep; "" if nothing is."""
    found = [what for name, what in COMPARED.items() if (before[name] or None) != (after[name] or None)]
    if abs(before["weight"] - after["weight"]) > LIGHT * max(abs(before["weight"]), abs(after["weight"])):
        found.append("another weight")
    return ", ".join(found)


def _fate(row: Row) -> str:
    return f"dropped by {row['dropped_by']}: {row['dropped']}"
