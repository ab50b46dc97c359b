"""Negative Token Merging: push image features away from their nearest features of a reference.

Singh et al., 2024, *Negative Token Merging: Image-based Adversarial Feature Guidance*, arXiv:2412.01339. After a
self-attention block each token h of a picture looks for the token r of the reference with the largest cosine, and where
that cosine exceeds a threshold,

    h <- (1 + alpha) h - alpha r

The maximum is over the *reference* tokens, so the order in which they come does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from augforge.algorithms.guidance.denoiser import call_of, is_doubled, rows_of_call, sample_of

if TYPE_CHECKING:
    from inspect import BoundArguments

    from PIL.Image import Image
    from torch import Tensor


def push_away(tokens: Tensor, reference: Tensor, alpha: float, threshold: float) -> Tensor:
    """Push each token away from the reference token most like it.

    Args:
        tokens: (b, n, d).
        reference: (b, m, d), or (1, m, d) for all rows.
        alpha: the strength; 0 changes nothing.
        threshold: tokens whose largest cosine does not exceed it stay as they are; from 1 on, all do.

    Returns:
        (b, n, d) of the dtype of `tokens`.

    Raises:
        ValueError: a reference of another width, or of neither 1 nor b rows.
    """
    import torch

    if reference.shape[0] not in (1, tokens.shape[0]) or reference.shape[2] != tokens.shape[2]:
        raise ValueError(f"tokens {tuple(tokens.shape)} cannot be compared with a reference {tuple(reference.shape)}")
    rows = reference.expand(tokens.shape[0], -1, -1)
    if not tokens.shape[0]:
        return tokens
    return torch.stack([_push(row, other, alpha, threshold) for row, other in zip(tokens, rows, strict=True)])


def _push(tokens: Tensor, reference: Tensor, alpha: float, threshold: float) -> Tensor:
    import torch
    from torch.nn.functional import normalize

    exact = torch.promote_types(tokens.dtype, torch.float32)
    cosines = normalize(tokens.to(exact), dim=1) @ normalize(reference.to(exact), dim=1).T  # (n, m)
    best, nearest = cosines.clamp(max=1).max(dim=1)
    pushed = tokens + alpha * (tokens - reference[nearest])  # so written, a token is its own reference to the last bit
    return torch.where((best > threshold)[:, None], pushed, tokens)


@contextmanager
def negtome(
    pipe: Any,
    *,
    alpha: float = 0.9,
    threshold: float = 0.7,
    t_range: tuple[float, float] = (1000, 800),
    min_side: int = 32,
    reference: Tensor | None = None,
    seed: int = 0,
) -> Iterator[None]:
    """While the block lasts, the pictures of `pipe(...)` are pushed away from a reference.

    Forward hooks act on the outputs of the self-attention layers of the UNet's up-blocks, whatever their attention
    processors are. The defaults are those published for SDXL.

    Without `reference`, pictures are pushed away from the first picture of their batch, for diversity. The first
    picture is that of the plain pipeline, and a batch of one is unchanged. With classifier-free guidance the
    unconditional and the conditional half each have their own first picture. This couples the pictures of a batch: to
    make one of them again takes the same batch.

    With `reference`, all pictures are pushed away from one given picture. At each step in `t_range` its latents,
    with noise of that step, go through the UNet first, as one row of their own; what its self-attention puts out is
    the reference. That row takes the other inputs of the batch's first row, which with guidance is an unconditional
    one, so a picture does not depend on the others in its batch (if their negative prompts are the same).

    Args:
        pipe: a diffusers pipeline with a `unet`.
        alpha: the strength of the push.
        threshold: the cosine above which tokens are pushed.
        t_range: the first and the last time step, both included, at which to push; time runs down from 1000.
        min_side: the least side, in tokens, of the feature maps to act on. SDXL at 1024 px has 64 and 32.
        reference: (1, c, h, w) the latents of a picture, as `encode_reference` makes them.
        seed: of the noise that is added to the reference.

    Raises:
        ValueError: a range that runs upwards, no UNet or none with self-attention in its up-blocks; and, at the UNet's
            first call, a reference of another size than the latents.
    """
    first, last = t_range
    if first < last:
        raise ValueError(f"time runs down: t_range is (first, last) with first >= last, not {t_range}")
    layers = _self_attention(pipe)
    push = _Push(pipe, _Strength(alpha, threshold, (first, last), min_side), reference, seed)
    with ExitStack() as stack:
        before = pipe.unet.register_forward_pre_hook(push.before_unet, with_kwargs=True)
        stack.callback(before.remove)
        for name, layer in layers.items():
            after = layer.register_forward_hook(push.after_attention(name), with_kwargs=True)
            stack.callback(after.remove)
        yield


def _self_attention(pipe: Any) -> dict[str, Any]:
    unet = getattr(pipe, "unet", None)
    modules = {} if unet is None else dict(unet.named_modules())
    layers = {name: layer for name, layer in modules.items() if "up_blocks." in name and name.endswith(".attn1")}
    if not layers:
        raise ValueError(f"{type(pipe).__name__} has no UNet with self-attention in its up-blocks")
    return layers


def encode_reference(pipe: Any, image: Image, height: int, width: int) -> Tensor:
    """The latents (1, c, h, w) of a picture, resized to `height` x `width` px, for `negtome(reference=)`."""
    import torch

    vae = pipe.vae
    dtype = vae.dtype
    pixels = pipe.image_processor.preprocess(image, height=height, width=width)
    try:
        if vae.config.force_upcast:  # this encoder overflows in half precision
            vae.to(torch.float32)
        with torch.no_grad():
            latents = vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist.mode()
    finally:
        vae.to(dtype)
    scaled: Tensor = latents.to(dtype) * vae.config.scaling_factor
    return scaled


@dataclass(frozen=True, slots=True)
class _Strength:
    """How strongly, above which cosine, at which time steps and from which side on tokens are pushed; see `negtome`."""

    alpha: float
    threshold: float
    t_range: tuple[float, float]
    min_side: int


class _Push:
    """The hooks of one `negtome` block, and what the UNet's hook tells those of its layers."""

    def __init__(self, pipe: Any, strength: _Strength, reference: Tensor | None, seed: int) -> None:
        self._pipe = pipe
        self._strength = strength
        self._reference = reference
        self._seed = seed
        self._active = False
        self._recording = False
        self._halves = 1
        self._size = (0, 0)
        self._tokens: dict[str, Tensor] = {}  # of the reference, by layer

    def before_unet(self, unet: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look at the time step and the batch; see the reference first, if there is one."""
        call = call_of(unet, args, kwargs)
        sample = sample_of(call)
        first, last = self._strength.t_range
        self._active = first >= _time(call) >= last
        self._size = (sample.shape[2], sample.shape[3])
        if not self._active:
            return
        if self._reference is None:
            self._halves = 2 if is_doubled(self._pipe, sample) else 1
        else:
            self._record(unet, call, self._reference)

    def _record(self, unet: Any, call: BoundArguments, reference: Tensor) -> None:
        import torch

        row = rows_of_call(call, slice(1))
        name, sample = next(iter(row.arguments.items()))
        row.arguments[name] = self._noised(reference, sample, call.arguments["timestep"])
        self._recording = True
        try:
            with torch.no_grad():
                unet.forward(*row.args, **row.kwargs)  # not unet(...), which would call the hooks of the UNet itself
        finally:
            self._recording = False

    def _noised(self, reference: Tensor, sample: Tensor, timestep: Any) -> Tensor:
        import torch

        if reference.shape != sample.shape:
            raise ValueError(
                f"the reference latents are {tuple(reference.shape)}, those of a picture {tuple(sample.shape)}"
            )
        noise = torch.randn(reference.shape, generator=torch.Generator("cpu").manual_seed(self._seed))
        time = torch.as_tensor(timestep, device=sample.device).flatten()[:1]
        scheduler = self._pipe.scheduler
        noisy = scheduler.add_noise(reference.to(sample), noise.to(sample), time)
        scaled: Tensor = scheduler.scale_model_input(noisy, time[0])
        return scaled

    def after_attention(self, name: str) -> Callable[[Any, tuple[Any, ...], dict[str, Any], Tensor], Tensor | None]:
        """The hook of one self-attention layer, whose output is (rows, tokens, d)."""

        def hook(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor | None:
            context = args[1] if len(args) > 1 else kwargs.get("encoder_hidden_states")
            if not self._active or context is not None or self._side(output.shape[1]) < self._strength.min_side:
                return None
            if self._recording:
                self._tokens[name] = output
                return None
            if self._reference is not None:
                return push_away(output, self._tokens[name], self._strength.alpha, self._strength.threshold)
            return self._from_first(output)

        return hook

    def _side(self, tokens: int) -> int:
        """The shorter side of the feature map with so many tokens, which has the proportions of the latents."""
        height, width = self._size
        return round(min(height, width) * math.sqrt(tokens / (height * width)))

    def _from_first(self, output: Tensor) -> Tensor:
        import torch

        parts = []
        for half in output.chunk(self._halves):
            first, others = half[:1], half[1:]
            parts += [first, push_away(others, first, self._strength.alpha, self._strength.threshold)]
        return torch.cat(parts)


def _time(call: BoundArguments) -> float:
    timestep = call.arguments["timestep"]
    return float(timestep.flatten()[0] if hasattr(timestep, "flatten") else timestep)
