"""Runs that were made from runs: what lies before a run, circles, and outputs that would touch their own sources."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import yaml

from augforge.data.record import LEDGER
from augforge.errors import StoreError
from augforge.io.braces import expanded, is_list
from augforge.recipe.plain_yaml import read_yaml
from augforge.recipe.source import SourceSpec
from augforge.remote.places import path_of
from augforge.remote.urls import checked, is_remote

RECIPE = "recipe.yaml"
ELSEWHERE = frozenset({"hub", "sample"})
"""Kinds of sources whose value is no path."""
Relation = Literal["", "same", "inside", "around"]


def places(spec: SourceSpec) -> list[Path]:
    """The files and folders on the disk that a source names: itself and its masks."""
    return [path_of(text) for text in _named(spec) if not is_remote(text)]


def urls(spec: SourceSpec) -> list[str]:
    """The URLs that a source names, likewise."""
    return [checked(text) for text in _named(spec) if is_remote(text)]


def _named(spec: SourceSpec) -> list[str]:
    """The paths and URLs of a source and its masks, as they are written."""
    listed = expanded(spec.value) if spec.kind == "webdataset" and is_list(spec.value) else [spec.value]
    own = [] if spec.kind in ELSEWHERE else listed
    return [text for text in (*own, *_masks(spec)) if text]


def _masks(spec: SourceSpec) -> list[str]:
    return [spec.options["masks"]] if "masks" in spec.options else []


def refuse_overlap(out: Path, sources: Iterable[Path]) -> None:
    """StoreError if the folder `out` is one of `sources`, lies in it or holds it, whatever links lead there."""
    for source in sources:
        if relation := relation_of(out, source):
            raise _touching(str(out), relation, str(source))


def refuse_remote_overlap(out: str, sources: Iterable[str]) -> None:
    """As `refuse_overlap`, of URLs; there are no links in a bucket."""
    for source in sources:
        relation: Relation = "same" if out == source else ""
        relation = "inside" if out.startswith(f"{source}/") else relation
        relation = "around" if source.startswith(f"{out}/") else relation
        if relation:
            raise _touching(out, relation, source)


def _touching(out: str, relation: Relation, source: str) -> StoreError:
    told = {"same": "is its own source", "inside": "lies in its source {}", "around": "holds its source {}"}
    return StoreError(f"{out} {told[relation].format(source)}", "choose another --out: sources are left as they are")


def relation_of(out: Path, source: Path) -> Relation:
    """Whether `out` is the `source`, is inside it or around it; told by what is on the disk, not by names."""
    mine, theirs = _identities(out), _identities(source)
    if theirs[0] is None:
        return ""
    if mine[0] == theirs[0]:
        return "same"
    if theirs[0] in mine[1:]:
        return "inside"
    return "around" if mine[0] is not None and mine[0] in theirs[1:] else ""


def _identities(path: Path) -> list[tuple[int, int] | None]:
    """Device and inode of what a path leads to, then of each folder above it; None for what is not there."""
    real = Path(os.path.realpath(path))
    return [_identity(place) for place in (real, *real.parents)]


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def refuse_circle(out: Path, sources: Iterable[SourceSpec]) -> None:
    """StoreError if a run into `out` would be made, through other runs, from itself, or from runs that go in a circle.

    The runs of a circle can be told no order, and what they dropped is nowhere to be found.
    """
    if found := circle(out, _runs(sources)):
        raise StoreError(f"{said(found)}: runs would go in a circle", "choose another --out, or another source")


def circle(folder: Path, before: Iterable[Path] | None = None) -> list[Path]:
    """The runs of a circle that is met going back from the run in `folder`, its first one again at the end; else [].

    `before` are the runs that it is made from, where its recipe does not say so yet.
    """
    start = Path(os.path.realpath(folder))
    way, waiting, done = [start], [iter(runs_before(start) if before is None else before)], set[Path]()
    while way:
        step = next(waiting[-1], None)
        if step is None:
            done.add(way.pop())
            waiting.pop()
        elif step in way:
            return [*way[way.index(step) :], step]
        elif step not in done:
            way.append(step)
            waiting.append(iter(runs_before(step)))
    return []


def said(found: Iterable[Path]) -> str:
    """The runs of a circle as a sentence says them."""
    return " is made from ".join(map(_short, found))


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) and path != here else path)


def runs_before(folder: Path) -> list[Path]:
    """The folders, links followed, of the runs that the run in `folder` was made from; [] if its recipe is damaged."""
    return list(_runs(_specs(plain_recipe(folder) or {})))


def plain_recipe(folder: Path) -> dict[str, Any] | None:
    """What recipe.yaml of a run folder says, unchecked; None where it is missing or damaged."""
    try:
        plain = read_yaml((folder / RECIPE).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None
    return plain if isinstance(plain, dict) else None


def sources_of(plain: dict[str, Any]) -> list[dict[str, Any]]:
    """The sources that a plain recipe names; what is none is left out."""
    listed = plain.get("source")
    return [entry for entry in (listed if isinstance(listed, list) else [listed]) if isinstance(entry, dict)]


def _specs(plain: dict[str, Any]) -> Iterator[SourceSpec]:
    for entry in sources_of(plain):
        kind, value = next(iter(entry.items()), ("", ""))
        yield SourceSpec(str(kind), str(value))


def _runs(sources: Iterable[SourceSpec]) -> Iterator[Path]:
    """The run folders that sources are, or lie in, as the dataset of a run does."""
    for spec in sources:
        for place in places(spec)[:1]:
            real = Path(os.path.realpath(place))
            yield from (path for path in (real, *real.parents) if _is_run(path))


def _is_run(path: Path) -> bool:
    return (path / RECIPE).is_file() and (path / LEDGER).is_file()
