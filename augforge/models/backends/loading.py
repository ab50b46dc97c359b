"""Loading a pipeline from a checkpoint, in a precision that fits the device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from augforge.errors import ModelError
from augforge.models.backends.checkpoint import Checkpoint, declared_dtype
from augforge.models.backends.options import Options
from augforge.models.devices import kind_of

DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


def pick_dtype(wanted: str, device: str, checkpoint: Checkpoint, options: Options) -> Any:
    """The torch.dtype for "auto", "fp32", "fp16" or "bf16".

    Auto is fp32 on the CPU, and on MPS, where diffusers' own example runs in fp32 and half precision gives NaN with
    some models. On CUDA it is the half precision that the checkpoint is stored in; of one stored in fp32, bf16 for a
    transformer (their activations overflow fp16) and fp16 for a U-Net.
    """
    import torch

    if wanted == "auto":
        wanted = _half(checkpoint, options) if kind_of(device) == "cuda" else "fp32"
    if wanted not in DTYPES:
        raise ModelError(f"there is no precision called {wanted!r}", "known: auto, fp32, fp16, bf16")
    return getattr(torch, DTYPES[wanted])


def _half(checkpoint: Checkpoint, options: Options) -> str:
    stored = declared_dtype(checkpoint, options.variant)
    if stored in {"fp16", "bf16"}:
        return str(stored)
    return "bf16" if "transformer" in checkpoint.components else "fp16"


def load_pipeline(checkpoint: Checkpoint, pipeline: Any, dtype: Any, options: Options, accepts: frozenset[str]) -> Any:
    """The pipeline of a checkpoint, on the CPU and quiet.

    Args:
        checkpoint: a directory or a single file.
        pipeline: a diffusers pipeline class, or an AutoPipeline that finds the class of its task.
        dtype: the torch.dtype of the weights.
        options: variant, configuration and whether pickles may be read.
        accepts: class names of checkpoints that fit; empty leaves the choice to an AutoPipeline.

    Raises:
        ModelError: the checkpoint is of another kind, or damaged.
    """
    if checkpoint.pipeline and accepts and checkpoint.pipeline not in accepts:
        raise _stranger(checkpoint, pipeline, checkpoint.pipeline, accepts)
    try:
        if checkpoint.path.is_file():
            pipe = _from_file(checkpoint.path, pipeline, dtype, options)
        else:
            pipe = _from_directory(checkpoint, pipeline, dtype, options)
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError, KeyError) as error:
        hint = "is it of this kind, and is `config` (a directory or a hub id) its configuration?"
        if checkpoint.path.is_dir():
            hint = f"is {checkpoint.path} complete, and of this kind?"
        raise _misfit(checkpoint, pipeline, str(error), hint) from error
    if accepts and type(pipe).__name__ not in accepts:
        raise _stranger(checkpoint, pipeline, type(pipe).__name__, accepts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _from_directory(checkpoint: Checkpoint, pipeline: Any, dtype: Any, options: Options) -> Any:
    kept = None if options.allow_pickle else True
    left_out = {name: None for name, value in checkpoint.index.items() if isinstance(value, list) and value[0] is None}
    more = {**left_out, **_without_checker(checkpoint.index)}
    return pipeline.from_pretrained(checkpoint.path, dtype=dtype, variant=options.variant, use_safetensors=kept, **more)


def _from_file(path: Path, pipeline: Any, dtype: Any, options: Options) -> Any:
    """A pipeline from one file, of the class that its configuration names, connected to the wanted task."""
    import diffusers

    config = options.config or _usual_config(path)
    index = diffusers.DiffusionPipeline.load_config(config)
    automatic = pipeline.__name__.startswith("AutoPipeline")
    concrete = getattr(diffusers, index["_class_name"]) if automatic else pipeline
    pipe = concrete.from_single_file(str(path), config=config, dtype=dtype, **_without_checker(index))
    return pipeline.from_pipe(pipe) if automatic else pipe


def _usual_config(path: Path) -> str:
    """The hub id of the configuration that diffusers knows the weights by."""
    from diffusers.loaders.single_file_utils import fetch_diffusers_config, load_single_file_checkpoint

    return str(fetch_diffusers_config(load_single_file_checkpoint(str(path)))["pretrained_model_name_or_path"])


def _without_checker(index: Any) -> dict[str, Any]:
    """Leaves the safety checker out where there is one: it paints images black; filters judge the results instead."""
    return {"safety_checker": None, "requires_safety_checker": False} if "safety_checker" in index else {}


def _misfit(checkpoint: Checkpoint, pipeline: Any, why: str, hint: str) -> ModelError:
    return ModelError(f"model {checkpoint.name!r} cannot be loaded as {pipeline.__name__}: {why}", hint)


def _stranger(checkpoint: Checkpoint, pipeline: Any, kind: str, accepts: frozenset[str]) -> ModelError:
    return _misfit(checkpoint, pipeline, f"it is a {kind}", "use a checkpoint of " + " or ".join(sorted(accepts)))
