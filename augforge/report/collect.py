"""Gather what a report says from a run folder. Reads only what a finished run has written; changes nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from augforge.data.classes import table_counts
from augforge.data.label_errors import LabelError, read_label_errors
from augforge.data.record import FORMAT, format_of, no_run
from augforge.data.sample import is_evaluation
from augforge.data.stage_facts import Facts, read_facts
from augforge.errors import AugforgeError, StoreError
from augforge.recipe import Recipe, load_recipe
from augforge.report.conflicts import conflict_notes
from augforge.report.copies import Copy, copies_of
from augforge.report.evaluation import Evaluation, read_evaluation
from augforge.report.heat import HeatMap, heat_maps
from augforge.report.judges import Judgement, judgements
from augforge.report.layout import LEAST, Layout, layout_of
from augforge.report.pairs import pairs_of
from augforge.report.reviews import review_notes
from augforge.report.thresholds import Measure, thresholds
from augforge.report.withheld import withheld

BINS = 40


@dataclass(frozen=True, slots=True)
class Findings:
    """All that a report is made from.

    `rows` is the ledger (n rows, as in samples.parquet); `flagged` (n,) and `unjudged` (n,) mark images that are never
    shown. `recipe` is None where recipe.yaml cannot be read, `layout` where no vectors are stored. `pairs` are rows
    that went as near-duplicates, with those of which, `mislabelled` rows whose label is
    likely wrong, the worst first. `copies` are generated rows with what they are nearest to, `facts` what stages say.
    `notes` are sentences on what is missing.
    """

    folder: Path
    rows: pa.Table
    classes: list[str]
    stages: list[str]
    flagged: NDArray[np.bool_]
    unjudged: NDArray[np.bool_]
    measures: list[Measure]
    certificates: dict[str, Any]
    recipe: Recipe | None
    recipe_text: str
    layout: Layout | None
    pairs: list[tuple[int, int]]
    mislabelled: list[tuple[int, LabelError]]
    copies: list[Copy]
    facts: dict[str, Facts]
    heat: list[HeatMap]
    judgements: list[Judgement]
    evaluation: Evaluation | None
    notes: list[str]

    @property
    def hidden(self) -> NDArray[np.bool_]:
        """(n,) the images that are not shown."""
        return self.flagged | self.unjudged

    @property
    def kept(self) -> NDArray[np.bool_]:
        """(n,) the images that are in the dataset."""
        return np.asarray(self.rows.column("kept").to_pylist(), dtype=bool)

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.recipe.name if self.recipe else self.folder.resolve().name

    def balance(self) -> dict[str, tuple[float, float, float]]:
        """Of each class: usable real images before the run, real and synthetic images after it, as far as expected.

        Images of evaluation splits are left out: nothing is trained on them.
        """
        columns = ("origin", "kept", "dropped_by", "split")
        origin, kept, by, split = (np.array(self.rows.column(c).to_pylist(), dtype=object) for c in columns)
        learnt = np.array([not is_evaluation(name) for name in split], dtype=bool)
        real, stays = learnt & (origin == "real"), kept.astype(bool)
        chosen = (real & (by != "source"), real & stays, learnt & (origin != "real") & stays)
        rows = self.rows.select(["label", "annotations"])
        before, now, made = (table_counts(rows.filter(pa.array(mask)), self.classes) for mask in chosen)
        return {label: (before[label], now[label], made[label]) for label in self.classes}


def collect(folder: Path, umap: bool = False) -> Findings:
    """What the run in `folder` has left behind; with a map by UMAP, too, if that is asked for.

    Raises:
        StoreError: it is no run folder, one of another format, or one of its files is damaged.
    """
    _check_format(folder)
    rows = _ledger(folder / "samples.parquet")
    recipe, notes = _recipe(folder)
    flagged, unjudged = withheld(rows)
    layout = None if recipe is None else layout_of(folder, recipe, rows.column("digest").to_pylist(), umap)
    if umap and (layout is None or layout.umap is None):
        notes.append(f"There is no map by UMAP: it needs the stored embeddings of {LEAST} images or more.")
    if not (folder / "run.json").is_file():
        notes.append("The run is not finished: this is what it has written so far.")
    notes += [*conflict_notes(rows), *review_notes(folder)]
    classes = _classes(rows)
    return Findings(
        folder=folder,
        rows=rows,
        classes=classes,
        stages=_stages(rows, recipe),
        flagged=flagged,
        unjudged=unjudged,
        measures=thresholds(folder, bins=BINS),
        certificates=_json(folder / "certificates.json"),
        recipe=recipe,
        recipe_text=_text(folder / "recipe.yaml"),
        layout=layout,
        pairs=pairs_of(rows),
        mislabelled=_mislabelled(folder, rows, flagged | unjudged),
        copies=copies_of(folder, rows, flagged | unjudged),
        facts=read_facts(folder),
        heat=[] if recipe is None else heat_maps(folder, recipe, rows, flagged | unjudged),
        judgements=[] if recipe is None else judgements(folder, recipe, rows, classes),
        evaluation=read_evaluation(folder),
        notes=notes,
    )


def _check_format(folder: Path) -> None:
    version = format_of(folder)
    if version not in (None, FORMAT):
        raise StoreError(
            f"{folder} was written in format {version}, this augforge reads format {FORMAT}",
            "use the augforge version that wrote it, or run its recipe into a new folder",
        )


def _ledger(path: Path) -> pa.Table:
    if not path.is_file():
        raise no_run(path.parent)
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} cannot be read: {error}", "run the same command again") from error


def _recipe(folder: Path) -> tuple[Recipe | None, list[str]]:
    try:
        return load_recipe(folder / "recipe.yaml"), []
    except AugforgeError as error:
        return None, [f"The recipe cannot be used, so that no source and no embedding is found: {error.message}"]


def _classes(rows: pa.Table) -> list[str]:
    """The classes in their order, and labels that are none of them after those."""
    metadata = json.loads((rows.schema.metadata or {}).get(b"augforge", b"{}"))
    met = sorted({label for label in rows.column("label").unique().to_pylist() if label is not None})
    return list(dict.fromkeys([*metadata.get("classes", []), *met]))


def _stages(rows: pa.Table, recipe: Recipe | None) -> list[str]:
    """The stages in order: the source, those of earlier runs that its images went through, the recipe's, writing."""
    own = recipe.titles() if recipe else []
    met = {stage for column in ("stage", "dropped_by") for stage in rows.column(column).unique().to_pylist() if stage}
    earlier = sorted(met - {"source", "write", *own}, key=_place)
    return ["source", *earlier, *own, *(["write"] if "write" in met else [])]


def _mislabelled(folder: Path, rows: pa.Table, hidden: NDArray[np.bool_]) -> list[tuple[int, LabelError]]:
    """The label errors that the run lists, with their rows; those that are not shown are left out."""
    errors = read_label_errors(folder)
    places = {identity: row for row, identity in enumerate(rows.column("id").to_pylist())} if errors else {}
    return [(places[e.id], e) for e in errors if e.id in places and not hidden[places[e.id]]]


def _place(title: str) -> tuple[int, str]:
    number, _, _ = title.partition("-")
    return (int(number) if number.isdecimal() else 0, title)


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path} is damaged: {error}", "run the same command again") from error


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
