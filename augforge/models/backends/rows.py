"""A look, once a model is loaded, at whether each picture depends on its own row alone.

Some pipelines of diffusers take a list of images as one for each prompt, others as several references of every prompt,
and neither says so when it is called. A picture would then be made from the images of its whole batch, of other classes
and beyond the shots, while its provenance names one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from augforge.errors import ModelError
from augforge.models.backends.base import Backend, Request

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALL = 64
"""Side, in px, of the pictures made for it; that of the model where it is smaller, or where this one is too small."""
CLEAR = 8
"""Times the change from one call to the same call again."""
_WAY_OUT = "set micro-batch: 1, and each row is a call of its own; or use another model"

_apart: set[str] = set()


def check_rows(backend: Backend) -> None:
    """ModelError where a picture changes with its neighbour's text, image, mask or embedding alone.

    Costs three calls of two rows and one step at the smallest size; twice that, where an image can go beside an
    embedding. What was found for a back-end holds for the process. Step caches couple the rows of a batch by design
    (`couples-batch` in the facts): they are not looked at.
    """
    facts = backend.facts
    known = repr((type(backend), sorted(facts.items()), getattr(getattr(backend, "slices", None), "size", None)))
    if known in _apart or facts.get("couples-batch"):
        return
    changed = largest_change(backend)
    if changed:
        raise ModelError(
            f"{_pipeline(backend)} mixes the rows of a batch: with another neighbour a picture changes by up to "
            f"{100 * changed:.2g} % of the range, so it would be made from more than its parents",
            _WAY_OUT,
        )
    _apart.add(known)


def largest_change(backend: Backend) -> float:
    """By how much, in [0, 1], a picture changes at most when all of its neighbour's row changes but its seed.

    The same shapes give the same bits, whatever the neighbour is. On a device that does not repeat itself only what is
    above `CLEAR` times its own change from call to call counts. NaN is no change: it is for the caller to see.
    """
    native: tuple[int, int] | None = getattr(backend, "native_size", None)
    if "mask" in backend.carries and not backend.reads_prompt:  # unconditional: the only size that it surely takes
        return _at(backend, native)
    small = (min(SMALL, native[0]), min(SMALL, native[1])) if native else (SMALL, SMALL)
    try:
        return _at(backend, small)
    except (ValueError, RuntimeError, TypeError):  # some pipelines have a least size
        pass
    try:
        return _at(backend, native)
    except (ValueError, RuntimeError, TypeError) as error:
        raise ModelError(f"{_pipeline(backend)} cannot make two pictures in one call: {error}", _WAY_OUT) from error


def made_up(backend: Backend, rows: Sequence[int], size: tuple[int, int] | None, guidance: float = 2.0) -> Request:
    """A request of at least one step, with all that the back-end can be conditioned on.

    The number of a row decides its text, picture (noise), mask and embedding; its seed is its place. Texts are
    of one length: some pipelines fill up all texts of a call to the longest, which moves the last bits of the others.
    """
    from PIL import Image

    width, height = size or (SMALL, SMALL)
    noise = [np.random.default_rng(row).integers(0, 256, (height, width, 3), np.uint8) for row in rows]
    pictures = [Image.fromarray(pixels) for pixels in noise]
    given: dict[str, Any] = {"images": pictures} if "image" in backend.carries else {}
    if "embedding" in backend.carries:
        given["embeds"] = backend.embed(pictures, len(pictures))
    if "mask" in backend.carries:
        given["masks"] = [pixels[..., 0] >= 128 for pixels in noise]
    return Request(
        prompts=[f"a photo of {row} things" for row in rows],
        negatives=[""] * len(rows),
        seeds=range(len(rows)),
        steps=1 if "mask" in backend.carries else 2,  # of RePaint's, 1 is what every model can take
        guidance=guidance,
        strength=0.5,
        size=size,
        **given,
    )


def _at(backend: Backend, size: tuple[int, int] | None) -> float:
    changed = _change(backend, size)
    if {"embedding", "image"} <= backend.carries:
        return max(changed, _change(backend, size, embedding_alone=True))
    return changed


def _change(backend: Backend, size: tuple[int, int] | None, embedding_alone: bool = False) -> float:
    """The larger one of the changes of row 0 with another row 1, and of row 1 with another row 0."""

    def made(*rows: int) -> NDArray[np.float32]:
        request = made_up(backend, rows, size)
        return backend.generate(replace(request, images=None) if embedding_alone else request)

    both = made(0, 1)
    changed = max(_difference(both[0], made(0, 2)[0]), _difference(both[1], made(3, 1)[1]))
    return changed if changed and changed > CLEAR * _difference(both, made(0, 1)) else 0.0


def _difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.nan_to_num(np.abs(one - other)).max())


def _pipeline(backend: Backend) -> str:
    return str(backend.facts.get("pipeline", type(backend).__name__))
