"""Day to night from unpaired pictures: HED-N-GAN, HEDGAN, CycleGAN and CUT, and the generator they leave behind."""

from __future__ import annotations

from typing import Literal

from augforge.models.edges import open_teacher
from augforge.training.night.base import Design, NightTask
from augforge.training.night.cut import Cut
from augforge.training.night.cyclegan import CycleGan
from augforge.training.night.hedngan import HedNGan
from augforge.training.night.views import Unpaired
from augforge.training.pictures import Pictures
from augforge.training.task import TrainingContext

__all__ = ["Arch", "NightTask", "night_task"]

Arch = Literal["hedngan", "hedgan", "cyclegan", "cut"]
DETECTOR_RATES = {"hed": 1e-6, "edge-operator": 1e-4}
"""Adam moves every weight by about its rate a step. HED has 14.7 million good ones, which are only to be nudged. The
operator has four thousand, and at 1e-6 it would stand still; at 1e-3 toy nights kept fewer edges (an overlap of 0.60
to 0.65 instead of 0.71 to 0.81, three seeds each)."""
IDENTITY = {"cyclegan": 0.0, "cut": 10.0}


def night_task(
    arch: Arch,
    day: Pictures,
    night: Pictures,
    context: TrainingContext,
    *,
    size: int = 256,
    width: int = 64,
    blocks: int = 9,
    batch: int = 4,
    rate: float = 2e-4,
    edge_weight: float = 5.0,
    cycle_weight: float = 10.0,
    identity_weight: float | None = None,
    teacher: str = "edge-operator",
    detector_rate: float | None = None,
) -> NightTask:
    """A training over day and night pictures that do not belong together.

    Args:
        arch: `hedngan` (Mohwald, Jenicek and Chum, ICCV 2023, arXiv 2309.16351), `hedgan` (the same with a frozen edge
            detector), `cyclegan` (arXiv 1703.10593) or `cut` (arXiv 2007.15651).
        size: side of the squares in px, a multiple of 4; `width` channels in the first layers; residual `blocks`.
        batch: pictures of each kind a step, in this process; `rate` that of Adam.
        edge_weight: hedngan, hedgan: weight of the edges; `teacher` as in `open_teacher`; `detector_rate` the rate of
            the student's Adam, else one that fits the teacher.
        cycle_weight: cyclegan: weight of the way there and back.
        identity_weight: cyclegan, cut: weight of leaving a picture of the aim alone; 0 and 10 if absent.

    Raises:
        ModelError: the teacher cannot be had.
    """
    pictures = Unpaired(day, night, size, batch)
    design = Design(arch, size, width, blocks, "batch" if arch in ("hedngan", "hedgan") else "instance", rate)
    if arch == "cyclegan":
        weight = IDENTITY[arch] if identity_weight is None else identity_weight
        return CycleGan(pictures, context, design, cycle_weight, weight)
    if arch == "cut":
        return Cut(pictures, context, design, IDENTITY[arch] if identity_weight is None else identity_weight)
    detector, facts = open_teacher(teacher)
    student_rate = DETECTOR_RATES[facts["teacher"]] if detector_rate is None else detector_rate
    return HedNGan(pictures, context, design, edge_weight, detector, facts, student_rate, learns=arch == "hedngan")
