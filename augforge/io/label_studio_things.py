"""The regions of Label Studio that are no points, as boxes with outlines and all that is said of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from augforge.io.label_studio_places import is_moved, outline_of, place_of
from augforge.io.label_studio_results import Drawn, Results

KNOWN = frozenset({"id", "iscrowd", "attributes", "visible"})
"""What augforge keeps in the `meta` of a region."""


class Things:
    """The things in an image. `was` are the regions as augforge wrote them, and `places` where these are in px."""

    def __init__(self, found: Results, was: Mapping[str, Drawn], places: Mapping[str, Any]) -> None:
        self._regions, self._was, self._places = found.regions, was, places

    def boxes(self) -> Iterator[Any]:
        """A box for each region that is no outline of another; for one that is damaged, a text that says why."""
        outlines: dict[str, list[Drawn]] = {}
        for region in self._regions.values():
            if self._is_inner(region):
                outlines.setdefault(region.parent, []).append(region)
        for region in self._regions.values():
            if not region.is_point and not self._is_inner(region):
                yield self._box(region, outlines.get(region.id, []))

    def _is_inner(self, region: Drawn) -> bool:
        """Whether a region is the outline of another one, below which it lies."""
        parent = self._regions.get(region.parent)
        return region.is_outline and parent is not None and not (parent.is_outline or parent.is_point)

    def _box(self, region: Drawn, outlines: Sequence[Drawn]) -> dict[str, Any] | str:
        was = self._was.get(region.id)
        try:
            stays = not region.is_outline and not is_moved(region, was)
            place = {"box": list(self._places[region.id])} if stays else place_of(region)
            outline = outline_of(outlines, self._was, self._places)
        except (ValueError, OverflowError) as error:
            return f"region {region.id!r}: {error}"
        return about(region, was) | place | ({"segmentation": outline} if outline else {})


def about(region: Drawn, was: Drawn | None) -> dict[str, Any]:
    """What is said of a region beside its place. One that augforge wrote has its id, or none; a new one that of its
    region.
    """
    meta = {**region.meta, **(was.meta if was else {})}
    identity = meta.get("id") if was or "id" in meta else region.id
    found = {
        "label": next(iter(region.labels), None),
        "id": identity,
        "iscrowd": True if meta.get("iscrowd") is True else None,
        "attributes": _attributes(region, meta) or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _attributes(region: Drawn, meta: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a region: its own, what else its `meta` says, and what controls say of it alone."""
    own = meta.get("attributes")
    other = {name: value for name, value in region.meta.items() if name not in KNOWN}
    several = {"labels": region.labels} if len(region.labels) > 1 else {}
    return {**(own if isinstance(own, dict) else {}), **other, **region.said, **several}
