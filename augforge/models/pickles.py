"""Pickled weights can run any code when they are read: a model directory has to bring safetensors."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from augforge.errors import ModelError
from augforge.models.digests import PICKLED


def refuse_pickled(folder: Path, named: Collection[str] = ()) -> None:
    """ModelError where the weights that would be read from a directory are pickled.

    Args:
        folder: the model directory; only the files at its top matter.
        named: the safetensors files that its library reads before a pickled one; any with ().
    """
    files = list(filter(Path.is_file, folder.iterdir())) if folder.is_dir() else []
    pickled = sorted(path.name for path in files if path.suffix in PICKLED)
    safe = [path.name for path in files if path.suffix == ".safetensors" and (not named or path.name in named)]
    if pickled and not safe:
        raise ModelError(
            f"{folder / pickled[0]} holds pickled weights",
            "such a file can run any code when it is read: save it as safetensors (safe_serialization=True)",
        )
