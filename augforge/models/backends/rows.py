"""A look, once a model is loaded, at whether each picture depends on its own row alone.

Some pipelines of diffusers take a list of images as one for each prompt, others as several references of every prompt,
and neither says so when it is called. A picture would then be made from the images of its whole batch, of other classes
and beyond the shots, while its provenance names one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from augforge.errors import ModelError
from augforge.models.backends.base import Backend, Request

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

SMALL = 64
"""Side, in px, of the pictures made for it; that of the model where it is smaller, or where this one is too small."""
CLEAR = 8
"""Times the change from one call to the same call again."""
_WAY_OUT = "set micro-batch: 1, and each row is a call of its own; or use another model"

_apart: set[str] = set()


def check_rows(backend: Backend) -> None:
    """ModelError where a picture changes with its neighbour's text, image, mask, control or embedding alone.

    Costs three calls of two rows and one step at the smallest size; twice that, where an image can go beside an
    embedding or a control. What was found for a back-end holds for the process. Step caches couple the rows of a batch
    by design (`couples-batch` in the facts): they are not looked at.
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
    if not backend.reads_prompt and ("mask" in backend.carries or backend.labels):  # the only size that it surely takes
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


def made_up(
    backend: Backend, rows: Sequence[int], size: tuple[int, int] | None, way: frozenset[str] | None = None
) -> Request:
    """A request of at least one step, with the conditions of `way`, or all that the back-end carries.

    The number of a row decides its text, picture (noise), mask, control and embedding; its seed is its place. Texts
    are of one length: some pipelines fill up all texts of a call to the longest, which moves the last bits of the
    others.
    """
    way = backend.carries if way is None else way
    from PIL import Image as Pictures

    width, height = size or (SMALL, SMALL)
    noise = [np.random.default_rng(row).integers(0, 256, (height, width, 3), np.uint8) for row in rows]
    pictures = [Pictures.fromarray(pixels) for pixels in noise]
    return Request(
        prompts=[f"a photo of {row} things" for row in rows],
        negatives=[""] * len(rows),
        seeds=range(len(rows)),
        steps=1 if "mask" in way else 2,  # of RePaint's, 1 is what every model can take
        guidance=2.0,
        strength=0.5,
        size=size,
        **_made_up_condition(backend, rows, pictures, way),
    )


def _made_up_condition(
    backend: Backend, rows: Sequence[int], pictures: Sequence[Image], way: frozenset[str]
) -> dict[str, Any]:
    given = _made_up_images(backend, pictures, way)
    if backend.labels:
        given["labels"] = [backend.labels[row % len(backend.labels)] for row in rows]
    if "embedding" in way:
        given["embeds"] = backend.embed(pictures, len(pictures))
    if backend.takes_negative_image:
        given["negative_embeds"] = backend.embed(_turned(pictures), len(pictures))
        given["negative_guidance"] = 0.5
    return given


def _made_up_images(backend: Backend, pictures: Sequence[Image], way: frozenset[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if "image" in way:
        given["images"] = pictures
        if backend.refers_to_several:
            given["references"] = [[picture] for picture in _turned(pictures)]
    if "control" in way:
        given["controls"] = _turned(pictures)
    if "mask" in way:
        given["masks"] = [np.asarray(picture)[..., 0] >= 128 for picture in pictures]
    return given


def _turned(pictures: Sequence[Image]) -> list[Image]:
    """Other pictures of the same rows."""
    return [picture.rotate(180) for picture in pictures]


def _at(backend: Backend, size: tuple[int, int] | None) -> float:
    return max(_change(backend, size, way) for way in backend.ways)


def _change(backend: Backend, size: tuple[int, int] | None, way: frozenset[str]) -> float:
    """The larger one of the changes of row 0 with another row 1, and of row 1 with another row 0."""

    def made(*rows: int) -> NDArray[np.float32]:
        return backend.generate(made_up(backend, rows, size, way))

    both = made(0, 1)
    changed = max(_difference(both[0], made(0, 2)[0]), _difference(both[1], made(3, 1)[1]))
    return changed if changed and changed > CLEAR * _difference(both, made(0, 1)) else 0.0


def _difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.nan_to_num(np.abs(one - other)).max())


def _pipeline(backend: Backend) -> str:
    return str(backend.facts.get("pipeline", type(backend).__name__))
