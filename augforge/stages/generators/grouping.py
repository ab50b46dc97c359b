"""Which items of a batch can go through a network together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence


def places_by(keys: Sequence[Hashable]) -> list[list[int]]:
    """The places of equal keys, such as sizes; in the order in which each is first met."""
    places: dict[Hashable, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        places[key].append(place)
    return list(places.values())
