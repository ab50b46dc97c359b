"""The kinds of denoisers that can be trained, by their pipelines."""

from __future__ import annotations

from augforge.errors import ModelError
from augforge.models.backends.diffusion import Diffusion
from augforge.training.lora import classes, packed, transformers, unets
from augforge.training.lora.denoisers import Denoiser

KINDS: tuple[type[Denoiser], ...] = (*unets.KINDS, *transformers.KINDS, *packed.KINDS, *classes.KINDS)
REASONS = {
    "SanaSprintPipeline": "it was distilled in few steps, and its own loss is not that of its pipeline's answer; "
    "train SANA, which it was made of",
    "LatentConsistencyModelPipeline": "it was distilled in few steps, and the loss of diffusion would undo that; "
    "train the Stable Diffusion that it was made of, whose layers are the same",
}
"""Why none can be trained for pipelines that can generate."""


def denoiser_for(backend: Diffusion) -> Denoiser:
    """The denoiser of a back-end, ready to be trained.

    Raises:
        ModelError: nobody has said how this pipeline's is called, or it cannot be trained, and why.
    """
    name = type(backend.pipe).__name__
    for kind in KINDS:
        if name in kind.pipelines:
            return kind(backend)
    if name in REASONS:
        raise ModelError(f"no LoRA can be trained for a {name}: {REASONS[name]}")
    known = sorted(pipeline for kind in KINDS for pipeline in kind.pipelines)
    raise ModelError(f"no LoRA can be trained for a {name}", "use a model of " + ", ".join(known))
