"""What an annotation of Label Studio says of an image: a label, boxes, keypoints, captions.

Of an image that augforge wrote, what Label Studio has no place for stays as it was, and what nobody changed comes back
exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from augforge.io.label_studio_points import keypoints_in
from augforge.io.label_studio_regions import CAPTION, CHOICE, CHOICES, places_of, results_of
from augforge.io.label_studio_results import Results, gathered, main_control
from augforge.io.label_studio_things import Things
from augforge.io.listed import label_of
from augforge.io.own import BOXES

LABEL_NAMES = (CHOICE, "class", "category", "choice")
TEXT_NAMES = (CAPTION, "text", "description")
KEYPOINTS, LABELS, SOFT, EXTRA = "keypoints", "labels", "soft_label", "extra"
Said = dict[str, Any]


def corrected(found: Results, label: str | None, said: Mapping[str, Any]) -> tuple[str | None, Said]:
    """Label and annotations of an image that augforge exported with `label` and what was `said`, as they are now."""
    was = gathered(results_of(label, said, found.size or (1, 1)))
    boxes = list(Things(found, was.regions, places_of(said)).boxes())
    points = list(keypoints_in(found.regions, was.regions, said.get(KEYPOINTS) or ()))
    now = {**said, **_there(BOXES, boxes, BOXES in said), **_there(KEYPOINTS, points, KEYPOINTS in said)}
    if found.texts.get(CAPTION) != was.texts.get(CAPTION):
        now |= _captions(found.texts, CAPTION)
    if any(found.choices.get(name) != was.choices.get(name) for name in (CHOICE, CHOICES)):
        label, several = _chosen(found, was, said)
        now |= {SOFT: None, **several}  # a soft label was of what somebody has changed
    now = _with_columns(now, found, (CHOICE, CHOICES), (CAPTION,))
    return label, {name: value for name, value in now.items() if value is not None}


def _chosen(found: Results, was: Results, said: Mapping[str, Any]) -> tuple[str | None, Said]:
    """The label that was chosen, and several labels where these have a control of their own."""
    if CHOICES in found.choices or CHOICES in was.choices:
        same = found.choices.get(CHOICES) == was.choices.get(CHOICES)
        several = said.get(LABELS) if same else found.choices.get(CHOICES)
        return next(iter(found.choices.get(CHOICE, ())), None), {LABELS: several}
    return label_of(found.choices.get(CHOICE, ()))


def drawn(found: Results, draws: bool) -> tuple[str | None, Said]:
    """Label and annotations of an image of others. With `draws`, one without regions is known to have no box."""
    boxes = list(Things(found, {}, {}).boxes())
    points = list(keypoints_in(found.regions, {}, ()))
    main, text = main_control([*found.choices], LABEL_NAMES), main_control([*found.texts], TEXT_NAMES)
    named = [box["label"] for box in boxes if isinstance(box, dict) and "label" in box]
    label, several = label_of(found.choices.get(main) or named)
    now = {**several, **_there(BOXES, boxes, draws), **_there(KEYPOINTS, points, False), **_captions(found.texts, text)}
    now = _with_columns(now, found, (main,), (text,))
    return label, {name: value for name, value in now.items() if value is not None}


def _there(name: str, things: Sequence[Any], known: bool) -> Said:
    """A kind of annotation, if there is one or it is `known` that there is none."""
    return {name: list(things)} if things or known else {}


def _captions(texts: Mapping[str, Sequence[str]], name: str) -> Said:
    """The first of several texts as the caption, and all of them where there are several."""
    said = texts.get(name, ())
    more = {EXTRA: {"captions": _column(said)}} if len(said) > 1 else {}
    return {CAPTION: next(iter(said), None), **more}


def _with_columns(now: Said, found: Results, labels: Sequence[str], texts: Sequence[str]) -> Said:
    """What is said, with all choices and texts that are read otherwise as columns."""
    others = {name: each for name, each in found.choices.items() if name not in labels}
    others |= {name: each for name, each in found.texts.items() if name not in texts}
    more = {name: _column(each) for name, each in others.items() if each}
    return {**now, EXTRA: {**now.get(EXTRA, {}), **more}} if more else now


def _column(values: Sequence[str]) -> dict[str, Any]:
    """A column of a text, or of several."""
    if len(values) == 1:
        return {"type": "string", "value": values[0]}
    return {"type": "list<item: string>", "value": list(values)}
