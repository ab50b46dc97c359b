"""The training of pix2pixHD: a picture from a condition, learnt from pairs of both.

Wang et al., CVPR 2018, arXiv 1711.11585. Each step improves the generator (with the encoder of styles) against the
discriminator's judgement and towards the real picture's features, then the discriminator. There is no direct
distance between pixels in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from augforge.algorithms.metrics import grid_ratio
from augforge.data.ids import key, seed_of
from augforge.errors import ModelError
from augforge.models.networks.paired.conditions import Conditioner, Kind
from augforge.models.networks.paired.instances import instance_mean
from augforge.models.networks.paired.model import Arch, Architecture, PairedModel, facts_of, fill_weights, parts_of
from augforge.models.networks.paired.networks import Features, MultiscaleDiscriminator, halve, initialise
from augforge.models.networks.paired.styles import StyleCodes
from augforge.models.networks.upsampling import Upsampling
from augforge.models.tensors import frozen, to_unit
from augforge.training.images import TrainingImages
from augforge.training.paired import losses
from augforge.training.paired.examples import MOST_VIEWED, Examples, fit_conditioner, stacked
from augforge.training.paired.grids import grid_of
from augforge.training.paired.perceptual import load_vgg19
from augforge.training.paired.phases import Phase, asleep, at_full_size, drawing, phase_at
from augforge.training.task import Batch, Result, SampleGrid, TrainingContext, TrainingTask

BETAS = (0.5, 0.999)
PERCEPTUAL_WEIGHT = 10.0
FEW = 64
"""Training images whose instances give the style codes while the training lasts."""


@dataclass(frozen=True, slots=True)
class PairedOptions:
    """How pix2pixHD is trained.

    Attributes:
        arch: `pix2pixhd` the global generator; `pix2pixhd-local` with an enhancer at twice its size around it.
        condition: what the image is made from; see `Conditioner`.
        size: the side of the squares, in px; divisible by 2**downs, and once more by 2 with an enhancer.
        width: channels of the first layer, of the discriminator too.
        blocks: residual blocks, as in `GlobalGenerator`.
        downs: how often the generator halves the sides, likewise.
        batch: images per step, in this process.
        rate: learning rate of Adam.
        scales: levels of the discriminator's pyramid.
        feature_weight: multiplies the feature matching.
        pixel_weight: multiplies the L1 distance of pixels in [-1, 1], as in pix2pix (arXiv 1611.07004, which takes
            100); pix2pixHD has none.
        perceptual: a file with torchvision's VGG19 weights, for the perceptual loss; none without it.
        instances: whether a plane shows the seams between the label map's instances.
        style: whether the generator is also given how each instance looks, so that it can be varied.
        by_class: whether the image's class is part of the condition.
        upsampling: how the generator doubles the sides; `transposed` as published, which leaves a grid.
    """

    arch: Arch = "pix2pixhd"
    condition: Kind = "labelmap"
    size: int = 256
    width: int = 64
    blocks: int = 9
    downs: int = 4
    batch: int = 1
    rate: float = 2e-4
    scales: int = 2
    feature_weight: float = 10.0
    pixel_weight: float = 0.0
    perceptual: str | Path | None = None
    instances: bool = False
    style: bool = False
    by_class: bool = False
    upsampling: Upsampling = "resize"

    def architecture(self) -> Architecture:
        """The generator's. RecipeError if it does not go with the size."""
        found = Architecture(self.arch, self.width, self.downs, self.blocks, self.style, self.upsampling)
        found.check(self.size)
        return found


