"""What a hook must know of a denoiser's call: its arguments by name, its batch, and whether it serves CFG."""

from __future__ import annotations

import inspect
from inspect import BoundArguments
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def denoiser_of(pipe: Any) -> Any:
    """The network that predicts noise: `pipe.unet`, or else `pipe.transformer`.

    Raises:
        ValueError: the pipeline has neither.
    """
    denoiser = getattr(pipe, "unet", None)
    if denoiser is None:
        denoiser = getattr(pipe, "transformer", None)
    if denoiser is None:
        raise ValueError(f"{type(pipe).__name__} has neither a unet nor a transformer to hook into")
    return denoiser


def call_of(denoiser: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> BoundArguments:
    """The arguments of a call by name, in the order of the denoiser's signature: the noisy sample is the first."""
    return inspect.signature(denoiser.forward).bind(*args, **kwargs)


def sample_of(call: BoundArguments) -> Tensor:
    """The noisy sample (rows, channels, height, width) of a call."""
    sample: Tensor = next(iter(call.arguments.values()))
    return sample


def rows_of_call(call: BoundArguments, rows: slice) -> BoundArguments:
    """The call for some rows of its batch: each tensor as long as the batch, however nested, keeps only those."""
    total = sample_of(call).shape[0]
    part = BoundArguments(call.signature, call.arguments.copy())
    for name, value in call.arguments.items():
        part.arguments[name] = _rows(value, rows, total)
    return part


def _rows(value: Any, rows: slice, total: int) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return value[rows] if value.ndim > 0 and value.shape[0] == total else value
    if isinstance(value, dict):
        return {key: _rows(item, rows, total) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_rows(item, rows, total) for item in value)
    return value


def is_doubled(pipe: Any, sample: Tensor) -> bool:
    """Whether a sample is a classifier-free-guidance batch: the unconditional rows, then the conditional ones.

    Pipelines feed the same latents to both halves, so the halves are equal. A pipeline that says by its public
    `do_classifier_free_guidance` that it does not guide is believed; one without that property (StableUnCLIP) could be
    mistaken only when every latent is there twice.
    """
    import torch

    rows = sample.shape[0]
    if rows % 2 or getattr(pipe, "do_classifier_free_guidance", True) is False:
        return False
    return torch.equal(sample[: rows // 2], sample[rows // 2 :])
