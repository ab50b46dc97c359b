"""The low-rank layers (LoRA, Hu et al., ICLR 2022) of a denoiser and its text encoders, by peft."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from diffusers.loaders.lora_base import LORA_ADAPTER_METADATA_KEY
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import Tensor, nn

from augforge.errors import ModelError
from augforge.models.peft_adapters import with_adapter_methods
from augforge.training.lora.denoisers import Denoiser

TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")
"""The layers of a text encoder that get a LoRA."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large the low-rank layers are: `rank`, and `alpha` (they are scaled by alpha / rank).

    They are added to the layers called `targets`; without any, to those of the attention. Of rank 0 there are none.
    """

    rank: int
    alpha: int
    targets: Sequence[str]


class Adapters:
    """LoRAs of one denoiser, by name; one of them learns at a time, and everything else never does.

    Args:
        denoiser: whose network gets them, and whose text encoders with `texts`.
        names: of the LoRAs; a new one changes nothing, as its second matrix is zero.
        size: of the layers; with a rank of 0 no layer is added, and the networks stay what they are.
    """

    def __init__(self, denoiser: Denoiser, names: Sequence[str], size: Size, texts: bool) -> None:
        if texts and not denoiser.text_encoders:
            kind = type(denoiser.pipe).__name__
            raise ModelError(
                f"{kind} reads no text, or not by CLIP: no text encoder can learn", "leave text-encoder out"
            )
        _freeze(denoiser.pipe)
        self.names, self._size = list(names), size
        self.parts: dict[str, Any] = {}
        self._targets: dict[str, Sequence[str]] = {}
        if size.rank:
            self._choose(denoiser, texts)
        for name in names:
            for prefix, part in self.parts.items():
                self._add(part, name, self._targets[prefix])
        for weight in self.weights():
            weight.data = weight.data.float()
        self.activate(self.names[0])

    def _choose(self, denoiser: Denoiser, texts: bool) -> None:
        self.parts = {denoiser.prefix: with_adapter_methods(denoiser.net)}
        self._targets = {denoiser.prefix: self._size.targets or denoiser.targets}
        if texts:
            self.parts |= {name: getattr(denoiser.pipe, name) for name in denoiser.text_encoders}
            self._targets |= dict.fromkeys(denoiser.text_encoders, TEXT_TARGETS)

    def _add(self, part: Any, name: str, targets: Sequence[str]) -> None:
        size = self._size
        config = LoraConfig(
            r=size.rank, lora_alpha=size.alpha, target_modules=list(targets), init_lora_weights="gaussian"
        )
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Already found a `peft_config`")  # several are meant
                part.add_adapter(config, adapter_name=name)
        except ValueError as error:
            raise ModelError(
                f"no LoRA can be added to {type(part).__name__}: {error}", "name layers that it has in `targets`"
            ) from error

    def activate(self, name: str) -> None:
        """From now on this one is used, and learns."""
        for part in self.parts.values():
            part.set_adapter(name)

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Meanwhile the networks answer as they did before."""
        for part in self.parts.values():
            part.disable_adapters()
        try:
            yield
        finally:
            for part in self.parts.values():
                part.enable_adapters()

    def weights(self) -> list[nn.Parameter]:
        """The weights of all LoRAs, always in the same order."""
        named = [(name, weight) for part in self.parts.values() for name, weight in part.named_parameters()]
        return [weight for name, weight in named if ".lora_A." in name or ".lora_B." in name]

    def state(self, name: str) -> dict[str, Tensor]:
        """The weights of one LoRA on the CPU, by their names in a file of diffusers."""
        found = {}
        for prefix, part in self.parts.items():
            for key, value in get_peft_model_state_dict(part, adapter_name=name).items():
                found[f"{prefix}.{key}"] = value.detach().float().cpu().clone()
        return found

    def metadata(self) -> dict[str, str]:
        """What diffusers reads beside the weights: rank, alpha and layers of each network."""
        about = {
            f"{prefix}.{key}": value
            for prefix, targets in self._targets.items()
            for key, value in _described(self._size, targets).items()
        }
        return {LORA_ADAPTER_METADATA_KEY: json.dumps(about, sort_keys=True)}


def _freeze(pipe: Any) -> None:
    for part in pipe.components.values():
        if isinstance(part, nn.Module):
            part.requires_grad_(False)


def _described(size: Size, targets: Sequence[str]) -> Mapping[str, Any]:
    return {"r": size.rank, "lora_alpha": size.alpha, "target_modules": list(targets)}
