"""Classical operators: images made from images by arithmetic, one by one, in as many processes as there are cores."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from augforge.data.pool import Pool, Pools
from augforge.stages.generator import GeneratedImage, GenerationInput, Job, LoadedGenerator, SampledParams, required
from augforge.stages.generators.following import FollowingGenerator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.geometry import Geometry
    from augforge.data.sample import Sample

WORTH_A_PROCESS = 256
"""Images for which it pays to start one more process."""
AT_ONCE = 16
"""Images that a process is handed at once, unless `batch` says otherwise."""


class OperatorGenerator(FollowingGenerator):
    """A generator without a model: `draw` its parameters when the run is planned, `operate` on the pixels later.

    What an image is follows from its parents and its row alone: not from a batch, a process or a number of threads. So
    an operator may not depend on anything else, and `operate` may not draw: every random number stands in the row, or
    is a seed that does.
    Without an amount every image is operated on once (`images_per_call` times, if an operator makes several at once).
    """

    needs_labels: ClassVar[bool] = False
    trained: ClassVar[bool] = False
    images_per_call: ClassVar[int] = 1
    """Images that `operate_on` may be asked for at once. All are of the same parents, and each has a row of its own."""
    made_with: ClassVar[tuple[str, ...]] = ("numpy", "pillow")
    """The distributions that compute, whose versions are recorded."""

    processes: int = Field(
        default=0, ge=0, le=1024, description="Processes that make the images; 0: one for each core, if it pays."
    )

    @abstractmethod
    def draw(self, label: Any, parent: Sample, pools: Pools, variant: int, seed: int) -> SampledParams:
        """The parents and all random parameters of the `variant`-th image made from `parent`, of class `label`.

        `pools` are the images of every class that may be looked at; none is of an evaluation split. The first parent is
        `parent`: the annotations are taken from it. All randomness must follow from `seed`; parameters are JSON.
        """

    @abstractmethod
    def operate(self, item: GenerationInput) -> GeneratedImage:
        """The image of one job: pixels as uint8, or float in [0, 1]; BadImage if it cannot be made, with the reason."""

    def operate_on(self, items: Sequence[GenerationInput]) -> list[GeneratedImage]:
        """The images of up to `images_per_call` jobs with the same parents, each what it would be alone."""
        return [self.operate(item) for item in items]

    def refusal(self, job: Job) -> str:
        """Why an image cannot be made, such as that it would be too large, asked before a pixel is read; else ""."""
        return ""

    def followed(
        self, item: GenerationInput, pixels: NDArray[np.uint8] | NDArray[np.float32], moves: Geometry
    ) -> GeneratedImage:
        """The image `pixels`, with the pictures and the annotations of the first parent after the geometry `moves`."""
        parent = item.job.parents[0]
        pictures = self.pictures_after(item, moves)
        said = self.annotations_after(parent, moves)
        return GeneratedImage(pixels, self.moved_by(parent, moves), pictures=pictures, annotations=said)

    @property
    def balances(self) -> bool:
        """Without an amount every image has its turn once."""
        return self.balance_to is not None

    def target_counts(self, counts: Mapping[str | None, float]) -> dict[str | None, int]:
        """As for every generator; without an amount, `choose_parents` takes every image once."""
        if self.has_amount:
            return super().target_counts(counts)
        return {label: int(count) * self.images_per_call for label, count in counts.items()}

    def choose_parents(self, pool: Pool, count: int) -> Iterator[tuple[Sample | None, int]]:
        """The images in turn, `images_per_call` of each; once each if no amount is given."""
        each = self.images_per_call
        turns = pool.cycle(-(-count // each) if self.has_amount else len(pool))
        variants = ((parent, turn * each + place) for parent, turn in turns for place in range(each))
        return islice(variants, count) if self.has_amount else variants

    def sample_params(self, label: Any, parent: Sample | None, pool: Pool, variant: int, seed: int) -> SampledParams:
        """As `draw`, seeing the images of one class alone; the engine shows those of all."""
        return self.draw(label, required(parent), Pools({label: pool}), variant, seed)

    def draw_among(self, label: Any, parent: Sample | None, pools: Pools, variant: int, seed: int) -> SampledParams:
        """As `draw`."""
        return self.draw(label, required(parent), pools, variant, seed)

    def load(self, device: str) -> LoadedGenerator:
        """Nothing to load; the versions of what computes are recorded."""
        from importlib.metadata import version

        versions = {name: version(name) for name in self.made_with}
        return LoadedGenerator(self._make, {"device": "cpu", "versions": versions}, refusal=self.refusal)

    def calls(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, ...]]:
        """`jobs` as `operate_on` is asked for them: those that follow each other and have the same parents together."""
        for _, group in groupby(jobs, key=lambda job: job.sample.parents):
            while call := tuple(islice(group, self.images_per_call)):
                yield call

    def default_batch_size(self, device: str) -> int:
        """Images that a process is handed at once, in whole calls."""
        return -(-AT_ONCE // self.images_per_call) * self.images_per_call

    def processes_for(self, images: int) -> int:
        """Processes that make so many `images`: where no number was asked for, one for each core, if it pays."""
        return self.processes or max(1, min(len(os.sched_getaffinity(0)), images // WORTH_A_PROCESS))

    def _make(self, batch: Sequence[GenerationInput]) -> list[GeneratedImage]:
        by_id = {item.job.sample.id: item for item in batch}
        made: dict[str, GeneratedImage] = {}
        for call in self.calls([item.job for item in batch]):
            ids = [job.sample.id for job in call]
            made |= zip(ids, self.operate_on([by_id[identity] for identity in ids]), strict=True)
        return [made[item.job.sample.id] for item in batch]
