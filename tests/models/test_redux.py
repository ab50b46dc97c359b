"""Redux: what FluxPriorReduxPipeline and FluxPipeline give when they are called in the plain way, row by row."""

from __future__ import annotations

from dataclasses import replace

import diffusers
import numpy as np
import pytest
import torch

from augforge.algorithms.mixing import mix_vectors
from augforge.errors import ModelError
from augforge.models.backends import Backend, Request, open_backend
from tests.models.conftest import Checkpoint, Opener
from tests.models.requests import difference, picture, request_for


@pytest.fixture(scope="module")
def prior(checkpoint: Checkpoint, opened: Opener) -> diffusers.FluxPriorReduxPipeline:
    """The prior as its own documentation has it, with the text encoders of Flux."""
    texts = ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")
    parts = {name: getattr(opened("redux").pipe, name) for name in texts}
    return diffusers.FluxPriorReduxPipeline.from_pretrained(checkpoint("redux"), **parts)


def plainly(backend: Backend, request: Request, embeds: dict) -> np.ndarray:
    """The image of a call for the only row of `request`, given what the prior made."""
    return backend.pipe(
        **embeds,
        width=32,
        height=32,
        num_inference_steps=request.steps,
        guidance_scale=request.guidance,
        generator=torch.Generator("cpu").manual_seed(request.seeds[0]),
        output_type="np",
    ).images


def test_it_equals_the_prior_and_flux_for_each_row(opened: Opener, prior) -> None:
    backend = opened("redux")
    request = request_for(backend)
    made = backend.generate(request)
    for row in range(3):
        embeds = prior(picture(row), prompt=request.prompts[row])
        assert difference(made[row : row + 1], plainly(backend, request.rows(row, row + 1), dict(embeds))) < 1e-5


def test_the_prior_adds_up_the_images_of_a_call_which_would_be_wrong_for_a_batch(opened: Opener, prior) -> None:
    backend = opened("redux")
    request = request_for(backend, count=2)
    embeds = prior([picture(0), picture(1)], prompt=list(request.prompts))
    assert len(embeds["prompt_embeds"]) == 1
    assert difference(backend.generate(request)[:1], plainly(backend, request.rows(0, 1), dict(embeds))) > 1e-3


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_a_mix_by_lam_is_the_weighted_sum_of_the_prior(lam: float, opened: Opener, prior) -> None:
    backend = opened("redux")
    first, second = backend.embed([picture(1), picture(2)], 2)
    request = replace(request_for(backend, count=1), embeds=mix_vectors(first, second, lam)[None])
    weights = {"prompt_embeds_scale": [lam, 1 - lam], "pooled_prompt_embeds_scale": [lam, 1 - lam]}
    embeds = prior([picture(1), picture(2)], prompt=[request.prompts[0]] * 2, **weights)
    assert difference(backend.generate(request), plainly(backend, request, dict(embeds))) < 1e-5


def test_several_images_are_their_tokens_one_after_the_other(opened: Opener, prior) -> None:
    backend = opened("redux")
    first, second = backend.embed([picture(1), picture(2)], 2)
    request = replace(request_for(backend, count=1), embeds=np.concatenate([first, second])[None])
    one, other = (prior(picture(row), prompt=request.prompts[0]) for row in (1, 2))
    text = one["prompt_embeds"].shape[1] - 16
    tokens = torch.cat([one["prompt_embeds"], other["prompt_embeds"][:, text:]], dim=1)
    embeds = {"prompt_embeds": tokens, "pooled_prompt_embeds": one["pooled_prompt_embeds"]}
    made = backend.generate(request)
    assert difference(made, plainly(backend, request, embeds)) < 1e-5
    assert difference(made, backend.generate(replace(request, embeds=first[None]))) > 1e-4


def test_no_weight_leaves_tokens_of_nought(opened: Opener) -> None:
    backend = opened("redux")
    request = replace(request_for(backend), scale=0.0)
    nought = replace(request, scale=1.0, embeds=np.zeros_like(request.embeds))
    assert np.array_equal(backend.generate(request), backend.generate(nought))


def test_prompts_matter_and_negatives_are_refused(opened: Opener) -> None:
    backend = opened("redux")
    request = request_for(backend)
    other = replace(request, prompts=["something else"] * 3)
    assert difference(backend.generate(request), backend.generate(other)) > 1e-4
    with pytest.raises(ModelError, match="no negative prompt"):
        backend.generate(replace(request, negatives=["grey"] * 3))


def test_the_length_of_an_embedding_is_known_without_an_image(opened: Opener) -> None:
    backend = opened("redux")
    assert backend.embed([], 4).shape == (0, *backend.embed([picture(0)], 4).shape[1:])


def test_a_prior_of_another_model_is_refused(checkpoint: Checkpoint, tmp_path) -> None:
    from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder

    prior = diffusers.FluxPriorReduxPipeline.from_pretrained(checkpoint("redux"))
    prior.image_embedder = ReduxImageEncoder(redux_dim=32, txt_in_features=8)
    prior.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="makes tokens of 8 features, and this model reads 32"):
        open_backend("redux", str(checkpoint("flux")), "cpu", prior=str(tmp_path))
    with pytest.raises(ModelError, match="it is a FluxPipeline"):
        open_backend("redux", str(checkpoint("flux")), "cpu", prior=str(checkpoint("flux")))
