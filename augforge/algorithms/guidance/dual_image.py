"""Guidance toward one image and away from another: the extended classifier-free guidance of DIPSY, training-free.

Boudier et al., 2025, *Training-Free Synthetic Data Generation with Dual IP-Adapter Guidance*, arXiv:2509.22635: a
positive image of the class and a negative one of a similar class have weights of their own. With e(text, image), and
e_u for neither of the two, the guided prediction is

    e_u + s (e(text, positive) - e_u)                               - w_n (e(-, negative) - e_u)     together, or
    e_u + s (e(text, -) - e_u) + w_p (e(-, positive) - e_u)         - w_n (e(-, negative) - e_u)     apart

Together keeps the pipeline's own joint guidance, so that w_n = 0 is the plain pipeline. Apart each condition has a
weight of its own: a negative image equal to the positive one with w_n = w_p leaves the guidance by the text alone. The
negative is without the text, since what the text says of both classes is not to be taken away. The paper's abstract
states that the two images are weighted independently; the form of the terms is ours.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import BoundArguments
from typing import TYPE_CHECKING, Any

from augforge.algorithms.guidance.denoiser import call_of, denoiser_of, rows_of_call, sample_of

if TYPE_CHECKING:
    from torch import Tensor

IMAGES = "image_embeds"


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of a guided prediction.

    Attributes:
        scale: s, the pipeline's own guidance scale.
        negative: w_n, of the negative image.
        positive: w_p, of the positive image apart from the text; None guides by both together.
    """

    scale: float
    negative: float
    positive: float | None = None


def dual_image_direction(
    unconditional: Tensor, toward: Tensor, negative: Tensor, weights: Weights, positive: Tensor | None = None
) -> Tensor:
    """The direction that takes the place of `conditional - unconditional` in a pipeline's guidance by `weights.scale`.

    Args:
        unconditional: (b, c, h, w) the prediction without text and image.
        toward: (b, c, h, w) that for text and positive image together, or for the text alone.
        negative: (b, c, h, w) that for the negative image alone.
        weights: of the terms.
        positive: (b, c, h, w) that for the positive image alone, where `weights.positive` is given.

    Returns:
        (b, c, h, w) in float32 (float64 for float64 predictions).
    """
    import torch

    dtype = torch.promote_types(unconditional.dtype, torch.float32)
    start = unconditional.to(dtype)
    direction = toward.to(dtype) - start - weights.negative / weights.scale * (negative.to(dtype) - start)
    if weights.positive is None or positive is None:
        return direction
    return direction + weights.positive / weights.scale * (positive.to(dtype) - start)


@contextmanager
def dual_image_guidance(pipe: Any, negatives: Tensor, weights: Weights) -> Iterator[None]:
    """While the block lasts, a call of `pipe` for n prompts is guided away from `negatives`, one for each.

    The U-Net gets a forward hook that sees each batch [unconditional, conditional], and asks it once more for the
    negative images (and twice more where positive image and text are apart), each time with n rows.

    Args:
        pipe: Stable Diffusion 1.5 or XL with an IP-Adapter, whose U-Net is given (2n, k, D) embeddings, zeros first.
        negatives: (n, k, D) embeddings, of as many images k as the positive ones.
        weights: of the guidance; its scale is above 1.
    """
    handle = denoiser_of(pipe).register_forward_hook(_Hook(negatives, weights), with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


class _Hook:
    """A forward hook that replaces the conditional half of the denoiser's prediction."""

    def __init__(self, negatives: Tensor, weights: Weights) -> None:
        self._negatives = negatives
        self._weights = weights

    def __call__(self, denoiser: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        import torch

        call = call_of(denoiser, args, kwargs)
        n = len(self._negatives)
        if len(sample_of(call)) != 2 * n:  # one of our own calls
            return None
        nothing, images = _images_of(call).chunk(2)
        plain, full = rows_of_call(call, slice(n)), rows_of_call(call, slice(n, None))
        unconditional, toward = output[0].chunk(2)
        negative = _asked(denoiser, plain, self._negatives)
        positive = None
        if self._weights.positive is not None:
            toward, positive = _asked(denoiser, full, nothing), _asked(denoiser, plain, images)
        direction = dual_image_direction(unconditional, toward, negative, self._weights, positive)
        guided = (unconditional.to(direction.dtype) + direction).to(unconditional.dtype)
        result = torch.cat([unconditional, guided])
        return (result, *output[1:]) if isinstance(output, tuple) else type(output)(sample=result)


def _images_of(call: BoundArguments) -> Tensor:
    embeds: Tensor = call.arguments["added_cond_kwargs"][IMAGES][0]
    return embeds


def _asked(denoiser: Any, call: BoundArguments, images: Tensor) -> Tensor:
    """The prediction for the rows of a call, with other images."""
    arguments = {**call.arguments, "return_dict": False}
    arguments["added_cond_kwargs"] = {**call.arguments["added_cond_kwargs"], IMAGES: [images]}
    asked = BoundArguments(call.signature, OrderedDict(arguments))
    prediction: Tensor = denoiser(*asked.args, **asked.kwargs)[0]
    return prediction
