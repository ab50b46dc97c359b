"""How much memory a recipe's models need, before anything is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from augforge.models import Model
from augforge.models.activations import FLUX_LIKE, Calls, batch_bytes
from augforge.models.hub_rows import UNKNOWN
from augforge.models.licences import licence_of
from augforge.models.needs import BYTES, GIB, parameters_of, weights_gib
from augforge.models.shapes import Shape, native_size, shape_of
from augforge.models.table import WEIGHTS
from augforge.recipe.policy import models_of
from augforge.stages.generators.diffusion import DiffusionGenerator
from augforge.stages.stage import Stage

if TYPE_CHECKING:
    from augforge.recipe.recipe import Recipe

DECODED_AT_ONCE = 4
"""Latents that a back-end decodes at once where it is not told otherwise."""
NOT_EFFICIENT = "_native_math"
"""What diffusers calls the attention that keeps all of its scores."""


def needs_of(recipe: Recipe) -> list[str]:
    """A line for each model that is not built in: its licence, and the memory that its weights and a batch take."""
    lines = []
    for where, stage, model in models_of(recipe.stages):
        if not model.location.startswith((str(WEIGHTS), "package:", "code:")):
            licence = licence_of(model)
            named = f"licence {UNKNOWN}" if licence == UNKNOWN else licence
            lines.append(f"{where}: {model.name} ({named}) takes {_memory(stage, model)}")
    return list(dict.fromkeys(lines))


def batch_gib(stage: DiffusionGenerator, dtype: str) -> tuple[float, Calls] | None:
    """About how many GiB a batch of this stage takes beyond the weights in "fp32", "fp16" or "bf16", and how it is run.

    Where `batch` is auto it is that of one image. None where the model's configuration is not known.
    """
    shape = shape_of(stage.row, stage.revision)
    size = None if shape is None else _size(stage, shape)
    if shape is None or size is None:
        return None
    calls = _calls(stage, shape, size)
    return batch_bytes(shape.denoiser, shape.decoder, calls, BYTES[dtype]) / GIB, calls


def _memory(stage: Stage, model: Model) -> str:
    dtype = getattr(stage, "dtype", "auto")
    dtypes = {dtype: dtype} if dtype in BYTES else {"bf16": "half precision", "fp32": "fp32"}
    parameters = parameters_of(model)
    more = _batch(stage, model, dtypes)
    if parameters is None:
        return f"memory that is not known{more}"
    weights = _each({name: weights_gib(parameters, dtype) for dtype, name in dtypes.items()})
    return f"{weights} for {parameters / 1e9:.2g} billion weights{more}"


def _batch(stage: Stage, model: Model, dtypes: dict[str, str]) -> str:
    """What is said of a batch."""
    if not isinstance(stage, DiffusionGenerator) or model.name != stage.row.name:
        return "; what a batch takes on top was not estimated"
    found = {name: batch_gib(stage, dtype) for dtype, name in dtypes.items()}
    known = {name: one for name, one in found.items() if one is not None}
    if not known:
        return "; what a batch takes on top is estimated once its configuration is on this disk"
    width, height = next(iter(known.values()))[1].size
    of = "each image of a batch" if stage.batch == "auto" else f"a batch of {stage.batch}"
    much = _each({name: gib for name, (gib, _) in known.items()})
    return f"; {of} at {width} x {height} px takes about {much} on top (an estimate)"


def _each(gib: dict[str, float]) -> str:
    """GiB by precision, in words."""
    first, *others = gib.items()
    return " and ".join([f"{first[1]:.1f} GiB in {first[0]}", *(f"{value:.1f} in {name}" for name, value in others)])


def _size(stage: DiffusionGenerator, shape: Shape) -> tuple[int, int] | None:
    native = native_size(stage.row, shape)
    width, height = stage.width or native, stage.height or native
    return None if width is None or height is None else (width, height)


def _calls(stage: DiffusionGenerator, shape: Shape, size: tuple[int, int]) -> Calls:
    batch: Any = 1 if stage.batch == "auto" else stage.batch
    one_by_one = shape.denoiser.get("_class_name") in FLUX_LIKE
    return Calls(
        size,
        denoised=min(batch, stage.micro_batch or batch),
        decoded=1 if one_by_one else min(batch, stage.decode_batch or DECODED_AT_ONCE),
        guided=stage.is_guided,
        upcast=shape.upcast and stage.dtype != "fp32",
        pictures=int(shape.reads_pictures and stage.backend_name in ("references", "image-to-image")),
        scores=stage.attention == NOT_EFFICIENT,
    )
