"""CUT: a patch of the translation is to be known by what was there before; Park et al., ECCV 2020, arXiv 2007.15651.

One generator, one discriminator, and a small MLP for each of a few layers of the generator's own first half.
"""

from __future__ import annotations

import torch
from torch import Tensor

from augforge.models.networks.translation import ResnetGenerator, discriminator_loss, generator_loss
from augforge.models.tensors import frozen
from augforge.training.night.base import Design, NightTask
from augforge.training.night.losses import PatchHeads, draw_places, patch_nce, patches_at
from augforge.training.night.views import Unpaired
from augforge.training.task import Batch, TrainingContext

LAYERS = (4, 8, 12, 16)


class Cut(NightTask):
    """Fool the discriminator, and keep the content of every patch.

    Args:
        identity_weight: weight of the same loss on night pictures, which are to stay as they are; 0 leaves it out. The
            two are averaged.
    """

    def __init__(self, pictures: Unpaired, context: TrainingContext, design: Design, identity_weight: float) -> None:
        super().__init__(pictures, context, design)
        self.identity_weight = identity_weight
        self.layers = encoder_layers(self.generator)
        self.heads = PatchHeads(channels_of(self.generator, self.layers))
        self.nets["heads"] = self.heads
        self.optimizers = {
            "generator": design.adam(self.generator, self.heads),
            "discriminator": design.adam(self.discriminator),
        }

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """The discriminator, then the generator with the MLPs."""
        day, night = batch["day"], batch["night"]
        made = self.generator(day)
        judged = discriminator_loss(self.discriminator(night), self.discriminator(made.detach()))
        self.update("discriminator", judged)
        with frozen(self.discriminator):
            fooling = generator_loss(self.discriminator(made))
        patches = self._contrast(made, day)
        parts = {"fooling": fooling, "patches": patches, **self.darkening(made, batch)}
        if self.identity_weight:
            identity = self.identity_weight * self._contrast(self.generator(night), night)
            parts |= {"patches": patches / 2, "identity": identity / 2}
        self.update("generator", sum(parts.values(), day.new_zeros(())))
        return {"discriminator": judged.detach()} | {name: loss.detach() for name, loss in parts.items()}

    def _contrast(self, made: Tensor, original: Tensor) -> Tensor:
        """PatchNCE between pictures and what they were made from (b, 3, s, s); the latter are constants."""
        with torch.no_grad():
            before = self.generator.features(original, self.layers)
            places = draw_places(before)
            keys = self.heads(patches_at(before, places))
        queries = self.heads(patches_at(self.generator.features(made, self.layers), places))
        return patch_nce(queries, keys)


def encoder_layers(generator: ResnetGenerator) -> list[int]:
    """Of layers 4, 8, 12 and 16 those before the first doubling: all of them with 7 residual blocks or more."""
    return [number for number in LAYERS if number < generator.encoder_length]


def channels_of(generator: ResnetGenerator, layers: list[int]) -> list[int]:
    """Channels of what comes out of these layers."""
    like = next(generator.parameters())
    with torch.no_grad():
        found = generator.eval().features(torch.zeros(1, 3, 16, 16, dtype=like.dtype, device=like.device), layers)
    generator.train()
    return [layer.shape[1] for layer in found]
