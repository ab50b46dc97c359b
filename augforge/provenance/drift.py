"""What differs between two locks: the effects, by level, and the causes that may explain them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np

from augforge.errors import RecipeError, StoreError, did_you_mean
from augforge.provenance.lock import Lock, kept_ids, samples_of

Level = Literal["identity", "tolerance", "bytes"]
MOST_FILES = 20
"""Files of one source that are named one by one."""


def check_level(level: str) -> Level:
    """The level of that name; RecipeError if there is none."""
    if level not in get_args(Level):
        raise RecipeError(f"there is no level {level!r}", did_you_mean(level, list(get_args(Level))))
    return cast(Level, level)


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that differs: a cause (recipe, source, model, review, stage, library, device, batch) or an effect
    (result). A review is the digest of a file of people's decisions."""

    kind: str
    what: str
    locked: str
    now: str

    @property
    def is_effect(self) -> bool:
        """Whether it is of the result."""
        return self.kind == "result"


ELSEWHERE = frozenset({"library", "machine", "made with"})
"""Kinds of causes that are another machine's: they change scores in their last bits, and bytes, and nothing else."""


def is_elsewhere(drift: Drift) -> bool:
    """Whether a cause is only that the lock was made on another machine, or with other versions of libraries.

    Another version of augforge is not: it may decide in another way on purpose.
    """
    return drift.kind in ELSEWHERE and drift.what.rpartition(".")[2] != "augforge"


def causes(locked: Lock, now: Lock) -> list[Drift]:
    """What differs in what the result depends on."""
    return [
        *_flat("recipe", locked["recipe"], now["recipe"]),
        *_sources(locked["sources"], now["sources"]),
        *_models(locked["models"], now["models"]),
        *_flat("review", *(lock.get("review", {}) for lock in (locked, now))),
        *_stages(locked["stages"], now["stages"]),
        *_flat("library", locked["environment"]["libraries"], now["environment"]["libraries"]),
        *_flat("machine", *(_without(lock["environment"], "libraries") for lock in (locked, now))),
    ]


def effects(locked: Lock, now: Lock) -> list[Drift]:
    """What differs in the result whatever the level: ids, sampled parameters, outcomes and counts; not pixels."""
    found = list(_flat("result", *(_without(lock["result"], "pixels") for lock in (locked, now))))
    counts = [
        {name: {k: row[k] for k in ("in", "out")} for name, row in lock["stages"].items()} for lock in (locked, now)
    ]
    return [*found, *_flat("result", *counts)]


def flipped(locked: Lock, now: Lock) -> int | None:
    """How many samples were kept then and not now, or the other way round; None where a lock does not list them."""
    before, after = kept_ids(locked), kept_ids(now)
    if not before or not after:
        return None
    count = len(before ^ after)
    if count and locked["result"]["outcomes"] == now["result"]["outcomes"]:
        raise StoreError(
            "the lock contradicts itself: its kept-ids are not those of its outcomes", "was it edited by hand?"
        )
    return count


def same_but_for_flips(locked: Lock, now: Lock, share: float) -> bool:
    """Whether the same samples were seen, and at most `share` of them have another outcome."""
    count, seen = flipped(locked, now), samples_of(locked)
    same = locked["result"]["identity"] == now["result"]["identity"]
    return bool(same and count is not None and count <= share * seen)


def still_describes(locked: Lock, now: Lock) -> bool:
    """Whether `locked` tells of the same recipe, sources, models, stages, ids and sampled parameters.

    What differs then is the machine, and what that changes: libraries, threads, bytes, outcomes next to a threshold.
    """
    told = {"recipe", "source", "model", "review", "stage"}
    same = not any(drift.kind in told for drift in causes(locked, now))
    return same and bool(locked["result"]["identity"] == now["result"]["identity"])


def pixels_differ(locked: Lock, now: Lock) -> bool:
    """Whether any kept image or mask has other bytes."""
    return bool(locked["result"]["pixels"] != now["result"]["pixels"])


def largest_difference(locked: Lock, now: Lock) -> tuple[float, int]:
    """How far the mean colours of 8x8 blocks of the images that both locks have thumbnails of are apart.

    Returns:
        The largest difference in 256ths (NaN where there is no common one), and of how many images.
    """
    common = locked["thumbnails"].keys() & now["thumbnails"].keys()
    if not common:
        return float("nan"), 0
    apart = max(int(np.abs(_blocks(locked, name) - _blocks(now, name)).max()) for name in common)
    return float(apart), len(common)


def _blocks(lock: Lock, name: str) -> Any:
    return np.frombuffer(base64.b64decode(lock["thumbnails"][name]), dtype=np.uint8).astype(np.int64)


def _without(mapping: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The values at the ends of nested mappings and lists, by their paths."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for number, inner in enumerate(value, start=1):
            yield from _leaves(inner, f"{path}[{number}]")
    else:
        yield path, str(value)


def _flat(kind: str, locked: Any, now: Any) -> Iterator[Drift]:
    """A drift for each leaf that differs or is only on one side."""
    before, after = dict(_leaves(locked)), dict(_leaves(now))
    for path in dict.fromkeys([*before, *after]):
        if before.get(path) != after.get(path):
            yield Drift(kind, path, before.get(path, "-"), after.get(path, "-"))


def _sources(locked: list[Lock], now: list[Lock]) -> Iterator[Drift]:
    """By file, or by folder where a source is too large to be listed."""
    for before, after in zip(locked, now, strict=False):
        if before["digest"] == after["digest"]:
            continue
        name = ", ".join(f"{key} {value}" for key, value in before["source"].items())
        if ("files" in before) != ("files" in after):
            yield Drift("source", name, f"{before['images']} images", f"{after['images']} images")
            continue
        listing = "files" if "files" in before else "folders"
        yield from _listed(name, before[listing], after[listing])


def _listed(source: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Drift]:
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    for name in changed[:MOST_FILES]:
        yield Drift("source", f"{source}: {name}", before.get(name, "not there"), after.get(name, "gone"))
    if len(changed) > MOST_FILES:
        yield Drift("source", f"{source}: … {len(changed) - MOST_FILES:,} more", "", "")


def _models(locked: Lock, now: Lock) -> Iterator[Drift]:
    for name in sorted(locked.keys() & now.keys()):
        for key in ("digest", "revision"):
            if locked[name][key] != now[name][key]:
                yield Drift("model", f"{name}: {key}", str(locked[name][key])[:12], str(now[name][key])[:12])


def _stages(locked: Lock, now: Lock) -> Iterator[Drift]:
    """Versions of stages, and on what their images were made."""
    for title in (name for name in locked if name in now):
        before, after = ({k: v for k, v in row[title].items() if k == "version"} for row in (locked, now))
        yield from _flat("stage", {title: before}, {title: after})
        before, after = (_made_with(row[title]) for row in (locked, now))
        yield from _flat("made with", {title: before}, {title: after})


def _made_with(stage: Lock) -> dict[str, Any]:
    """Each setting of a stage's makers, all its values in one text; how many images each made does not matter."""
    settings: dict[str, set[str]] = {}
    for generation_config in stage.get("made-with", ()):
        for path, value in _leaves(_without(generation_config, "images")):
            settings.setdefault(path, set()).add(value)
    return {path: ", ".join(sorted(values)) for path, values in sorted(settings.items())}
