"""The run as a whole, one sample, the map, near-duplicates, the comparison with another run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from starlette.responses import Response

from augforge import __version__
from augforge.data.record import FORMAT
from augforge.stages.filter import Filter
from augforge.view.asked import Asked, Handler, binary
from augforge.view.opened import OpenRun
from augforge.view.refusals import not_found
from augforge.view.rows import FACETS, shown
from augforge.view.sample import whole

EVALUATION = frozenset({"validation", "test"})


def session(asked: Asked) -> Mapping[str, Any]:
    """What the page needs first: the token to write with, and what it may do."""
    served = asked.served
    other = served.run.other
    return {
        "write_token": served.tokens.write,
        "read_only": served.options.read_only,
        "who": served.run.reviewed.who,
        "version": __version__,
        "compare": None if other is None else {"name": other.name, "folder": other.folder.name},
    }


def run(asked: Asked) -> Mapping[str, Any]:
    """The run: its columns, scores, stages and counts. Only what the columns in the cache tell at once.

    It is what a page asks first, so this is where a run that was written again in the meantime is opened anew.
    """
    run = asked.now()
    index = run.index
    names = (*FACETS, "annotation")
    notes = [*run.notes]
    if not (run.folder / "run.json").is_file():
        notes.append("The run is not finished: this is what it has written so far.")
    return {
        "name": run.name,
        "folder": run.folder.resolve().name,
        "revision": index.revision,
        "rows": len(index),
        "format": FORMAT,
        "finished": (run.folder / "run.json").is_file(),
        "seed": None if run.recipe is None else run.recipe.seed,
        "notes": notes,
        "columns": {name: index.values[name] for name in names},
        "scores": [{**facts, **_about(run, facts["name"])} for facts in index.score_facts],
        "balance": balance(run),
        "kept": int(index.column("kept").sum()),
        "hidden": int((index.column("hidden") > 0).sum()),
        "stages": _stages(run),
    }


def _about(run: OpenRun, measure: str) -> dict[str, Any]:
    """Which stage a score decides for, and whether less of it is better."""
    for title, stage in zip(run.recipe.titles(), run.recipe.stages, strict=True) if run.recipe else ():
        if isinstance(stage, Filter) and measure in stage.measures:
            return {"stage": title, "lower_is_better": measure in stage.lower_is_better}
    return {"stage": None, "lower_is_better": False}


def _stages(run: OpenRun) -> list[dict[str, Any]]:
    if run.recipe is None:
        return []
    filtering = run.filtering
    return [
        {
            "title": title,
            "number": number,
            "verb": stage.verb,
            "name": stage.name,
            "options": stage.options(),
            "why_no_cut": filtering.why_not(title),
        }
        for number, (title, stage) in enumerate(filtering.stages.items(), start=1)
    ]


def balance(run: OpenRun) -> list[dict[str, Any]]:
    """Of each class: usable real images before the run, real and synthetic ones after it, as they are filed; those of
    evaluation splits are left out."""
    index = run.index
    held_out = np.array([name in EVALUATION for name in index.values["split"]] + [False], dtype=bool)
    learnt = ~held_out[index.column("split")]
    real = index.column("origin") == index.code("origin", "real")
    kept = np.asarray(index.column("kept"))
    usable = index.column("by") != index.code("by", "source")
    filed, size = index.column("filed"), len(index.values["label"])
    masks = (learnt & real & usable, learnt & real & kept, learnt & ~real & kept)
    before, now, made = (np.bincount(filed[mask] % (size + 1), minlength=size + 1).tolist() for mask in masks)
    rows = zip([*index.values["label"], None], before, now, made, strict=True)
    found = [{"label": name, "real_before": b, "real": r, "synthetic": s} for name, b, r, s in rows]
    return [
        row for row in found if row["label"] is not None or any((row["real_before"], row["real"], row["synthetic"]))
    ]


def sample(asked: Asked) -> Mapping[str, Any]:
    """All that is known of a sample."""
    return whole(asked.run, asked.run.row(asked.path["id"]))


def search(asked: Asked) -> Mapping[str, Any]:
    """Whether the run can be searched by text and by example, and why not."""
    run = asked.run
    found = run.embedded
    model = None if found is None else found.name
    why = run.why_no_text()
    return {"text": not why, "image": found is not None, "model": model, "why_not": why}


def maps(asked: Asked) -> Mapping[str, Any]:
    """The maps that there are."""
    run = asked.run
    found = []
    for name, plane in run.maps.items():
        low, high = plane.places.min(axis=0), plane.places.max(axis=0)
        axes = [
            f"{word} component ({share:.0%})" for word, share in zip(("first", "second"), plane.explained, strict=True)
        ]
        model = run.embedded.name if run.embedded else ""
        bounds = [float(value) for value in (*low, *high)]
        found.append({"name": name, "model": model, "count": len(plane.rows), "axes": axes, "bounds": bounds})
    return {"maps": found}


def places(asked: Asked) -> Response:
    """(m, 2) where the samples lie on a map."""
    return binary(asked.run.plane(asked.path["map"]).places)


def rows_of_map(asked: Asked) -> Response:
    """(m,) whose places these are."""
    return binary(asked.run.plane(asked.path["map"]).rows)


def column(asked: Asked) -> Response:
    """(n,) codes or numbers of all rows, to colour a map by."""
    index, name = asked.run.index, asked.path["column"]
    kind, _, score = name.partition(":")
    if kind == "score" and score in index.scores:
        return binary(index.score(score).astype(np.float32))
    if name == "verdict":
        return binary(asked.run.reviewed.now().verdict.astype(np.int32))
    if name in ("hidden", "weight"):
        return binary(index.column(name))
    if name in FACETS:
        return binary(index.column(name).astype(np.int32))
    raise not_found(f"there is no column {name[:80]!r}")


def duplicates(asked: Asked) -> Mapping[str, Any]:
    """Some groups of near-duplicates, the largest first."""
    groups = asked.run.groups
    offset, limit = asked.number("offset", 0, 0, 2**31), asked.number("limit", 50, 1, 200)
    numbers = range(offset, min(offset + limit, len(groups)))
    found = []
    for number in numbers:
        rows = groups.of(number)
        found.append({"group": number, "size": len(rows), "rows": shown(asked.run, rows[:100])})
    return {"total": len(groups), "groups": found}


def compare(asked: Asked) -> Mapping[str, Any]:
    """This run beside the other one."""
    other = asked.run.other
    return asked.run.compared.plain((asked.run.name, "" if other is None else other.name))


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/api/session", session),
    ("GET", "/api/run", run),
    ("GET", "/api/sample/{id}", sample),
    ("GET", "/api/search", search),
    ("GET", "/api/maps", maps),
    ("GET", "/api/map/{map}/places.f32", places),
    ("GET", "/api/map/{map}/rows.i32", rows_of_map),
    ("GET", "/api/column/{column}", column),
    ("GET", "/api/duplicates", duplicates),
    ("GET", "/api/compare", compare),
]
