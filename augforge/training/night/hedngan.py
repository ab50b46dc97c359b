"""HED-N-GAN: one generator, one discriminator, and a student edge detector that learns what a night's edges are.

Mohwald, Jenicek and Chum, "Dark Side Augmentation", ICCV 2023, arXiv 2309.16351. With a frozen detector instead of
the student it is HEDGAN.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from augforge.models.networks.translation import discriminator_loss, generator_loss
from augforge.models.tensors import frozen
from augforge.training.night.base import BETAS, Design, NightTask
from augforge.training.night.losses import detector_loss, edge_loss
from augforge.training.night.views import Unpaired
from augforge.training.task import Batch, TrainingContext

DETECTOR_DECAY = 2e-4


@dataclass(frozen=True, slots=True)
class EdgeSupervision:
    """Which edges a translated day has to keep.

    Attributes:
        teacher: a frozen edge detector, which looks at the day.
        facts: what is recorded of it.
        weight: of the edges in the generator's loss.
        student_rate: learning rate of the Adam of a student, at first a copy of the teacher, that looks at the night;
            None where there is no student and the teacher itself does.
    """

    teacher: nn.Module
    facts: Mapping[str, Any]
    weight: float
    student_rate: float | None


class HedNGan(NightTask):
    """Fool the discriminator, and keep the edges that the teacher sees in the day image."""

    def __init__(self, pictures: Unpaired, context: TrainingContext, design: Design, edges: EdgeSupervision) -> None:
        super().__init__(pictures, context, design)
        self.edges, self.learns = edges, edges.student_rate is not None
        self.teacher = self.detector = self.edge_detector = edges.teacher
        self.frozen = {"teacher": self.teacher}
        self.optimizers = {"generator": design.adam(self.generator), "discriminator": design.adam(self.discriminator)}
        if edges.student_rate is not None:
            self.detector = deepcopy(self.teacher).train().requires_grad_(True)
            self.nets["detector"] = self.detector
            self.optimizers["detector"] = torch.optim.Adam(
                self.detector.parameters(), edges.student_rate, BETAS, weight_decay=DETECTOR_DECAY
            )

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """The discriminator, the student, the generator."""
        day: Tensor = batch["day"]
        made = self.generator(day)
        with torch.no_grad():
            wanted = self.teacher(day)
        found = {"discriminator": self.step_discriminator(batch["night"], made.detach())}
        if self.learns:
            found["detector"] = self.step_detector(day, made.detach(), wanted)
        found |= self.step_generator(made, batch["night"], wanted, self.darkening(made, batch))
        return {name: loss.detach() for name, loss in found.items()}

    def step_discriminator(self, night: Tensor, made: Tensor) -> Tensor:
        """One step of the discriminator on real nights and made ones (b, 3, s, s); its loss."""
        loss = discriminator_loss(*self._judged(night, made))
        self.update("discriminator", loss)
        return loss

    def step_detector(self, day: Tensor, made: Tensor, wanted: Tensor) -> Tensor:
        """One step of the student on days and what was made of them, towards the teacher's maps; its loss."""
        loss = detector_loss(self.detector(day), self.detector(made), wanted)
        self.update("detector", loss)
        return loss

    def step_generator(
        self, made: Tensor, night: Tensor, wanted: Tensor, others: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """One step of the generator, through `made`, which is judged beside real nights; its losses, and the others."""
        with frozen(self.discriminator, self.detector):
            fooling = generator_loss(self._judged(night, made)[1])
            edges = self.edges.weight * edge_loss(self.detector(made), wanted)
            parts = {"fooling": fooling, "edges": edges, **(others or {})}
            self.update("generator", torch.stack(list(parts.values())).sum())
        return parts

    def _judged(self, night: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        """What the discriminator says of real and of made nights, seen as one batch.

        In two batches, its batch norm would take from each what all of it has in common, and between day and night that
        is the brightness: toy nights came out 30 to 40 % too dark.
        """
        real, fake = self.discriminator(torch.cat([night, made])).chunk(2)
        return real, fake

    def facts(self) -> Mapping[str, Any]:
        """The teacher's."""
        return dict(self.edges.facts)
