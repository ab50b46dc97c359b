"""Pipelines that take several references for every prompt: one call a row, and no other back-end takes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from augforge.errors import ModelError
from augforge.models import find_model
from augforge.models.backends import Backend, Request, backend_class, open_backend
from augforge.models.backends.image_to_image import REFUSED
from augforge.models.tasks import REFERENCES
from augforge.recipe import build_stage
from tests.models.conftest import Checkpoint, Opener
from tests.models.requests import difference, picture, request_for

KINDS = ("flux2_klein", "flux2_klein_kv", "flux2", "qwen_edit_plus")


@pytest.fixture(autouse=True)
def small_references(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus.VAE_IMAGE_SIZE", 32 * 32)
    yield


@pytest.fixture(params=KINDS)
def backend(request: pytest.FixtureRequest, checkpoint: Checkpoint) -> Backend:
    return open_backend("references", str(checkpoint(request.param)), "cpu")


def _of_row(request: Request, row: int) -> list[Image.Image]:
    return [request.images[row], *(request.references[row] if request.references else ())]


def row_by_row(backend: Backend, request: Request) -> np.ndarray:
    """The images of the pipeline itself, called in the plain way once a row."""
    more = {"guidance_scale": request.guidance} if "guidance_scale" in backend._takes else {}
    if "true_cfg_scale" in backend._takes:  # without a negative prompt it would not be guided at all
        more = {"true_cfg_scale": request.guidance, "negative_prompt": " "}
    made = [
        backend.pipe(
            image=[image.resize((64, 64), 1) for image in _of_row(request, row)],
            prompt=request.prompts[row],
            width=32,
            height=32,
            num_inference_steps=request.steps,
            generator=torch.Generator("cpu").manual_seed(request.seeds[row]),
            output_type="np",
            **more,
        ).images
        for row in range(len(request))
    ]
    return np.concatenate(made)


def test_it_equals_a_plain_call_for_each_row(backend: Backend) -> None:
    request = replace(request_for(backend, count=2, steps=2), images=[picture(1, 64), picture(2, 64)])
    assert difference(backend.generate(request), row_by_row(backend, request)) < 1e-5


def test_the_parent_of_a_row_changes_that_row_alone(backend: Backend) -> None:
    request = request_for(backend, count=2, steps=2)
    other = replace(request, images=[request.images[0], picture(50)])
    one, changed = backend.generate(request), backend.generate(other)
    assert np.array_equal(one[0], changed[0])
    assert difference(one[1], changed[1]) > 1e-5


def test_a_row_refers_to_further_images_of_its_own(backend: Backend) -> None:
    request = replace(request_for(backend, count=2, steps=2), images=[picture(1, 64), picture(2, 64)])
    several = replace(request, references=[[picture(3, 64)], [picture(4, 64)]])
    made = backend.generate(several)
    assert difference(made, row_by_row(backend, several)) < 1e-5
    other = replace(several, references=[[picture(3, 64)], [picture(5, 64)]])
    assert np.array_equal(made[0], backend.generate(other)[0])
    assert difference(made[1], backend.generate(other)[1]) > 1e-5
    assert difference(made, backend.generate(request)) > 1e-5


def test_one_reference_for_all_is_not_taken_for_several(opened: Opener) -> None:
    backend = opened("image-to-image")
    with pytest.raises(ModelError, match="cannot refer to several"):
        backend.generate(replace(request_for(backend), references=[[picture(1)]] * 3))


def test_every_kind_is_tested(checkpoint: Checkpoint) -> None:
    assert {type(open_backend("references", str(checkpoint(kind)), "cpu").pipe).__name__ for kind in KINDS} == set(
        REFERENCES
    )


@pytest.mark.parametrize("kind", KINDS)
def test_image_to_image_refuses_it_by_name_before_it_is_loaded(
    kind: str, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("augforge.models.backends.diffusion.load_pipeline", lambda *a: pytest.fail("loaded"))
    with pytest.raises(ModelError, match=r"is a (Flux2|QwenImageEditPlus)") as caught:
        open_backend("image-to-image", str(checkpoint(kind)), "cpu")
    assert "`references`" in caught.value.hint


def test_references_refuses_other_models(checkpoint: Checkpoint) -> None:
    with pytest.raises(ModelError, match="it is a StableDiffusionPipeline") as caught:
        open_backend("references", str(checkpoint("sd")), "cpu")
    assert "Flux2KleinPipeline" in caught.value.hint


def test_all_refused_names_are_of_diffusers() -> None:
    import diffusers

    assert all(hasattr(diffusers, name) for name in (*REFUSED, *REFERENCES))


def test_a_stage_takes_the_back_end_that_fits(checkpoint: Checkpoint) -> None:
    model = str(checkpoint("flux2_klein"))
    assert find_model(model, "image-to-image").backends == ("references", "text-to-image")
    stage = build_stage("generate", "img2img", {"model": model})
    assert stage.backend_name == "references"
    assert stage.default_batch_size("cpu") == 1


def test_each_row_is_a_call_of_its_own(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = opened("references")
    assert backend_class("references").one_by_one
    seen = []
    prepare = backend.pipe.prepare_image_latents

    def counted(*args: object, **given: object) -> object:
        seen.append((len(given["images"]), given["batch_size"]))
        return prepare(*args, **given)

    monkeypatch.setattr(backend.pipe, "prepare_image_latents", counted)
    backend.generate(request_for(backend, count=3, steps=1))
    assert seen == [(1, 1)] * 3


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_guidance_of_klein_from_text_alone_is_that_of_the_plain_call(guidance: float, checkpoint: Checkpoint) -> None:
    """Its `encode_prompt` returns position ids second, and no negative embeddings."""
    backend = open_backend("text-to-image", str(checkpoint("flux2_klein")), "cpu")
    request = request_for(backend, count=2, guidance=guidance, steps=2)
    plain = backend.pipe(
        prompt=list(request.prompts),
        width=32,
        height=32,
        num_inference_steps=2,
        guidance_scale=guidance,
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in request.seeds],
        output_type="np",
    ).images
    assert difference(backend.generate(request), plain) < 1e-5


def test_strength_has_no_say(checkpoint: Checkpoint, opened: Opener) -> None:
    stage = build_stage("generate", "img2img", {"model": str(checkpoint("flux2_klein")), "strength": 0.1, "steps": 4})
    assert not backend_class(stage.backend_name).takes_strength
    backend = opened("references")
    request = request_for(backend, count=1, steps=1)
    assert np.array_equal(backend.generate(request), backend.generate(replace(request, strength=0.1)))
