"""The generator that a day-to-night training leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from augforge.algorithms.metrics import NightReference
from augforge.errors import ModelError
from augforge.models.networks.translation import ResnetGenerator
from augforge.models.networks.upsampling import with_upsampling

REFERENCE = "reference."
"""Before the names of what is no weight, but kept of the training's days and nights."""


def load_generator(facts: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    """The generator of a finished training: RGB (b, 3, h, w) in [-1, 1] to the same, sides divisible by 4.

    Raises:
        ModelError: facts and weights are not those of such a generator.
    """
    try:
        net = ResnetGenerator(facts["width"], facts["blocks"], norm=facts["norm"])
        with_upsampling(net, facts.get("upsampling", "transposed"))  # which older models do not name
        net.load_state_dict({name: value for name, value in weights.items() if not name.startswith(REFERENCE)})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise ModelError(f"this is no day-to-night generator: {reason}", "train the model again") from error
    return net


def load_reference(weights: Mapping[str, Tensor]) -> NightReference | None:
    """What the training's real nights were like; None of a model of before that was kept."""
    arrays = {
        name.removeprefix(REFERENCE): value.numpy() for name, value in weights.items() if name.startswith(REFERENCE)
    }
    return NightReference.from_arrays(arrays) if arrays else None
