"""The keypoints of Label Studio: single regions, of which those below one region are one instance."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from augforge.io.label_studio_places import is_moved, point_of
from augforge.io.label_studio_regions import point_ids, point_names
from augforge.io.label_studio_results import Drawn
from augforge.io.label_studio_things import about

Regions = Mapping[str, Drawn]


def keypoints_in(regions: Regions, was: Regions, before: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The instances of keypoints: those that were there `before`, drawn as the regions `was`, and then new ones.

    One whose points are all deleted is gone.
    """
    known: set[str] = set()
    for place, one in enumerate(before):
        ids = point_ids(place, one)
        known.update(ids)
        if not was.keys() & set(ids) or regions.keys() & set(ids):
            yield _instance(one, [_Now(regions.get(identity), was.get(identity)) for identity in ids])
    for group in _together(regions, known):
        yield _new(group, regions.get(group[0].parent), was)


def _together(regions: Regions, known: Collection[str]) -> Iterable[Sequence[Drawn]]:
    """The points that are not `known`: those below one region together, others alone."""
    groups: dict[str, list[Drawn]] = {}
    for region in regions.values():
        if region.is_point and region.id not in known:
            groups.setdefault(region.parent if region.parent in regions else region.id, []).append(region)
    return groups.values()


class _Now:
    """A point: the region that it is, and the one that it was."""

    def __init__(self, region: Drawn | None, was: Drawn | None) -> None:
        self._region, self._was = region, was

    def point(self, before: Sequence[float]) -> list[Any]:
        """The point (x, y, visibility), where it is now."""
        if self._region is None:
            return [0.0, 0.0, 0.0]
        return _point(self._region) if is_moved(self._region, self._was) else list(before)

    def name(self, before: str) -> str:
        """What it is called now."""
        return next(iter(self._region.labels), before) if self._region else before


def _instance(one: Mapping[str, Any], now: Sequence[_Now]) -> dict[str, Any]:
    """An instance that augforge wrote, its points where they are now."""
    names = point_names(one)
    called = [each.name(name) for each, name in zip(now, names, strict=True)]
    points = [each.point(point) for each, point in zip(now, one["points"], strict=True)]
    return {**one, "points": points, **({} if called == names else {"names": called})}


def _new(group: Sequence[Drawn], parent: Drawn | None, was: Regions) -> dict[str, Any]:
    """An instance of points that lie below one region, or of one point."""
    above = about(parent, was.get(parent.id)) if parent else {}
    names = [next(iter(region.labels), f"point {place}") for place, region in enumerate(group, start=1)]
    kept = {name: value for name, value in above.items() if name in ("label", "id")}
    return {"points": [_point(region) for region in group], "names": names, **kept}


def _point(region: Drawn) -> list[Any]:
    """A point (x, y, visibility), null where it has no place."""
    try:
        return [*point_of(region), 1.0 if region.meta.get("visible") is False else 2.0]
    except (ValueError, OverflowError):
        return [None, None, 2.0]
