"""LoRAs in a pipeline: loaded beside its weights, and chosen for each row of a request."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from augforge.errors import ModelError
from augforge.models.backends.base import Request
from augforge.models.backends.checkpoint import digest, fetch, refuse_pickles
from augforge.models.backends.options import Options
from augforge.models.backends.prompts import Prompts
from augforge.models.loras import SET, LoraFile, LoraFiles, lora_files
from augforge.models.peft_adapters import with_adapter_methods
from augforge.models.tasks import LORA_WEIGHTS
from augforge.optional import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from augforge.models.table import Model

Weights = dict[str, float]
"""How much of which LoRA, by its name in the pipeline."""


class Loras:
    """The LoRAs of one pipeline.

    Those of a set act on every row; those of a class or an image on the rows that ask for them. A pipeline has the
    same LoRAs for all rows of a call, so rows with others are made in another call: of as many rows, each in its own
    place, so that an image does not depend on which LoRAs its neighbours have. What has a scale or a share of 0 is left
    out, not multiplied by it, and the new words that go with a scale of 0 stay unknown: so it is the model itself.
    """

    def __init__(self, pipe: Any, denoiser: Any, prompts: Prompts, options: Options) -> None:
        self._pipe, self._denoiser, self._prompts = pipe, denoiser, prompts
        self._switch: Any = pipe if hasattr(pipe, "load_lora_weights") else denoiser
        self._always: Weights = {}
        self._named: dict[tuple[str, str], tuple[str, float]] = {}
        self._active: Weights | None = None
        self.facts = [self._loaded(place, model, scale, options) for place, (model, scale) in enumerate(options.loras)]
        if self.facts:
            self._activate(self._always)

    def each(self, request: Request, make: Callable[[Request], NDArray[np.float32]]) -> NDArray[np.float32]:
        """(n, h, w, 3) what `make` gives for the rows, each with its own LoRAs."""
        if not self.facts:
            return make(request)
        wanted = [self._wanted(row) for row in request.loras or [{}] * len(request)]
        made: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(wanted)
        for weights in _distinct(wanted):
            members = [place for place, each in enumerate(wanted) if each == weights]
            self._activate(weights)
            pictures = make(request.taken([n if n in members else members[0] for n in range(len(wanted))]))
            for place in members:
                made[place] = pictures[place]
        return np.stack(made)

    def _loaded(self, place: int, model: Model, scale: float, options: Options) -> dict[str, Any]:
        """Load one model's LoRAs; what provenance records of it."""
        require("peft", who="a LoRA")
        found = _found(model, options)
        for number, file in enumerate(found.files):
            name = f"lora-{place}-{number}"
            self._load(name, file.path, model)
            if found.per == SET:
                self._always[name] = scale
            else:
                self._named[model.name, file.of] = name, scale
        if found.words is not None and scale:
            self._learn_words(found.words, model)
        fetched = {} if model.directory or model.identity else {"digest": digest(found.files[0].path)}
        return {**model.facts(), **fetched, "scale": scale, "per": found.per}

    def _learn_words(self, path: Path, model: Model) -> None:
        require("safetensors", who="a LoRA with new words")
        from safetensors.torch import load_file

        if not hasattr(self._pipe, "load_textual_inversion"):
            raise ModelError(f"{model.name!r} has new words, which this model cannot learn", _HINT)
        try:
            for word, row in load_file(path).items():
                self._pipe.load_textual_inversion({word: row})
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(f"the new words of {model.name!r} do not fit this model: {error}", _HINT) from error

    def _load(self, name: str, path: Path, model: Model) -> None:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Already found a `peft_config`")  # several are meant
                self._load_from(name, path)
        except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
            raise ModelError(f"the LoRA {model.name!r} does not fit this model: {error}", _HINT) from error
        if not any(name in _loras_of(part) for part in self._parts):
            raise ModelError(f"no layer of the LoRA {model.name!r} is one of this model's", _HINT)

    def _load_from(self, name: str, path: Path) -> None:
        where: Any = {"weight_name": path.name, "adapter_name": name}
        if self._switch is self._pipe:
            self._pipe.load_lora_weights(str(path.parent), **where)
        else:  # Kandinsky's decoder and PixArt: the pipeline knows of no LoRA, the denoiser does
            prefix = "unet" if "unet" in self._pipe.components else "transformer"
            with_adapter_methods(self._denoiser).load_lora_adapter(str(path.parent), prefix=prefix, **where)

    @property
    def _parts(self) -> list[Any]:
        texts = [part for name, part in self._pipe.components.items() if name.startswith("text_encoder")]
        return [self._denoiser, *(part for part in texts if part is not None)]

    def _wanted(self, row: Mapping[str, Mapping[str, float]]) -> Weights:
        wanted = dict(self._always)
        for model, shares in row.items():
            for of, share in shares.items():
                if (model, of) not in self._named:
                    raise ModelError(f"the LoRA {model!r} has none of {of!r}", "was it trained on other images?")
                name, scale = self._named[model, of]
                wanted[name] = share * scale
        return wanted

    def _activate(self, weights: Weights) -> None:
        if weights == self._active:
            return
        acting = {name: weight for name, weight in weights.items() if weight}
        if acting:
            self._switch.enable_lora()
            self._switch.set_adapters(list(acting), list(acting.values()))
        elif any(_loras_of(part) for part in self._parts):
            self._switch.disable_lora()
        self._prompts.forget()  # text encoders may have LoRAs, too
        self._active = weights


_HINT = "a LoRA is for the model that it was trained with, or one of the same architecture"


def _found(model: Model, options: Options) -> LoraFiles:
    """Where a model's LoRAs lie, brought from the hub if it is there."""
    if model.directory is not None:
        found = lora_files(model)
    else:
        inside = model.location.removeprefix("hub:").split("/", 2)
        file = inside[2] if len(inside) > 2 else LORA_WEIGHTS
        path = fetch(f"hub:{'/'.join(inside[:2])}/{file}", model.revision, options)
        found = LoraFiles(SET, (LoraFile("", path),))
    for each in found.files:
        refuse_pickles(each.path, [], options)
    return found


def _loras_of(part: Any) -> Mapping[str, Any]:
    return getattr(part, "peft_config", None) or {}


def _distinct(rows: Sequence[Weights]) -> list[Weights]:
    found: list[Weights] = []
    for row in rows:
        if row not in found:
            found.append(row)
    return found
