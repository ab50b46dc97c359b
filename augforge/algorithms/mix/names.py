"""Names of things in two scenes that become one: ids of boxes and keypoints, and numbers in maps of instances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from augforge.data.pictures import INSTANCES

if TYPE_CHECKING:
    from augforge.algorithms.mix.scenes import Scene

PLACED = ("boxes", "keypoints")
CAPTIONS = ("caption", "captioned_by")
"""The kinds of annotations that lie somewhere in the image."""


def ids_of(annotations: Mapping[str, Any], instances: NDArray[Any] | None = None) -> set[str]:
    """The ids of boxes and keypoints, and the numbers in a map of instances (h, w) as texts; 0 is no thing."""
    ids = {thing["id"] for kind in PLACED for thing in annotations.get(kind, ()) if "id" in thing}
    return ids if instances is None else ids | {str(number) for number in np.unique(instances) if number}


def new_names(first: Scene, second: Scene) -> dict[str, str]:
    """New names for those things of the second scene whose names the first has, too."""
    ours, theirs = (ids_of(scene.annotations, scene.aligned.get(INSTANCES)) for scene in (first, second))
    return apart(ours, theirs)


def apart(ours: Iterable[str], theirs: Iterable[str]) -> dict[str, str]:
    """A new name for each of `theirs` that is one of `ours`, unlike all others; numbers become numbers."""
    taken = {*ours, *theirs}
    found: dict[str, str] = {}
    for name in sorted({*ours} & {*theirs}):
        found[name] = _free(name, taken)
        taken.add(found[name])
    return found


def _free(name: str, taken: set[str]) -> str:
    if name.isdecimal():
        return str(max(int(other) for other in taken if other.isdecimal()) + 1)
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"