class PairedTask(TrainingTask):
    """Pairs of condition and picture; see `paired_task`."""

    def __init__(self, examples: Examples, context: TrainingContext, options: PairedOptions) -> None:
        super().__init__(context)
        self.examples, self.options = examples, options
        self.architecture = architecture = options.architecture()
        self.conditioner = examples.conditioner
        self.done = 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(key(context.seed, "initial weights")))
            self.generator = architecture.generator(self.conditioner)
            self.encoder = architecture.encoder() if architecture.style else None
            channels = self.conditioner.channels + 3
            self.discriminator = MultiscaleDiscriminator(channels, architecture.width, scales=options.scales)
            painters = [self.generator] if self.encoder is None else [self.generator, self.encoder]
            for net in (*painters, self.discriminator):
                initialise(net)
        self.nets = dict(zip(("generator", "encoder"), painters, strict=False)) | {"discriminator": self.discriminator}
        if options.perceptual is not None:
            self.frozen["perceptual"] = load_vgg19(options.perceptual)
        self.optimizers = {"generator": self._adam(*painters), "discriminator": self._adam(self.discriminator)}

    def batch(self, random: np.random.Generator) -> Batch:
        """Random squares of random training pictures."""
        return stacked([self.examples.drawn(random) for _ in range(self.options.batch)])

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """The generator first, then the discriminator, which sees the same fakes."""
        phase = self._phase(self.done)
        with frozen(*asleep(phase, self.generator, self.encoder)):
            inputs, condition, real = self._inputs(batch), batch["condition"], batch["real"]
            if phase is Phase.COARSE:
                inputs, condition, real = halve(inputs), halve(condition), halve(real)
            fake = drawing(phase, self.generator)(inputs)
            of_real = self.discriminator(torch.cat([condition, real], 1))
            parts = self._generator_losses(condition, real, fake, of_real)
            self.update("generator", torch.stack(list(parts.values())).sum())
        judged = losses.discrimination(of_real, self.discriminator(torch.cat([condition, fake.detach()], 1)))
        self.update("discriminator", judged)
        self.done += 1
        return {name: loss.detach() for name, loss in parts.items()} | {"discriminator": judged.detach()}

    def sample_grid(self) -> SampleGrid:
        """Condition, made and real, of a few examples."""
        shown = [self.examples.fixed(index) for index in self.examples.shown]
        return grid_of(self.conditioner, shown, self._model().make([one.prepared for one in shown]))

    def measure(self) -> dict[str, float]:
        """`l1`, in [0, 1], between made and real pictures, that of the training images' mean image, and their ratio.

        `grid_ratio` is how much more of a grid of 2 or 4 px is in the made ones (see `grid_ratio`); `held_out` counts
        the examples that this is about; where it is 0, training images stand in for them.
        """
        model = self._model()
        parts = list(self.examples.batches(self.examples.measured))
        real = np.concatenate([to_unit(torch.stack([one.real for one in ready])) for ready in parts])
        made = np.concatenate([model.make([one.prepared for one in ready]) for ready in parts])
        l1, baseline = float(np.abs(made - real).mean()), float(np.abs(self._mean_image - real).mean())
        return {
            "l1": l1,
            "l1_mean_image": baseline,
            "l1_ratio": l1 / baseline if baseline else float("nan"),
            "grid_ratio": grid_ratio(made, real),
            "held_out": float(len(real) if self.examples.apart else 0),
        }

    def outputs(self) -> NDArray[np.float32] | None:
        """(n, s, s, 3) in [0, 1], for the different conditions of the sheet; None where they are all alike."""
        shown = [self.examples.fixed(index).prepared for index in self.examples.shown]
        different = {one.condition.numpy().tobytes(): one for one in shown}
        return self._model().make(list(different.values())) if len(different) > 1 else None

    def result(self) -> Result:
        """The generator, and with a style its encoder and the codes of the training images' instances."""
        parts = {name: net for name, net in self.nets.items() if name != "discriminator"}
        weights = {f"{part}.{name}": value for part, net in parts.items() for name, value in net.state_dict().items()}
        if (codes := self._codes(MOST_VIEWED)) is not None:
            weights |= {"style.codes": codes.codes, "style.sizes": codes.sizes}
        saved = {name: value.detach().cpu().clone() for name, value in weights.items()}
        return Result(saved, facts_of(self.architecture, self.conditioner))

    def state_dict(self) -> dict[str, Any]:
        """How many steps are done: the phase depends on nothing else."""
        return {"done": self.done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on after the steps that are done."""
        self.done = int(state["done"])

    def continue_from(self, earlier: Result) -> None:
        """Take the weights of an earlier training; the discriminator starts anew."""
        fill_weights(self.generator, earlier.weights, "generator")
        if self.encoder is not None:
            fill_weights(self.encoder, earlier.weights, "encoder")

    def _phase(self, step: int) -> Phase:
        return phase_at(step, self.context.steps, self.architecture.is_local)

    def _inputs(self, batch: Batch) -> Tensor:
        """The condition, beside it the style of the real picture's instances."""
        condition: Tensor = batch["condition"]
        if self.encoder is None:
            return condition
        return torch.cat([condition, instance_mean(self.encoder(batch["real"]), batch["ids"])], 1)

    def _generator_losses(self, condition: Tensor, real: Tensor, fake: Tensor, of_real: Features) -> dict[str, Tensor]:
        with frozen(self.discriminator):
            of_fake = self.discriminator(torch.cat([condition, fake], 1))
        matching = losses.feature_matching(of_real, of_fake)
        found = {
            "adversarial": losses.adversarial(of_fake, True),
            "features": self.options.feature_weight * matching,
        }
        if self.options.pixel_weight:
            found["pixels"] = self.options.pixel_weight * (fake - real).abs().mean()
        if teacher := self.frozen.get("perceptual"):
            with torch.no_grad():
                wanted = teacher(real)
            found["perceptual"] = PERCEPTUAL_WEIGHT * losses.perceptual(wanted, teacher(fake))
        return found

    def _model(self) -> PairedModel:
        """What draws by now; its style codes are those of a few training images."""
        drawing = at_full_size(self._phase(max(0, self.done - 1)), self.generator)
        return PairedModel(drawing, self.conditioner, self._codes(FEW), self.architecture.step)

    def _codes(self, most: int) -> StyleCodes | None:
        if self.encoder is None:
            return None
        return self.examples.style_codes(self.encoder, most, self.context.device, self.context.seed)

    @cached_property
    def _mean_image(self) -> NDArray[np.float32]:
        return self.examples.mean_image()

    def _adam(self, *nets: nn.Module) -> torch.optim.Adam:
        parameters = [parameter for net in nets for parameter in net.parameters()]
        return torch.optim.Adam(parameters, self.options.rate, BETAS)


def paired_task(
    pictures: TrainingImages,
    held_out: TrainingImages,
    context: TrainingContext,
    options: PairedOptions,
    start_from: Result | None = None,
) -> PairedTask:
    """A training over `pictures`; those `held_out` are only measured.

    Args:
        start_from: the result of an earlier training of the same networks, to go on from.

    Raises:
        RecipeError: options, masks or classes that do not go together.
        ModelError: `start_from` or the file of `perceptual` do not fit.
    """
    architecture = options.architecture()
    conditioner = fit_conditioner(pictures, options.condition, options.size, options.instances, options.by_class)
    if start_from is not None:
        conditioner = _same(conditioner, architecture, start_from)
    training_task = PairedTask(Examples(pictures, held_out, conditioner), context, options)
    if start_from is not None:
        training_task.continue_from(start_from)
    return training_task


def _same(conditioner: Conditioner, architecture: Architecture, earlier: Result) -> Conditioner:
    """The conditioner of an earlier training, at today's size. ModelError where it differs from what is asked for."""
    before, known = parts_of(earlier.facts)
    if before != architecture:
        raise ModelError(f"start-from is {before}, not {architecture}", "give the same options as then")
    if conditioner.values > known.values or replace(conditioner, values=known.values, size=known.size) != known:
        raise ModelError(f"start-from was trained for {known}, not {conditioner}", "give the same options as then")
    return replace(known, size=conditioner.size)
