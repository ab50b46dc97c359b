"""A back-end gives what its pipeline gives when it is called in the plain way: image in, prompts in, images out."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import wraps

import numpy as np
import pytest
import torch

from augforge.models.backends import Backend, Request
from augforge.models.backends.controlnet import ControlNet, _means
from tests.models.conftest import CASES, EMBEDDING, Opener
from tests.models.requests import difference, picture, request_for


def plainly(backend: Backend, request: Request, **condition: object) -> np.ndarray:
    """The images of the pipeline itself: prompts as texts, decoding left to it."""
    pipe = backend._pipe_for(request)
    texts = {"prompt": list(request.prompts)} if backend.reads_prompt else {}
    if any(request.negatives):
        texts["negative_prompt"] = list(request.negatives)
    return pipe(
        **texts,
        **condition,
        **backend._size_arguments(pipe, request),
        num_inference_steps=request.steps,
        guidance_scale=request.guidance,
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in request.seeds],
        output_type="np",
    ).images


OF_THEIR_OWN = (
    *("ip-adapter", "ip-adapter-xl", "ip-adapter-flux", "ip-adapter-chroma", "ip-adapter-sd3"),
    *("redux", "references", "unconditional"),
)
"""Adapters and Redux are given embeddings (test_redux.py); what paints without a prompt goes back and forth, as no call
of its pipeline does; and a call with references is for one row (test_references.py)."""


@pytest.mark.parametrize("case", [case for case in CASES if case not in OF_THEIR_OWN])
@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_it_equals_the_plain_call(case: str, guidance: float, opened: Opener) -> None:
    backend = opened(case)
    request = request_for(backend, guidance=guidance)
    encodes = isinstance(backend, ControlNet) and backend._encodes_control
    with _means(backend._pipe.vae) if encodes else nullcontext():  # else of random latents
        plain = plainly(backend, request, **backend._condition(request))
    assert difference(backend.generate(request), plain) < 1e-5


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("text-to-image") and "flux" not in case])
def test_negative_prompts_equal_the_plain_call(case: str, opened: Opener) -> None:
    backend = opened(case)
    request = replace(request_for(backend), negatives=["grey", "blurred", "a cat"])
    images = backend.generate(request)
    assert difference(images, plainly(backend, request)) < 1e-5
    assert difference(images, backend.generate(request_for(backend))) > 1e-4


def test_without_guidance_a_negative_prompt_changes_nothing(opened: Opener) -> None:
    backend = opened("text-to-image")
    request = request_for(backend, guidance=1.0)
    other = replace(request, negatives=["grey"] * 3)
    assert np.array_equal(backend.generate(request), backend.generate(other))


def test_flux_guides_away_from_a_negative_prompt_by_its_true_guidance(opened: Opener) -> None:
    backend = opened("text-to-image-flux")
    request = replace(request_for(backend), negatives=["grey"] * 3)
    assert difference(backend.generate(request), backend.generate(request_for(backend))) > 1e-4


def test_unclip_takes_an_image_as_its_embedding(opened: Opener) -> None:
    backend = opened("unclip")
    source = picture(7)
    request = replace(request_for(backend, count=1), embeds=backend.embed([source], 1))
    assert difference(backend.generate(request), plainly(backend, request, image=source)) < 1e-5


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("ip-adapter")])
@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_an_adapter_takes_an_image_as_its_embedding(case: str, guidance: float, opened: Opener) -> None:
    backend = opened(case)
    source = picture(7)
    request = replace(request_for(backend, count=1, guidance=guidance), embeds=backend.embed([source], 1))
    images = backend.generate(request)
    assert difference(images, plainly(backend, request, ip_adapter_image=source)) < 1e-5


def test_an_adapter_starts_from_an_image_too(opened: Opener) -> None:
    backend = opened("ip-adapter")
    source = picture(7)
    request = replace(
        request_for(backend, count=1), embeds=backend.embed([source], 1), images=[picture(8)], strength=0.7
    )
    plain = plainly(backend, request, ip_adapter_image=source, image=[picture(8)], strength=0.7)
    assert difference(backend.generate(request), plain) < 1e-5


def test_each_row_gets_its_own_embedding_though_the_pipeline_repeats_them(opened: Opener) -> None:
    """The known wrong form, the same embedding for every row, is told apart; two rows are the ambiguous case."""
    backend = opened("ip-adapter")
    for guidance in (1.0, 3.0):
        request = request_for(backend, count=2, guidance=guidance)
        wrong = replace(request, embeds=np.repeat(request.embeds[:1], 2, axis=0))
        images = backend.generate(request)
        assert difference(images[:1], backend.generate(request.rows(0, 1))) < 1e-5
        assert difference(images[1:], backend.generate(request.rows(1, 2))) < 1e-5
        assert difference(images[1:], backend.generate(wrong)[1:]) > 1e-3


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("case", ["ip-adapter", "ip-adapter-flux", "ip-adapter-chroma"])
def test_an_adapter_takes_several_images_for_each_row(case: str, guidance: float, opened: Opener) -> None:
    backend = opened(case)
    pictures = [picture(number) for number in range(6)]
    embeds = backend.embed(pictures, 8)
    request = replace(request_for(backend, guidance=guidance), embeds=embeds.reshape(3, -1))
    images = backend.generate(request)
    for row in range(3):
        alone, own = request.rows(row, row + 1), pictures[2 * row : 2 * row + 2]
        assert difference(images[row : row + 1], plainly(backend, alone, ip_adapter_image=[own])) < 1e-5
    once = replace(request, embeds=embeds[::2])
    twice = replace(request, embeds=np.tile(embeds[::2], 2))
    assert difference(backend.generate(once), images) > 1e-4
    assert difference(backend.generate(once), backend.generate(twice)) < 1e-5


@pytest.mark.parametrize("case", ["ip-adapter-flux", "ip-adapter-chroma", "ip-adapter-sd3"])
def test_a_transformer_left_to_itself_mixes_the_images_of_a_batch(
    case: str, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The known wrong form: n embeddings for n prompts, repeated once a prompt by the pipeline."""
    backend = opened(case)
    request = request_for(backend, count=2)
    right = backend.generate(request)
    monkeypatch.setattr("augforge.models.backends.ip_adapter._first", lambda embeds, halves, rows: embeds)
    try:
        wrong = backend.generate(request)
    except RuntimeError as error:  # of Stable Diffusion 3 the shapes do not fit
        assert "must match the size" in str(error)
    else:
        assert difference(wrong, right) > 1e-3


