"""How odd the patches of images are beside those of other images: measured by a network, and stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from augforge.data import images
from augforge.data.ids import key
from augforge.data.parts import Parts
from augforge.data.sample import Sample
from augforge.engine.context import RunContext
from augforge.errors import BadImage
from augforge.models import find_model, model_key
from augforge.models.sizes import size_of
from augforge.stages.filters.musc import Musc

if TYPE_CHECKING:
    from augforge.models.patches import Maps, PatchNetwork

SCORES = pa.schema([("key", pa.string()), ("score", pa.float64())])
BATCH = 8
"""Images that are compared at a time: beside the reference no more than their maps are held."""


class MutualScores:
    """The raw scores of MuSc: of an image beside others, all given by their ids. Each is computed once and stored.

    A score is found again by the image and the others that it was compared with. The maps of the others of one call are
    held while it lasts, those of the images no longer than it takes to compare them.
    """

    def __init__(self, stage: Musc, title: str, context: RunContext) -> None:
        self._stage, self._context, self._drop = stage, context, context.drop_as(title)
        self._row = find_model(stage.model, "image-embedding")
        name = key(stage.name, stage.version, stage.patch_options(), model_key(self._row, "patches"))
        self._parts: Parts = context.store.parts(f"filter-{stage.name}-{name[:12]}", SCORES, by="key")
        self._network: PatchNetwork | None = None
        self.computed = 0

    def __call__(self, ids: Sequence[str], others: Sequence[str]) -> NDArray[np.float64]:
        """(n,) of the images of `ids` (n,) beside `others` (m,) without itself; NaN where one cannot be read."""
        known = self._context.ledger.by_id({*ids, *others})
        beside = sorted((known[i] for i in dict.fromkeys(others)), key=lambda sample: sample.id)
        names = {i: _name(known[i], beside) for i in dict.fromkeys(ids)}
        missing = set(self._parts.missing(list(names.values())))
        todo = [known[i] for i, name in names.items() if name in missing]
        if todo:
            self._measure(todo, beside, names)
        wanted = [names[i] for i in ids]
        found = self._parts.find(wanted) >= 0
        scores = np.full(len(ids), np.nan)
        scores[found] = [
            row["score"] for row in self._parts.rows([n for n, f in zip(wanted, found, strict=True) if f], ["score"])
        ]
        return scores

    def _measure(self, todo: Sequence[Sample], beside: Sequence[Sample], names: dict[str, str]) -> None:
        context, title = self._context, f"{self._stage.name} ({self._row.name})"
        others, there = self._maps(beside)
        places = {sample.id: place for place, sample in enumerate(there)}
        with context.progress.bar(title, len(todo)) as bar, self._parts.writing() as writer:
            for start in range(0, len(todo), BATCH):
                batch = todo[start : start + BATCH]
                maps, seen = self._maps(batch)
                scores = self._scores(maps, others, [places.get(sample.id, -1) for sample in seen], len(there))
                writer.add([{"key": names[s.id], "score": v} for s, v in zip(seen, scores, strict=True)])
                bar.advance(len(batch))
        self.computed += len(todo)

    def _scores(self, maps: Maps, others: Maps, itself: Sequence[int], count: int) -> list[float]:
        """The largest value of the anomaly map of each image; 0 without any other image."""
        from augforge.algorithms.musc import anomaly_maps

        scores = np.zeros(len(itself))
        beside = np.flatnonzero([count - (place >= 0) > 0 for place in itself])
        if len(beside):
            shown, places = [layer[beside] for layer in maps], [itself[row] for row in beside.tolist()]
            odd = anomaly_maps(shown, others, places, sides=self._stage.sides, lowest=self._stage.lowest)
            scores[beside] = odd.flatten(1).amax(dim=1).double().cpu().numpy()
        return [float(score) for score in scores]

    def _maps(self, samples: Sequence[Sample]) -> tuple[Maps, list[Sample]]:
        """The feature maps of those of the samples that can be read; the others are dropped."""
        network = self._loaded()
        seen: list[NDArray[np.uint8]] = []
        there = []
        for sample in samples:
            try:
                image = images.decode(self._context.pixels.bytes_of(sample))
            except BadImage as error:
                self._drop([sample.digest], error.message)
            else:
                seen.append(network.preprocessing.resize_and_crop(image))
                there.append(sample)
        return (network.maps(np.stack(seen)) if seen else []), there

    def _loaded(self) -> PatchNetwork:
        if self._network is None:
            from augforge.models.patches import PatchNetwork

            with self._context.progress.loading(self._row.name, size_of(self._row)):
                self._network = PatchNetwork(self._row, self._context.device, self._stage.layers)
        return self._network


def _name(sample: Sample, beside: Sequence[Sample]) -> str:
    """What the score of an image depends on: its bytes, and those of the others."""
    return key(sample.digest, [other.digest for other in beside if other.id != sample.id])
