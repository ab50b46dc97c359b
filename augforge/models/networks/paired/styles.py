"""Style codes: how the instances of a class looked in training, in at most ten typical ways.

Section 3.4 of Wang et al., CVPR 2018, arXiv 1711.11585: the encoder's features of every instance, clustered a class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from augforge.data.ids import key, seed_of
from augforge.models.networks.paired.instances import VOID

MOST = 10
Choice = int | Mapping[int, int] | None
"""Which code: an index for all classes (modulo as many as each has), one by class, or the mean where none is said."""


@dataclass(frozen=True, slots=True)
class StyleCodes:
    """The codes of every class, the most frequent first.

    Args:
        codes: (n, k, d) of n classes; zero beyond those that a class has.
        sizes: (n, k) how many instances each stands for; 0 beyond those that a class has.
    """

    codes: Tensor
    sizes: Tensor

    def counts(self) -> list[int]:
        """How many codes each class has; 0 for one that was never seen."""
        return [int(count) for count in (self.sizes > 0).sum(1)]

    def means(self) -> Tensor:
        """(n, d): the mean code of every class over its instances; zero for one that was never seen."""
        weights = self.sizes.float()
        return (self.codes * weights.unsqueeze(2)).sum(1) / weights.sum(1, keepdim=True).clamp(min=1)

    def choose(self, random: np.random.Generator) -> dict[int, int]:
        """A code for every class that has any, all equally likely."""
        return {number: int(random.integers(count)) for number, count in enumerate(self.counts()) if count}

    def fill(self, classes: Tensor, choice: Choice = None) -> Tensor:
        """(d, h, w): in every pixel the code chosen for its class (h, w); zero where that is void."""
        table = torch.cat([self._chosen(choice), self.codes.new_zeros(1, self.codes.shape[2])])
        return table[torch.where(classes == VOID, len(self.codes), classes)].movedim(-1, 0)

    def _chosen(self, choice: Choice) -> Tensor:
        table = self.means()
        for number, count in enumerate(self.counts()):
            index = choice.get(number) if isinstance(choice, Mapping) else choice
            if index is not None and count:
                table[number] = self.codes[number, index % count]
        return table


def cluster(features: Tensor, classes: Tensor, regions: int, seed: int, most: int = MOST) -> StyleCodes:
    """At most `most` codes a class, by k-means over the features (m, d) of m instances with their classes (m,)."""
    codes = torch.zeros(regions, most, features.shape[1])
    sizes = torch.zeros(regions, most, dtype=torch.int64)
    for number in range(regions):
        own = features[classes == number].double().cpu().numpy()
        if len(own):
            centres, counts = _typical(own, most, seed)
            codes[number, : len(centres)] = torch.from_numpy(centres).float()
            sizes[number, : len(counts)] = torch.from_numpy(counts)
    return StyleCodes(codes, sizes)


def _typical(points: np.ndarray, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Means (k, d) of k clusters and how many points (k,) each has, the largest first; k <= the distinct points."""
    count = min(most, len(np.unique(points, axis=0)))
    labels = KMeans(count, n_init=4, random_state=seed_of(key(seed, "styles")) % 2**32).fit(points).labels_
    numbers, sizes = np.unique(labels, return_counts=True)
    centres = np.stack([points[labels == number].mean(0) for number in numbers])
    order = np.argsort(-sizes, kind="stable")
    return centres[order], sizes[order]
