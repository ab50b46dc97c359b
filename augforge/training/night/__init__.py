"""Day to night from unpaired pictures: HED-N-GAN, HEDGAN, CycleGAN and CUT, and the generator they leave behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from augforge.models.edges import open_teacher
from augforge.models.networks.translation import Norm
from augforge.models.networks.upsampling import Upsampling
from augforge.training.images import TrainingImages
from augforge.training.night.base import Design, NightTask
from augforge.training.night.cut import Cut
from augforge.training.night.cyclegan import CycleGan
from augforge.training.night.hedngan import EdgeSupervision, HedNGan
from augforge.training.night.views import Unpaired
from augforge.training.task import TrainingContext

__all__ = ["Arch", "NightOptions", "NightTask", "night_task"]

Arch = Literal["hedngan", "hedgan", "cyclegan", "cut"]
DETECTOR_RATES = {"hed": 1e-6, "edge-operator": 1e-4}
"""Adam moves every weight by about its rate a step. HED has 14.7 million good ones, which are only to be nudged. The
operator has four thousand, and at 1e-6 it would stand still; at 1e-3 toy nights kept fewer edges (an overlap of 0.60
to 0.65 instead of 0.71 to 0.81, three seeds each)."""
IDENTITY = {"cyclegan": 0.0, "cut": 10.0}


@dataclass(frozen=True, slots=True)
class NightOptions:
    """How a day-to-night generator is trained.

    Attributes:
        arch: `hedngan` (Mohwald, Jenicek and Chum, ICCV 2023, arXiv 2309.16351), `hedgan` (the same with a frozen edge
            detector), `cyclegan` (arXiv 1703.10593) or `cut` (arXiv 2007.15651).
        size: side of the squares in px, a multiple of 4.
        width: channels of the first layers.
        blocks: residual blocks of the generator.
        batch: images of each kind per step, in this process.
        rate: learning rate of Adam.
        edge_weight: hedngan, hedgan: weight of the edges.
        cycle_weight: cyclegan: weight of the way there and back.
        identity_weight: cyclegan, cut: weight of leaving a night image alone; 0 and 10 if absent.
        teacher: hedngan, hedgan: the edge teacher, as in `open_teacher`.
        detector_rate: hedngan: learning rate of the student's Adam; one that fits the teacher if absent.
        darken_weight: weight of the distance to the day with the nights' histogram; 0 as published.
        upsampling: how the generator doubles the sides; `transposed` as published, which leaves a grid.
    """

    arch: Arch
    size: int = 256
    width: int = 64
    blocks: int = 9
    batch: int = 4
    rate: float = 2e-4
    edge_weight: float = 5.0
    cycle_weight: float = 10.0
    identity_weight: float | None = None
    teacher: str = "edge-operator"
    detector_rate: float | None = None
    darken_weight: float = 0.0
    upsampling: Upsampling = "resize"

    def design(self) -> Design:
        """What all four have in common; those with an edge detector are published with batch norm."""
        norm: Norm = "batch" if self.arch in ("hedngan", "hedgan") else "instance"
        sizes = (self.size, self.width, self.blocks)
        return Design(self.arch, *sizes, norm, self.rate, self.upsampling, self.darken_weight)


def night_task(
    day: TrainingImages, night: TrainingImages, context: TrainingContext, options: NightOptions
) -> NightTask:
    """A training over day and night images that do not belong together.

    Raises:
        ModelError: the teacher cannot be had.
    """
    pictures, design = Unpaired(day, night, options.size, options.batch), options.design()
    if options.arch in IDENTITY:
        identity = IDENTITY[options.arch] if options.identity_weight is None else options.identity_weight
        if options.arch == "cut":
            return Cut(pictures, context, design, identity)
        return CycleGan(pictures, context, design, options.cycle_weight, identity)
    return HedNGan(pictures, context, design, _edges(options))


def _edges(options: NightOptions) -> EdgeSupervision:
    detector, facts = open_teacher(options.teacher)
    rate = DETECTOR_RATES[facts["teacher"]] if options.detector_rate is None else options.detector_rate
    return EdgeSupervision(detector, facts, options.edge_weight, rate if options.arch == "hedngan" else None)