def test_features_of_several_images_stand_one_after_the_other(opened: Opener) -> None:
    backend = opened("ip-adapter-sd3")
    embeds = backend.embed([picture(number) for number in range(6)], 8)
    request = replace(request_for(backend), embeds=embeds.reshape(3, -1))
    other = replace(request, embeds=np.concatenate([request.embeds[:2], request.embeds[2:] * 0]))
    made, changed = backend.generate(request), backend.generate(other)
    assert np.array_equal(made[:2], changed[:2])
    assert difference(made[2], changed[2]) > 1e-4
    assert difference(made, backend.generate(replace(request, embeds=embeds[::2]))) > 1e-4


def test_scale_nought_is_the_model_without_the_adapter(opened: Opener) -> None:
    adapted, bare = opened("ip-adapter"), opened("text-to-image")
    request = replace(request_for(adapted), scale=0.0)
    assert difference(adapted.generate(request), bare.generate(replace(request, embeds=None))) < 1e-5


def test_kandinsky_takes_the_embeddings_of_its_prior(checkpoint, opened: Opener) -> None:
    """The negative embedding is what the prior's pipeline calls the zero embedding."""
    from transformers import CLIPVisionModelWithProjection

    backend = opened("kandinsky-2.2")
    encoder = CLIPVisionModelWithProjection.from_pretrained(checkpoint("kandinsky") / "prior" / "image_encoder")
    with torch.no_grad():
        zero = encoder(torch.zeros(1, 3, 32, 32)).image_embeds
    negative = backend._condition(request_for(backend))["negative_image_embeds"]
    assert negative.shape == (3, 32)
    assert torch.allclose(negative, zero.expand(3, -1))


@pytest.mark.parametrize("case", EMBEDDING)
def test_a_mix_with_weight_one_is_the_first_image(case: str, opened: Opener) -> None:
    backend = opened(case)
    first = backend.embed([picture(1)], 1)
    second = backend.embed([picture(2)], 1)
    request = replace(request_for(backend, count=1), embeds=first)
    mixed = replace(request, embeds=(1.0 * first + 0.0 * second).astype(np.float32))
    assert np.array_equal(backend.generate(request), backend.generate(mixed))


def test_each_distinct_pair_of_texts_is_encoded_once(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = opened("text-to-image", micro_batch=2)
    calls = []
    encode = backend._pipe.encode_prompt

    @wraps(encode)
    def counted(*args: object, **settings: object) -> object:
        calls.append(settings.get("prompt"))
        return encode(*args, **settings)

    monkeypatch.setattr(backend._pipe, "encode_prompt", counted)
    request = replace(request_for(backend, count=4), prompts=["one fish", "two fish", "one fish", "two fish"])
    backend.generate(request)
    backend.generate(request)
    assert sorted(text for text in calls if text) == ["one fish", "two fish"]
