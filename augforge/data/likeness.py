"""How alike images are, for what is decided while a run is planned: who is near to whom, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray


class Likeness:
    """Images by their ids, with a vector each.

    Args:
        ids: (n,) of the images.
        vectors: (n, d) of unit length; one with a row that is not finite is left out.
    """

    def __init__(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        finite = np.isfinite(vectors).all(axis=1)
        known = sorted(np.flatnonzero(finite).tolist(), key=lambda place: ids[place])
        self.ids = [ids[place] for place in known]
        self._vectors = vectors[known]
        self._places = {identity: place for place, identity in enumerate(self.ids)}

    def __contains__(self, identity: object) -> bool:
        return identity in self._places

    def similar_groups(self, groups: Mapping[str, Sequence[str]]) -> dict[str, list[tuple[str, float]]]:
        """For each group of ids the others with the mean cosine of their members to its own, the most similar first.

        Ids that are not known are left out, and so are groups without any.
        """
        known = {name: [self._places[i] for i in ids if i in self] for name, ids in sorted(groups.items())}
        means = {name: self._vectors[places].mean(axis=0, dtype=np.float64) for name, places in known.items() if places}

        def others(own: str) -> list[tuple[str, float]]:
            found = [(name, float(mean @ means[own])) for name, mean in means.items() if name != own]
            return sorted(found, key=lambda pair: -pair[1])  # the names are sorted, and equal ones stay in their order

        return {name: others(name) for name in means}

    def ranked(self, identity: str) -> list[tuple[str, float]]:
        """All other images with their cosine similarity to one, the most similar first; of equal ones by their ids."""
        here = self._places[identity]
        similar = self._vectors @ self._vectors[here]
        order = np.argsort(-similar, kind="stable")  # the ids are sorted, so that equal ones stay in their order
        order = order[order != here]
        return [(self.ids[place], value) for place, value in zip(order.tolist(), similar[order].tolist(), strict=True)]
