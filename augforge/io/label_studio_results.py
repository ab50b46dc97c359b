"""The results of an annotation of Label Studio, as they are stored: regions, and what is said of the whole image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from augforge.io.label_studio_regions import Region, Size
from augforge.io.sizes import said_size

PLACES = frozenset({"x", "points", "rle"})
"""Keys of which the value of a region has one."""
LABELS = "labels"
"""How the key of a region's labels ends: `rectanglelabels`."""
SAID = {"choices": "choices", "textarea": "text", "rating": "rating", "number": "number"}
"""What is said of a region or of an image: types of results, and the key of their value."""


@dataclass(slots=True)
class Drawn:
    """A region: its place in percent of the sides of an image of `size`, its labels, and what else is said of it."""

    id: str
    value: Mapping[str, Any]
    size: Size | None
    parent: str
    meta: Mapping[str, Any]
    labels: list[str] = field(default_factory=list)
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def is_point(self) -> bool:
        """Whether it is a keypoint."""
        return {"x", "y"} <= self.value.keys() and not {"height", "radiusX"} & self.value.keys()

    @property
    def is_outline(self) -> bool:
        """Whether it is a polygon or drawn with a brush."""
        return bool({"points", "rle"} & self.value.keys())


@dataclass(slots=True)
class Results:
    """What an annotation says: its regions by id, and the choices and texts of the image by the names of controls.

    `unread` counts results of other types.
    """

    regions: dict[str, Drawn] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    unread: Counter[str] = field(default_factory=Counter)

    @property
    def size(self) -> Size | None:
        """The height and width in px of the image, None where no region says it."""
        return next((region.size for region in self.regions.values() if region.size), None)


def gathered(results: Any) -> Results:
    """The results of an annotation; those of one region together."""
    found = Results()
    known = [one for one in results if isinstance(one, dict)] if isinstance(results, list) else []
    for place, one in enumerate(known):
        value = one.get("value")
        if isinstance(value, dict) and PLACES & value.keys():
            region = _drawn(one, value, str(one.get("id") or f"region {place}"))
            found.regions.setdefault(region.id, region)
    for one in known:
        _say(found, one, str(one.get("type")))
    return found


def _drawn(one: Region, value: Mapping[str, Any], identity: str) -> Drawn:
    sides = said_size(one.get("original_width"), one.get("original_height"))
    meta = one.get("meta")
    parent = str(one.get("parentID") or "")
    labels = next((words(each) for name, each in value.items() if name.endswith(LABELS)), [])
    return Drawn(identity, value, sides and sides[::-1], parent, meta if isinstance(meta, dict) else {}, labels)


def _say(found: Results, one: Region, kind: str) -> None:
    """Take what a result says of a region beyond its place, or of the image."""
    value, region, name = one.get("value"), found.regions.get(str(one.get("id"))), str(one.get("from_name"))
    said = value.get(SAID.get(kind, kind)) if isinstance(value, dict) else None
    whole = {"choices": found.choices, "textarea": found.texts}.get(kind)
    if region is not None:
        _say_of(region, kind, name, said)
    elif whole is not None:
        whole.setdefault(name, []).extend(words(said))
    elif not (isinstance(value, dict) and PLACES & value.keys()):
        found.unread[kind] += 1


def _say_of(region: Drawn, kind: str, name: str, said: Any) -> None:
    """Take the labels of a region, or what a control says of it."""
    if kind.endswith(LABELS):
        region.labels += [label for label in words(said) if label not in region.labels]
    elif kind in SAID:
        region.said[name] = said[0] if isinstance(said, list) and len(said) == 1 else said


def words(value: Any) -> list[str]:
    """The texts in a value that is one, or a list of some."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def main_control(names: Sequence[str], usual: Sequence[str]) -> str:
    """Of the names of controls the one of a usual name, else the first; "" if there is none."""
    return next((name for name in usual if name in names), next(iter(names), ""))
