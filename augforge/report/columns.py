"""The data of the page: every sample as columns of numbers and texts, small enough for tens of thousands of rows."""

from __future__ import annotations

import json
import math
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from augforge import __version__
from augforge.data.annotations import KINDS, describe_annotations, parse_annotations
from augforge.data.label_errors import LabelError
from augforge.report.collect import Findings
from augforge.report.judges import Judgement
from augforge.report.layout import Layout

SCALE = 10_000
"""Places on the map are whole numbers from 0 to this."""
EXACT = 2**53
COLUMNS = ("source", "note", "labelled_by", "digest")
FACTS = (*COLUMNS, *KINDS)
"""What is told of a sample: columns of the ledger, and each kind of annotation in a few words."""
LONGEST = 300
"""Letters of what is told of one kind of annotation."""


def samples(findings: Findings) -> dict[str, Any]:
    """What the gallery and the histograms need of all n samples.

    A column of texts is `{"values": [...], "codes": (n,)}` with code -1 for none; `parents` has for each sample the
    rows of its parents; `scores` has for each measure (n,) numbers, null where there is none.
    """
    rows = findings.rows
    ids = rows.column("id").to_pylist()
    places = {identity: row for row, identity in enumerate(ids)}
    lineage = rows.column("parents").to_pylist()
    return {
        "id": ids,
        "label": coded(rows.column("label").to_pylist(), findings.classes),
        "stage": coded(rows.column("stage").to_pylist(), findings.stages),
        "by": coded(rows.column("dropped_by").to_pylist(), findings.stages),
        **{name: coded(rows.column(column).to_pylist()) for name, column in _TEXTS.items()},
        "weight": _numbers(rows.column("weight").to_pylist()),
        "width": rows.column("width").to_pylist(),
        "height": rows.column("height").to_pylist(),
        "parents": [[places[p] for p in dict.fromkeys(parents or ()) if p in places] for parents in lineage],
        "hidden": (findings.flagged + 2 * findings.unjudged.astype(np.int8)).tolist(),
        "scores": {measure.name: _scores(rows, measure.name) for measure in findings.measures},
    }


_TEXTS = {"origin": "origin", "reason": "dropped", "split": "split"}


def overview(findings: Findings) -> dict[str, Any]:
    """What is said of the run as a whole."""
    return {
        "name": findings.name,
        "folder": findings.folder.name,
        "path": shlex.quote(path_as_typed(findings.folder)),
        "seed": None if findings.recipe is None else findings.recipe.seed,
        "version": __version__,
        "notes": findings.notes,
        "balance": [[label, *counts] for label, counts in findings.balance().items()],
        "measures": [_measure(asdict(measure)) for measure in findings.measures],
        "certificates": findings.certificates,
        "pairs": [list(pair) for pair in findings.pairs],
        **_told_by_stages(findings),
        "mislabelled": [{"row": row, **_error(error)} for row, error in findings.mislabelled],
        "heat": [asdict(heat) for heat in findings.heat],
        "judges": [_judge(judgement) for judgement in findings.judgements],
        "map": None if findings.layout is None else _map(findings.layout),
        "evaluation": None if findings.evaluation is None else findings.evaluation.plain(),
        "recipe": findings.recipe_text,
    }


def _told_by_stages(findings: Findings) -> dict[str, Any]:
    """What stages found beside scores: the nearest images, and facts of their own work."""
    return {
        "copies": [asdict(copy) for copy in findings.copies],
        "facts": {title: dict(facts) for title, facts in findings.facts.items()},
    }


def details(findings: Findings, rows: Sequence[int] | None = None) -> dict[str, Any]:
    """Where each sample came from, of all or of `rows`: read only when one is clicked.

    Samples with the same generation config and the same kinds of sampled parameters are a group; what all of a group
    share is said once.
    """
    chosen = range(len(findings.rows)) if rows is None else sorted(rows)
    table = findings.rows.take(pa.array(chosen, pa.int64()))
    columns = {name: table.column(name).to_pylist() for name in (*COLUMNS, "generation_config", "seed")}
    columns |= _said(table.column("annotations").to_pylist())
    columns["sampled_params"] = [json.loads(text or "{}") for text in table.column("sampled_params").to_pylist()]
    return {"groups": [_group(columns, places, chosen) for places in _alike(columns)]}


def _said(annotations: Sequence[str | None]) -> dict[str, list[str | None]]:
    """(n,) what each kind of annotation says, in a few words."""
    said = [_described(text) for text in annotations]
    return {kind: [each.get(kind) for each in said] for kind in KINDS}


def _described(annotations: str | None) -> dict[str, str]:
    """Each kind of annotation in a few words."""
    told = describe_annotations(parse_annotations(annotations))
    return {kind: text if len(text) <= LONGEST else text[: LONGEST - 1] + "…" for kind, text in told.items()}


