"""Perp-Neg: a negative prompt takes away only what it does not share with the positive one.

Armandpour et al., 2023, *Re-imagine the Negative Prompt Algorithm: Transform 2D Diffusion into 3D, alleviate Janus
problem and Beyond*, arXiv:2304.04968. With the directions d_p = e_pos - e_u and d_i = e_neg_i - e_u, the guided
prediction is

    e_u + s (d_p - sum_i |w_i| (d_i - <d_i, d_p> / |d_p|^2 d_p))

so what a negative has in common with the positive stays, and the strength along d_p is that of plain guidance. The
inner products are of one sample, over all its channels and pixels. Predictions of noise, of v and of the clean sample
differ by a factor and an offset common to all prompts, so the formula holds for each of them.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import BoundArguments
from typing import TYPE_CHECKING, Any

from augforge.algorithms.guidance.denoiser import call_of, denoiser_of, is_doubled, rows_of_call, sample_of

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST = 1e-6
"""The least |d_p|^2 to divide by: where the positive prompt says nothing, all of a negative counts as perpendicular."""


def perp_neg_direction(
    unconditional: Tensor, positive: Tensor, negatives: Sequence[Tensor], weights: Sequence[float]
) -> Tensor:
    """The direction that takes the place of `positive - unconditional` in classifier-free guidance.

    Args:
        unconditional: (b, c, h, w) the prediction without a prompt.
        positive: (b, c, h, w) the prediction for the prompt.
        negatives: one (b, c, h, w) prediction for each negative prompt.
        weights: the strength of each negative prompt; the sign is ignored, 0 switches it off.

    Returns:
        (b, c, h, w) in float32 (float64 for float64 predictions).

    Raises:
        ValueError: not as many weights as negatives.
    """
    import torch

    dtype = torch.promote_types(unconditional.dtype, torch.float32)
    start = unconditional.to(dtype)
    along = positive.to(dtype) - start
    axes = tuple(range(1, along.ndim))
    squared = along.square().sum(axes, keepdim=True).clamp_min(SMALLEST)
    direction = along
    for negative, weight in zip(negatives, weights, strict=True):
        away = negative.to(dtype) - start
        shared = (away * along).sum(axes, keepdim=True) / squared
        direction = direction - abs(weight) * (away - shared * along)
    return direction


def perp_neg(
    unconditional: Tensor,
    positive: Tensor,
    negatives: Sequence[Tensor],
    weights: Sequence[float],
    scale: float = 1.0,
) -> Tensor:
    """The guided prediction (b, c, h, w), of the dtype of `unconditional`; see `perp_neg_direction` for the arguments.

    Args:
        scale: the guidance scale s; 1 gives the prediction to hand to a pipeline that guides by itself.
    """
    direction = perp_neg_direction(unconditional, positive, negatives, weights)
    return (unconditional.to(direction.dtype) + scale * direction).to(unconditional.dtype)


@contextmanager
def perp_neg_guidance(pipe: Any, negatives: Sequence[tuple[str, float]]) -> Iterator[None]:
    """While the block lasts, `pipe(...)` guides away from the negative texts by Perp-Neg.

    The pipeline's denoiser gets a forward hook. The hook sees each classifier-free-guidance batch
    [unconditional, conditional], asks the denoiser once more for each distinct negative text, and replaces the
    conditional prediction by `perp_neg`, which the pipeline's own guidance then makes the Perp-Neg result. Each text
    costs one call with half as many rows as the pipeline's own.

    A negative's rows are the unconditional rows with the text's embedding in place of the text: its direction is what
    the text alone does. So StableUnCLIP's `class_labels` are those of no image, an IP-Adapter's or ControlNet's input
    is that of the unconditional rows, and SDXL's `added_cond_kwargs` hold the text's pooled embedding and the
    unconditional `time_ids`. A text equal to the pipeline's own `negative_prompt` therefore changes nothing. Without
    weights other than 0 the block is the plain pipeline.

    Args:
        pipe: a diffusers pipeline with `encode_prompt` and a `unet` or `transformer` whose batch is doubled for
            guidance, such as Stable Diffusion, SDXL, Stable Diffusion 3 and StableUnCLIP, from text or image.
        negatives: (text, weight) pairs; the sign of a weight is ignored, and the weights of equal texts add up.

    Raises:
        ValueError: a weight that is not finite; no denoiser; and, at the denoiser's first call, a batch that is not
            doubled (guidance scale at most 1, or a pipeline that guides by separate calls or by three prompts), or a
            denoiser that wants a mask over the text or predicts a variance too.
    """
    denoiser = denoiser_of(pipe)
    strengths = _strengths(negatives)
    if not strengths:
        yield
        return
    hook = _Hook(pipe, [_encode(pipe, text) for text in strengths], list(strengths.values()))
    handle = denoiser.register_forward_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _strengths(negatives: Sequence[tuple[str, float]]) -> dict[str, float]:
    strengths: dict[str, float] = {}
    for text, weight in negatives:
        if not math.isfinite(weight):
            raise ValueError(f"the weight of the negative {text!r} is {weight}, not a finite number")
        if weight:
            strengths[text] = strengths.get(text, 0.0) + abs(weight)
    return strengths


@dataclass(frozen=True)
class _Text:
    tokens: Tensor  # (1, tokens, d)
    pooled: Tensor | None  # (1, d), where the pipeline uses one


def _encode(pipe: Any, text: str) -> _Text:
    import torch

    given = {
        "prompt": text,
        "prompt_2": None,
        "prompt_3": None,
        "device": pipe.device,
        "num_images_per_prompt": 1,
        "do_classifier_free_guidance": False,
    }
    known = inspect.signature(pipe.encode_prompt).parameters
    with torch.no_grad():
        encoded = pipe.encode_prompt(**{name: value for name, value in given.items() if name in known})
    pooled = encoded[2] if len(encoded) == 4 else None  # (tokens, negative tokens, pooled, negative pooled)
    return _Text(encoded[0], pooled)


class _Hook:
    """A forward hook that replaces the conditional half of the denoiser's prediction."""

    def __init__(self, pipe: Any, texts: Sequence[_Text], weights: Sequence[float]) -> None:
        self._pipe = pipe
        self._texts = texts
        self._weights = weights
        self._asking = False

    def __call__(self, denoiser: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        if self._asking:  # this is one of our own calls
            return None
        import torch

        call = call_of(denoiser, args, kwargs)
        self._check(call, output[0])
        unconditional, positive = output[0].chunk(2)
        plain = rows_of_call(call, slice(len(unconditional)))
        negatives = [self._ask(denoiser, _with_text(plain, text)) for text in self._texts]
        result = torch.cat([unconditional, perp_neg(unconditional, positive, negatives, self._weights)])
        return (result, *output[1:]) if isinstance(output, tuple) else type(output)(sample=result)

    def _check(self, call: BoundArguments, prediction: Tensor) -> None:
        sample = sample_of(call)
        if not is_doubled(self._pipe, sample):
            raise ValueError(
                f"Perp-Neg needs classifier-free guidance, but the denoiser was given {sample.shape[0]} rows that are "
                "not an unconditional and a conditional half: is the guidance scale above 1?"
            )
        if call.arguments.get("encoder_attention_mask") is not None:
            raise ValueError(f"Perp-Neg does not know the text masks of {type(self._pipe).__name__}")
        if prediction.shape[1] > sample.shape[1]:
            raise ValueError(f"Perp-Neg does not know the variances that {type(self._pipe).__name__} predicts")

    def _ask(self, denoiser: Any, call: BoundArguments) -> Tensor:
        self._asking = True
        try:
            prediction: Tensor = denoiser(*call.args, **call.kwargs)[0]
        finally:
            self._asking = False
        return prediction


def _with_text(call: BoundArguments, text: _Text) -> BoundArguments:
    """The call with a text in place of its own."""
    arguments = call.arguments.copy()
    arguments["return_dict"] = False
    arguments["encoder_hidden_states"] = _like(text.tokens, arguments["encoder_hidden_states"])
    if text.pooled is not None and "pooled_projections" in arguments:
        arguments["pooled_projections"] = _like(text.pooled, arguments["pooled_projections"])
    added = arguments.get("added_cond_kwargs") or {}
    if text.pooled is not None and "text_embeds" in added:
        arguments["added_cond_kwargs"] = {**added, "text_embeds": _like(text.pooled, added["text_embeds"])}
    return BoundArguments(call.signature, arguments)


def _like(embedding: Tensor, other: Tensor) -> Tensor:
    """One embedding (1, ...) for each row of another, of its dtype and on its device."""
    return embedding.to(other).expand(other.shape[0], *embedding.shape[1:])
