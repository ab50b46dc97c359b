"""Everything that is known of one sample: its row, its life back to the files, and what came of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from augforge.data.annotations import describe_annotations, parse_annotations
from augforge.data.nearest import read_nearest
from augforge.data.pictures import parse_pictures
from augforge.data.stage_facts import read_facts
from augforge.view.index import Index
from augforge.view.rows import drawn, shown

if TYPE_CHECKING:
    from augforge.view.opened import OpenRun

MOST_CHILDREN = 200
MOST_LIVES = 500
"""Ancestors that are told of, each as often as it is one."""
TEXTS = (
    "source",
    "ref",
    "note",
    "digest",
    "pictures",
    "annotations",
    "sampled_params",
    "seed",
    "labelled_by",
    "dropped",
)


def whole(run: OpenRun, row: int) -> dict[str, Any]:
    """A row with all that is known of its sample."""
    index = run.index
    (found,) = shown(run, np.array([row]))
    life = _Lives(run).of(row, frozenset())
    told = {name: value for name, value in life.items() if name != "parents"}
    parents, children = index.parents_of(row), index.children_of(row)
    (texts,) = index.texts.take(np.array([row]), ["annotations"])
    measured = {title.split("-", 2)[-1]: (title, facts) for title, facts in read_facts(index.folder).items()}
    return {
        **told,
        **found,
        "annotations_told": describe_annotations(told["annotations"]),
        "shapes": json.loads(drawn(texts["annotations"], (found["width"], found["height"]))),
        "nearest": read_nearest(index.folder, found["id"]),
        "judged": {title: facts for name, (title, facts) in measured.items() if name in told["scores"]},
        "life": life,
        "parents": shown(run, parents),
        "children": shown(run, children[:MOST_CHILDREN]),
        "children_total": len(children),
        "group": run.groups.number(row),
        "decisions": run.reviewed.lines_of(found["id"]),
    }


class _Lives:
    """Tells lives, of at most `MOST_LIVES` rows."""

    def __init__(self, run: OpenRun) -> None:
        self._run, self._left = run, MOST_LIVES

    def of(self, row: int, above: frozenset[int]) -> dict[str, Any]:
        """A row of the ledger with the lives of its parents, as `augforge why` tells it."""
        self._left -= 1
        parents = [parent for parent in self._run.index.parents_of(row).tolist() if parent not in above]
        lives = [self.of(parent, above | {row}) for parent in parents if self._left > 0]
        return {**_told(self._run.index, row), "parents": lives}


def _told(index: Index, row: int) -> dict[str, Any]:
    """A row of the ledger, less its parents."""
    (texts,) = index.texts.take(np.array([row]), TEXTS)
    config = index.text("config", int(index.column("config")[row]))
    scores = {name: float(value) for name in index.scores if np.isfinite(value := index.score(name)[row])}
    return {
        "id": index.identity(row),
        "label": index.text("label", int(index.column("label")[row])),
        "origin": index.text("origin", int(index.column("origin")[row])),
        "kept": bool(index.column("kept")[row]),
        "stage": index.text("stage", int(index.column("stage")[row])),
        "split": index.text("split", int(index.column("split")[row])),
        "dropped_by": index.text("by", int(index.column("by")[row])),
        **{name: texts[name] for name in ("source", "ref", "note", "digest", "seed", "labelled_by", "dropped")},
        "sampled_params": json.loads(texts["sampled_params"] or "{}"),
        "generation_config": json.loads(config) if config else None,
        "pictures": parse_pictures(texts["pictures"]),
        "annotations": parse_annotations(texts["annotations"]),
        "scores": scores,
        "weight": float(index.column("weight")[row]),
    }
