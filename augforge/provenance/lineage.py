"""The lineage of one sample: its own row, and those of its parents back to the source files."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from augforge.data.annotations import parse_annotations
from augforge.data.nearest import read_nearest
from augforge.data.pictures import parse_pictures
from augforge.data.record import AGAIN, check_ledger, no_run
from augforge.data.reviewed import reviews_of
from augforge.data.stage_facts import Facts, read_facts
from augforge.errors import StoreError


@dataclass(frozen=True, slots=True)
class Lineage:
    """A row of the ledger, with the lives of its parents."""

    row: dict[str, Any]
    parents: tuple[Lineage, ...]

    def plain(self) -> dict[str, Any]:
        """As nested JSON-like values."""
        return {**self.row, "parents": [parent.plain() for parent in self.parents]}


def lineage_of(folder: Path, identity: str) -> Lineage:
    """The life of the sample whose id begins with `identity`.

    Raises:
        StoreError: the folder is no run folder, or no sample or more than one begins so.
    """
    path = folder / "samples.parquet"
    if not path.is_file():
        raise no_run(folder)
    check_ledger(folder)
    try:
        ids = pq.read_table(path, columns=["id"]).column("id")
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path} is damaged: {error}", AGAIN) from error
    found = ids.filter(pc.starts_with(ids, identity)).to_pylist()
    if not found:
        raise StoreError(f"no sample of {folder} has an id that begins with {identity!r}", "ids are in samples.parquet")
    if len(found) > 1:
        raise StoreError(f"{len(found)} ids begin with {identity!r}", "give more digits, such as " + found[0])
    return _life(path, found[0], set())


def _life(path: Path, identity: str, above: set[str]) -> Lineage:
    rows = pq.read_table(path, filters=[("id", "=", identity)]).to_pylist()
    if not rows:
        return Lineage({"id": identity, "source": None, "note": "not in this ledger"}, ())
    row: dict[str, Any] = rows[0]
    row["sampled_params"] = json.loads(row["sampled_params"] or "{}")
    row["generation_config"] = json.loads(row["generation_config"]) if row["generation_config"] else None
    row["pictures"] = parse_pictures(row.get("pictures"))
    row["annotations"] = parse_annotations(row.get("annotations"))
    row["scores"] = dict(row["scores"] or ())
    row["nearest"] = read_nearest(path.parent, identity)
    row["reviewed"] = reviews_of(path.parent, identity)
    row["judged"] = _judged(path.parent, row["scores"])
    ids = [parent for parent in row.pop("parents") or () if parent not in above]
    return Lineage(row, tuple(_life(path, parent, above | {identity}) for parent in dict.fromkeys(ids)))


def _judged(folder: Path, scores: Collection[str]) -> dict[str, Facts]:
    """What the stages that measured a sample say of their own work; the measure of "2-filter-clip" is "clip"."""
    return {title: facts for title, facts in read_facts(folder).items() if title.split("-", 2)[-1] in scores}
