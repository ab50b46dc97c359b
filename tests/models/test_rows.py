"""A picture depends on its own row alone: the look at every back-end when it is loaded, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from augforge.errors import ModelError
from augforge.models.backends import BACKENDS, Backend, Request, open_backend, rows
from augforge.models.backends.image_to_image import ImageToImage
from tests.models.conftest import CASES, Checkpoint, Opener
from tests.tiny_references import saved_as


@pytest.mark.parametrize("case", CASES)
def test_every_back_end_keeps_its_rows_apart(case: str, opened: Opener) -> None:
    assert rows.largest_change(opened(case)) == 0.0


BATCHES = {
    "FluxImg2ImgPipeline": "flux",
    "FluxKontextPipeline": "flux",
    "QwenImageEditPipeline": "qwen_edit_plus",
    "QwenImageImg2ImgPipeline": "qwen_edit_plus",
    "ZImageImg2ImgPipeline": "z_image",
}
"""Newer pipelines to which a list of images is one for each prompt, and the tiny checkpoint with their parts."""


@pytest.mark.parametrize("name", BATCHES)
def test_the_list_is_a_batch(
    name: str, checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusers.pipelines.flux.pipeline_flux_kontext.PREFERRED_KONTEXT_RESOLUTIONS", [(32, 32)])
    monkeypatch.setattr(
        "diffusers.pipelines.qwenimage.pipeline_qwenimage_edit.calculate_dimensions", lambda area, ratio: (32, 32, None)
    )
    backend = open_backend("image-to-image", str(saved_as(name, checkpoint(BATCHES[name]), tmp_path)), "cpu")
    assert type(backend.pipe).__name__ == name
    request = rows.made_up(backend, (0, 1), (32, 32))
    made = backend.generate(request)
    assert made.shape == (2, 32, 32, 3)
    other = backend.generate(
        replace(request, images=[request.images[0], rows.made_up(backend, (2,), (32, 32)).images[0]])
    )
    assert np.array_equal(made[0], other[0])
    assert np.abs(made[1] - other[1]).max() > 1e-5


def test_texts_of_several_lengths_move_the_last_bits_at_most(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Some pipelines pad all texts of a call to the longest one; the trial has texts of one length."""
    folder = saved_as("ZImageImg2ImgPipeline", checkpoint("z_image"), tmp_path)
    backend = open_backend("image-to-image", str(folder), "cpu")
    request = rows.made_up(backend, (0, 1), (32, 32))
    other = replace(request, prompts=[request.prompts[0], "a text that is much longer than the other one"])
    assert np.abs(backend.generate(request)[0] - backend.generate(other)[0]).max() < 1e-5


class ListRoad(ImageToImage):
    """The known wrong way: the images of a batch in one list, whatever the pipeline makes of it."""

    refuses: ClassVar[Mapping[str, str]] = {}


@pytest.mark.parametrize("kind", ["flux2_klein", "flux2"])
def test_a_list_of_references_is_found_out(kind: str, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "list-road", f"{__name__}:ListRoad")
    with pytest.raises(ModelError, match=r"Flux2.* mixes the rows of a batch") as caught:
        open_backend("list-road", str(checkpoint(kind)), "cpu")
    assert "micro-batch: 1" in caught.value.hint
    open_backend("list-road", str(checkpoint(kind)), "cpu", micro_batch=1)


def test_a_pipeline_for_one_prompt_is_found_out(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "list-road", f"{__name__}:ListRoad")
    with pytest.raises(ModelError, match=r"cannot make two pictures in one call.*batch_size=1"):
        open_backend("list-road", str(checkpoint("qwen_edit_plus")), "cpu")


Mixer = Callable[[np.ndarray], np.ndarray]
"""(n, h, w, 3) pictures of n rows, of what each row alone would give."""


class Stub(Backend):
    """Pictures are sums of numbers of their rows, then mixed by a function; the field `reads` says what they are of."""

    carries = frozenset({"embedding", "image", "mask"})
    pipelines = 0

    def __init__(self, mix: Mixer = lambda own: own, reads: str = "prompts") -> None:
        Stub.pipelines += 1
        self.facts = {"pipeline": f"Stub{Stub.pipelines}"}
        self._mix, self._reads, self.requests = mix, reads, []

    def embed(self, images: Any, batch: int) -> np.ndarray:
        return np.stack([np.asarray(image, np.float32).mean((0, 1)) for image in images])

    def generate(self, request: Request) -> np.ndarray:
        self.requests.append(request)
        given = getattr(request, self._reads)
        own = [0.0] * len(request) if given is None else [_number(row) for row in given]
        return self._mix(np.array(own)[:, None, None, None] + np.zeros((len(request), 4, 4, 3)))


def _number(row: Any) -> float:
    return sum(row.encode()) / 1e4 if isinstance(row, str) else float(np.mean(np.asarray(row, float))) / 255


WRONG: dict[str, Mixer] = {
    "the mean of all": lambda own: own.mean(0, keepdims=True) + 0 * own,
    "the first for all": lambda own: own[:1] + 0 * own,
    "the last for all": lambda own: own[-1:] + 0 * own,
    "the other way round": lambda own: own[::-1],
    "a trace of the others": lambda own: own + 1e-6 * own.sum(0, keepdims=True),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("reads", ["prompts", "images", "masks", "embeds"])
def test_whatever_mixes_rows_is_refused(wrong: str, reads: str) -> None:
    rows.check_rows(Stub(reads=reads))
    with pytest.raises(ModelError, match="mixes the rows"):
        rows.check_rows(Stub(WRONG[wrong], reads))


def test_it_costs_three_small_calls_once() -> None:
    backend = Stub()
    backend.carries = frozenset({"image"})
    rows.check_rows(backend)
    rows.check_rows(backend)
    assert len(backend.requests) == 3
    for request in backend.requests:
        assert (len(request), request.size, request.steps * request.strength) == (2, (64, 64), 1)
        assert list(request.seeds) == [0, 1]


def test_a_step_cache_is_not_looked_at() -> None:
    backend = Stub(WRONG["the mean of all"])
    backend.facts["couples-batch"] = True
    rows.check_rows(backend)
    assert not backend.requests


def test_noise_of_the_device_is_no_mixing_and_hides_none() -> None:
    random = np.random.default_rng(0)

    def noisy(own: np.ndarray) -> np.ndarray:
        return own + 1e-7 * random.standard_normal(own.shape)

    assert rows.largest_change(Stub(noisy)) == 0.0
    assert rows.largest_change(Stub(lambda own: noisy(WRONG["the mean of all"](own)))) > 1e-4


def test_a_model_that_gives_nan_is_for_the_caller_to_see() -> None:
    rows.check_rows(Stub(lambda own: own * np.nan))


def test_a_pipeline_with_a_least_size_is_tried_at_its_own() -> None:
    class Large(Stub):
        native_size = (96, 128)

        def generate(self, request: Request) -> np.ndarray:
            if request.size != self.native_size:
                raise ValueError("too small")
            return super().generate(request)

    backend = Large()
    rows.check_rows(backend)
    assert {request.size for request in backend.requests} == {(96, 128)}
    backend = Large(WRONG["the first for all"])
    with pytest.raises(ModelError, match="mixes"):
        rows.check_rows(backend)
