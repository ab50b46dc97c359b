"""How alike images are, for what is decided while a run is planned: who is near to whom, in order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Likeness:
    """Images by their ids, with a vector each.

    Args:
        ids: (n,) of the images.
        vectors: (n, d) of unit length; one with a row that is not finite is left out.
    """

    def __init__(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        known = np.flatnonzero(np.isfinite(vectors).all(axis=1)).tolist()
        self.ids = [ids[place] for place in known]
        self._vectors = vectors[known]
        self._places = {identity: place for place, identity in enumerate(self.ids)}

    def __contains__(self, identity: object) -> bool:
        return identity in self._places

    def ranked(self, identity: str) -> list[tuple[str, float]]:
        """All other images with their cosine similarity to one, the most similar first; of equal ones by their ids."""
        here = self._places[identity]
        similar = self._vectors @ self._vectors[here]
        order = sorted(range(len(self.ids)), key=lambda place: (-similar[place], self.ids[place]))
        return [(self.ids[place], float(similar[place])) for place in order if place != here]