def _alike(columns: Mapping[str, Sequence[Any]]) -> Iterable[list[int]]:
    """The places of samples with the same generation config, kinds of sampled parameters and known facts."""
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for place, drawn in enumerate(columns["sampled_params"]):
        given = tuple(name for name in FACTS if columns[name][place])
        seeded = columns["seed"][place] is not None
        groups[columns["generation_config"][place], seeded, given, tuple(sorted(drawn))].append(place)
    return groups.values()


def _group(columns: Mapping[str, Sequence[Any]], places: Sequence[int], rows: Sequence[int]) -> dict[str, Any]:
    """The provenance of the samples at `places`, which are alike; `rows` has the row of each place."""
    first, drawn = places[0], [columns["sampled_params"][place] for place in places]
    generation_config = columns["generation_config"][first]

    def shared(name: str) -> dict[str, Any]:
        return _shared([columns[name][place] for place in places])

    return {
        "rows": [rows[place] for place in places],
        "generation_config": json.loads(generation_config) if generation_config else None,
        "facts": {name: shared(name) for name in FACTS if columns[name][first]},
        "seed": None if columns["seed"][first] is None else shared("seed"),
        "sampled_params": {name: _shared([one[name] for one in drawn]) for name in sorted(drawn[0])},
    }


def coded(values: Iterable[str | None], first: Sequence[str] = ()) -> dict[str, Any]:
    """Texts as numbers: the distinct ones, those of `first` before others, and the place of each; -1 for None."""
    places = {value: place for place, value in enumerate(dict.fromkeys(first))}
    codes = [-1 if value is None else places.setdefault(value, len(places)) for value in values]
    return {"values": list(places), "codes": codes}


def as_json(value: Any) -> str:
    """JSON that can stand in a script element: no `<`, `>`, `&` or line separator of JavaScript; no NaN."""
    text = json.dumps(_finite(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _finite(value: Any) -> Any:
    """As `value`, with None in the place of NaN and infinities, and integers that JavaScript would round as texts."""
    if isinstance(value, int) and abs(value) > EXACT:
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _shared(values: list[Any]) -> dict[str, Any]:
    """`{"one": value}` where all are the same, else `{"each": values}`."""
    return {"one": values[0]} if all(value == values[0] for value in values) else {"each": _rounded(values)}


def _rounded(values: list[Any]) -> list[Any]:
    if all(isinstance(value, float) for value in values):
        return [float(f"{value:.6g}") for value in values]
    return values


def _numbers(values: ArrayLike) -> dict[str, Any]:
    """Numbers of six digits, said once if all are the same."""
    return _shared([float(f"{value:.6g}") for value in np.asarray(values, dtype=np.float64).tolist()])


def _scores(rows: pa.Table, name: str) -> list[float | None]:
    """(n,) a measure with six digits."""
    found = pc.map_lookup(rows.column("scores"), name, "first").to_pylist()
    return [None if value is None else float(f"{value:.6g}") for value in found]


def _measure(measure: dict[str, Any]) -> dict[str, Any]:
    """A measure with the histogram edges and the cuts over all images; the page counts the rest itself."""
    whole = measure["groups"][0]
    return {
        "name": measure["name"],
        "lower_is_better": measure["lower_is_better"],
        "edges": whole["edges"],
        "count": whole["count"],
        "cuts": whole["cuts"],
    }


def path_as_typed(folder: Path) -> str:
    """How commands name the run folder: below the current folder as seen from there, else by its whole path."""
    whole = folder.resolve()
    here = Path.cwd().resolve()
    return str(whole.relative_to(here)) if here in whole.parents else str(whole)


def _error(error: LabelError) -> dict[str, Any]:
    """What is said of a label that is likely wrong."""
    numbers = {name: float(f"{getattr(error, name):.6g}") for name in ("probability", "quality")}
    return {"suggested": error.suggested, "source": error.source, **numbers}


def _judge(judgement: Judgement) -> dict[str, Any]:
    """What a judge took the images for."""
    plain = {"stage": judgement.stage, "model": judgement.model, "classes": judgement.classes}
    return {**plain, "chosen": judgement.chosen.tolist()}


def _map(layout: Layout) -> dict[str, Any]:
    """The places on both maps; those by UMAP have the rows that they are of."""
    plain = {"model": layout.model, "explained": list(layout.explained), "pca": _places(layout.rows, layout.places)}
    umap = None if layout.umap is None else _places(layout.rows[layout.umap.chosen], layout.umap.places)
    return {**plain, "umap": umap, "without_umap": layout.without_umap}


def _places(rows: NDArray[np.int64], places: NDArray[np.float32]) -> dict[str, Any]:
    """Places (m, 2) of rows (m,) in whole numbers; both axes to the same scale, as distances mean something."""
    span = float(np.ptp(places, axis=0).max()) or 1.0
    x, y = np.rint((places - places.min(axis=0)) / span * SCALE).astype(int).T
    return {"rows": rows.tolist(), "x": x.tolist(), "y": y.tolist()}
