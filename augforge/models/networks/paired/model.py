"""A trained pix2pixHD: the plain facts and weights that are saved of it, and pictures out of conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from augforge.errors import ModelError, RecipeError
from augforge.models.networks.paired.conditions import Conditioner, Prepared
from augforge.models.networks.paired.networks import GlobalGenerator, LocalEnhancer, StyleEncoder
from augforge.models.networks.paired.styles import Choice, StyleCodes
from augforge.models.networks.upsampling import Upsampling, with_upsampling
from augforge.models.tensors import eval_mode, to_unit

Arch = Literal["pix2pixhd", "pix2pixhd-local"]
Pixels = NDArray[np.uint8]
Example = tuple[Pixels, Pixels | None, str | None]
"""An image (h, w, 3), its mask if there is one, and its class."""
STYLE_CHANNELS = 3
STYLE_WIDTH = 16
LOCAL_BLOCKS = 3
HINT = "was the model's directory changed? train it again"


@dataclass(frozen=True, slots=True)
class Architecture:
    """Which networks, and how large: `width` is that of the global generator; style needs an encoder.

    Models of before `upsampling` was an option have transposed convolutions.
    """

    arch: Arch
    width: int
    downs: int
    blocks: int
    style: bool = False
    upsampling: Upsampling = "transposed"

    @property
    def is_local(self) -> bool:
        """Whether an enhancer works at twice the size of the global generator."""
        return self.arch == "pix2pixhd-local"

    @property
    def step(self) -> int:
        """What the sides of a condition must be divisible by."""
        return 1 << (self.downs + self.is_local)

    def check(self, size: int) -> None:
        """Raise RecipeError for a size that the networks cannot halve so often."""
        step = self.step
        if size % step or size < 2 * step:
            raise RecipeError(
                f"size {size} does not go with {self.downs} downs", f"for {self.arch} take {2 * step}, {3 * step}, …"
            )
        if self.is_local and self.width % 2:
            raise RecipeError(f"width {self.width} is odd; the enhancer of {self.arch} is half as wide")

    def generator(self, conditioner: Conditioner) -> nn.Module:
        """The network that draws: (b, c, s, s) to (b, 3, s, s), where c counts the style's channels too."""
        channels = conditioner.channels + STYLE_CHANNELS * self.style
        coarse = GlobalGenerator(channels, 3, self.width, self.downs, self.blocks)
        net = LocalEnhancer(coarse, channels, 3, self.width // 2, LOCAL_BLOCKS) if self.is_local else coarse
        return with_upsampling(net, self.upsampling)

    def encoder(self) -> StyleEncoder:
        """What finds a style in a real picture."""
        return StyleEncoder(3, STYLE_CHANNELS, STYLE_WIDTH, self.downs)


def facts_of(architecture: Architecture, conditioner: Conditioner) -> dict[str, Any]:
    """What `load_paired` needs beside the weights, as JSON can hold it."""
    return {"architecture": asdict(architecture), "conditioner": conditioner.facts()}


def parts_of(facts: Mapping[str, Any]) -> tuple[Architecture, Conditioner]:
    """The architecture and the conditioner that `facts_of` described. ModelError for anything else."""
    try:
        return Architecture(**facts["architecture"]), Conditioner.from_facts(facts["conditioner"])
    except (KeyError, TypeError) as error:
        raise ModelError(f"these facts describe no paired model: {error!r}", HINT) from error


def named(weights: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The weights of one part, without its name."""
    return {name.removeprefix(part + "."): value for name, value in weights.items() if name.startswith(part + ".")}


def fill_weights(net: nn.Module, weights: Mapping[str, Tensor], part: str) -> None:
    """Load one part's weights. ModelError where they are not exactly those of the network."""
    try:
        net.load_state_dict(named(weights, part))
    except RuntimeError as error:
        raise ModelError(f"the weights do not fit the {part}: {str(error).splitlines()[-1].strip()}", HINT) from error


class PairedModel:
    """Draws pictures from conditions, each as large as its condition. An output depends on no other of its batch.

    Args:
        generator: the network, on its device, for the conditions of `conditioner`.
        codes: the style codes, if the network was trained with a style.
        step: what the sides of a condition must be divisible by.
    """

    def __init__(self, generator: nn.Module, conditioner: Conditioner, codes: StyleCodes | None, step: int) -> None:
        self.generator = generator
        self.conditioner = conditioner
        self.codes = codes
        self.step = step

    def whole(self, width: int, height: int) -> tuple[int, int]:
        """Width and height at which a picture can be drawn as a whole: the shorter side becomes the model's size.

        The longer one keeps the shape as well as a multiple of `step` can.
        """
        scale = self.conditioner.size / min(width, height)
        wide, high = (
            max(self.conditioner.size, round(side * scale / self.step) * self.step) for side in (width, height)
        )
        return wide, high

    def prepare(self, image: Pixels, mask: Pixels | None, label: str | None) -> Prepared:
        """The condition of the middle of an image (h, w, 3) with its mask (h, w) and its class."""
        return self.conditioner.prepare(*self.conditioner.fit(image, mask), label)

    def make(
        self, conditions: Sequence[Example | Prepared], styles: Sequence[Choice] | None = None
    ) -> NDArray[np.float32]:
        """Pictures (n, h, w, 3) in [0, 1], or NaN where the network failed.

        Args:
            conditions: n examples of any size, of which the middle square is taken, or prepared conditions
                (c, h, w) of one shape, with sides divisible by `step`.
            styles: the n choices of style codes; the mean code of every class without them.

        Raises:
            ModelError: a mask is missing, a class is unknown, or styles are asked of a model that has none.
        """
        if styles is not None and self.codes is None:
            raise ModelError("this model was trained without a style: there is none to choose", "train with `style`")
        ready = [one if isinstance(one, Prepared) else self.prepare(*one) for one in conditions]
        if not ready:
            return np.zeros((0, self.conditioner.size, self.conditioner.size, 3), np.float32)
        choices = [None] * len(ready) if styles is None else styles
        inputs = torch.stack([self._input(one, choice) for one, choice in zip(ready, choices, strict=True)])
        with eval_mode(self.generator):
            drawn = self.generator(inputs.to(self._device))
        return to_unit(drawn)

    @property
    def _device(self) -> torch.device:
        return next(self.generator.parameters()).device

    def _input(self, ready: Prepared, choice: Choice) -> Tensor:
        if self.codes is None:
            return ready.condition
        return torch.cat([ready.condition, self.codes.fill(ready.classes, choice)])


def load_paired(facts: Mapping[str, Any], weights: Mapping[str, Tensor], device: str | torch.device) -> PairedModel:
    """The model that a course's `result` described, on `device`. ModelError where facts and weights do not fit."""
    architecture, conditioner = parts_of(facts)
    generator = architecture.generator(conditioner)
    fill_weights(generator, weights, "generator")
    codes = None
    if architecture.style:
        if not {"style.codes", "style.sizes"} <= weights.keys():
            raise ModelError("the model's style codes are missing", HINT)
        codes = StyleCodes(weights["style.codes"].cpu(), weights["style.sizes"].cpu())
    return PairedModel(generator.to(device).eval().requires_grad_(False), conditioner, codes, architecture.step)
