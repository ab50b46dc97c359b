"""Opening a directory of transformers whose model writes words: how exact it is, and what cannot be loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from augforge.errors import ModelError
from augforge.models.devices import kind_of, quiet
from augforge.models.pickles import refuse_pickled
from augforge.models.table import Model
from augforge.models.vision import model_folder
from augforge.optional import require

DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
Loaded = TypeVar("Loaded")


def word_dtype(device: str, dtype: str) -> Any:
    """The torch dtype of "fp32", "fp16", "bf16" or "auto", which is bf16 on CUDA, else fp32."""
    require("torch")
    import torch

    wanted = ("bf16" if kind_of(device) == "cuda" else "fp32") if dtype == "auto" else dtype
    return getattr(torch, DTYPES[wanted])


def open_pretrained(model: Model, what: str, load: Callable[[Path], Loaded]) -> Loaded:
    """What `load` makes of the model's directory; ModelError, which says `what` it should be, where it cannot."""
    folder = model_folder(model)
    refuse_pickled(folder)
    quiet()
    try:
        return load(folder)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        hint = f"is {folder} the complete directory of a {what} of transformers?"
        raise ModelError(f"model {model.name!r} cannot be loaded: {error}", hint) from error
