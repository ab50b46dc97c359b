"""How the life of a sample looks in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.tree import Tree

from augforge.cli.render.base import literal, out, print_json
from augforge.data.annotations import describe_annotations
from augforge.data.stage_facts import said

if TYPE_CHECKING:
    from augforge.provenance.lineage import Lineage


def show_life(life: Lineage, as_json: bool) -> None:
    """The tree of a sample's life."""
    if as_json:
        print_json(life.plain())
    else:
        out.print(_tree(life, Tree(_headline(life.row))))


def _tree(life: Lineage, tree: Tree) -> Tree:
    for line in _facts(life.row):
        tree.add(literal(line))
    for parent in life.parents:
        _tree(parent, tree.add(_headline(parent.row)))
    return tree


def _headline(row: Mapping[str, Any]) -> str:
    outcome = "kept" if row.get("kept") else f"dropped by {row.get('dropped_by')}: {row.get('dropped')}"
    about = f"{row.get('origin', '')}{_labelled(row)}, {outcome}"
    return f"[bold]{literal(row['id'])}[/bold] {literal(about)}"


def _labelled(row: Mapping[str, Any]) -> str:
    """The label, and that there is none; nothing where the content is told otherwise, by a mask or boxes."""
    if row.get("label") is not None:
        return f" {row['label']!r}"
    told = CONTENT & {*(row.get("annotations") or ()), *(row.get("pictures") or ())}
    return "" if told else ", unlabelled"


PLAIN = {
    "source": "file    {}",
    "split": "split   {}",
    "labelled_by": "label   given by {}, not by the source",
    "note": "note    {}",
    "digest": "sha256  {}",
}
"""Columns of the ledger that are told as they are."""
NAMES = {"soft_label": "shares", "keypoints": "points", "captioned_by": "words"}
"""Kinds of annotations that have a shorter name here."""
CONTENT = frozenset({"labels", "soft_label", "boxes", "keypoints", "mask"})
"""What tells of the content of an image beside a label."""
LONGEST = 300
"""Letters of what is told of one kind."""
HIDDEN = ("model", "generator", "generator-version", "versions", "asked")
OFF: tuple[Any, ...] = (None, False, "", [], "off")
"""Values of options that did nothing."""


def _facts(row: Mapping[str, Any]) -> Iterator[str]:
    """What the ledger knows of a sample, a line each."""
    yield from (text.format(row[name]) for name, text in PLAIN.items() if row.get(name))
    yield from _annotations(row)
    if row.get("generation_config"):
        yield from _making(row, row["generation_config"])
    if row.get("sampled_params"):
        yield "drawn   " + ", ".join(f"{name} {_short(value)}" for name, value in row["sampled_params"].items())
    yield from _judged(row)
    if row.get("kept"):
        yield f"weight  {row['weight']:.4g}"


def _judged(row: Mapping[str, Any]) -> Iterator[str]:
    """What the filters said of a sample: its scores, the image that it is nearest to, and what they say of
    their own work."""
    if row.get("scores"):
        yield "scores  " + ", ".join(f"{name} {value:.4f}" for name, value in row["scores"].items())
    for near in row.get("nearest") or ():
        yield f"nearest {near['id']} ({near['relation']}), similarity {near['similarity']:.3f}, by {near['stage']}"
    yield from map(_reviewed, row.get("reviewed") or ())
    yield from (f"judged  by {title}: {said(facts)}" for title, facts in (row.get("judged") or {}).items())


def _reviewed(line: Mapping[str, Any]) -> str:
    """What a person decided about it, and when."""
    label = f" as {line['label']!r}" if line.get("label") else ""
    was = f" (was {line['was']!r})" if line.get("was") else ""
    text = f": {line['text']}" if line.get("text") else ""
    against = f", against {line['against']['stage']} ({line['against']['reason']})" if line.get("against") else ""
    return f"review  {line['verdict']}{label}{was} by {line['who']}, {line['when']}{text}{against}"


def _annotations(row: Mapping[str, Any]) -> Iterator[str]:
    """What is known of the content, a kind a line."""
    for kind, words in describe_annotations(row.get("annotations") or {}).items():
        yield f"{NAMES.get(kind, kind):7} {words if len(words) <= LONGEST else words[:LONGEST] + '…'}"


def _making(row: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    """What made an image: the model, the options that were not off, and the versions of libraries."""
    model = config.get("model")
    by = f" by {model.get('name')} (weights {str(model.get('digest'))[:12]})" if isinstance(model, dict) else ""
    yield f"made    {row['stage']}{by}, seed {row['seed']}"
    told = {name: value for name, value in config.items() if name not in HIDDEN and value not in OFF}
    yield "options " + ", ".join(f"{name} {told[name]}" for name in told if name not in row["sampled_params"])
    yield "with    " + ", ".join(f"{name} {value}" for name, value in config.get("versions", {}).items())


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} {_short(inner)}" for name, inner in value.items()) + "}"
    return "[" + ", ".join(map(_short, value)) + "]" if isinstance(value, list) else str(value)
