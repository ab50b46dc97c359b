"""CycleGAN: two generators there and back, two discriminators; Zhu et al., ICCV 2017, arXiv 1703.10593."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from augforge.models.networks.translation import ImagePool, discriminator_loss, generator_loss
from augforge.models.tensors import frozen
from augforge.training.night.base import Design, NightTask
from augforge.training.night.views import Unpaired
from augforge.training.task import Batch, TrainingContext


class CycleGan(NightTask):
    """A day that became night is to become the same day again, and the other way round.

    Args:
        cycle_weight: weight of the mean absolute distance after the way there and back.
        identity_weight: weight of the mean absolute change of a picture that is already what it is to become.
    """

    def __init__(
        self, pictures: Unpaired, context: TrainingContext, design: Design, cycle_weight: float, identity_weight: float
    ) -> None:
        super().__init__(pictures, context, design)
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight
        self.back, self.day_discriminator = design.generator(), design.discriminator()
        self.nets |= {"back": self.back, "day-discriminator": self.day_discriminator}
        self.optimizers = {
            "generator": design.adam(self.generator, self.back),
            "discriminator": design.adam(self.discriminator, self.day_discriminator),
        }
        self.pools = {"day": ImagePool(), "night": ImagePool()}

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Both discriminators, then both generators."""
        day, night = batch["day"], batch["night"]
        made = {"night": self.generator(day), "day": self.back(night)}
        judged = self.step_discriminator(day, night, made)
        with frozen(self.discriminator, self.day_discriminator):
            parts = self._generator_losses(day, night, made) | self.darkening(made["night"], batch)
            self.update("generator", sum(parts.values(), day.new_zeros(())))
        return {"discriminator": judged} | {name: loss.detach() for name, loss in parts.items()}

    def step_discriminator(self, day: Tensor, night: Tensor, made: Mapping[str, Tensor]) -> Tensor:
        """One step of both discriminators, on real pictures and made ones from the pools; the sum of their losses."""
        nights = discriminator_loss(
            self.discriminator(night), self.discriminator(self.pools["night"].swap(made["night"]))
        )
        days = discriminator_loss(
            self.day_discriminator(day), self.day_discriminator(self.pools["day"].swap(made["day"]))
        )
        self.update("discriminator", nights + days)
        return (nights + days).detach()

    def state_dict(self) -> dict[str, Any]:
        """The pools."""
        return {name: pool.state_dict() for name, pool in self.pools.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the pools back."""
        for name, pool in self.pools.items():
            pool.load_state_dict(state[name], self.context.device)

    def _generator_losses(self, day: Tensor, night: Tensor, made: Mapping[str, Tensor]) -> dict[str, Tensor]:
        fooling = generator_loss(self.discriminator(made["night"])) + generator_loss(
            self.day_discriminator(made["day"])
        )
        there_and_back = F.l1_loss(self.back(made["night"]), day) + F.l1_loss(self.generator(made["day"]), night)
        parts = {"fooling": fooling, "cycle": self.cycle_weight * there_and_back}
        if self.identity_weight:
            unchanged = F.l1_loss(self.generator(night), night) + F.l1_loss(self.back(day), day)
            parts["identity"] = self.identity_weight * unchanged
        return parts
