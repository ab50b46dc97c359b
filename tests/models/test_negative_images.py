"""Guided away from an image: known answers at the level of the pipeline, on a tiny IP-Adapter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from augforge.algorithms.guidance import perp_neg_guidance
from augforge.errors import ModelError
from augforge.models.backends import Backend, Request
from tests.models.conftest import Opener
from tests.models.requests import difference, picture, request_for

both = pytest.mark.parametrize("case", ["ip-adapter", "ip-adapter-xl"])


def away_from(backend: Backend, numbers: range, **changed: object) -> Request:
    """A request of three rows with the pictures `numbers` as their negatives."""
    request = request_for(backend, guidance=4.0)
    negatives = backend.embed([picture(number) for number in numbers], 4)
    return replace(request, **{"negative_embeds": negatives, "negative_guidance": 1.5, **changed})


@both
def test_no_weight_is_the_plain_call_to_the_bit(case: str, opened: Opener) -> None:
    backend = opened(case)
    plain = backend.generate(request_for(backend, guidance=4.0))
    assert np.array_equal(backend.generate(away_from(backend, range(50, 53), negative_guidance=0.0)), plain)
    assert difference(backend.generate(away_from(backend, range(50, 53))), plain) > 1e-3


@both
def test_each_row_has_its_own_negative(case: str, opened: Opener) -> None:
    backend = opened(case)
    request = away_from(backend, range(50, 53))
    made = backend.generate(request)
    solo = np.concatenate([backend.generate(request.rows(row, row + 1)) for row in range(3)])
    assert difference(made, solo) < 1e-5
    negatives = request.negative_embeds.copy()
    negatives[1] = backend.embed([picture(70)], 4)[0]
    other = backend.generate(replace(request, negative_embeds=negatives))
    assert np.array_equal(made[[0, 2]], other[[0, 2]])
    assert difference(made[1], other[1]) > 1e-4


@both
def test_the_positive_as_the_negative_without_text_is_less_guidance(case: str, opened: Opener) -> None:
    """Where the text is that of the unconditional rows, e(-, negative) is the whole: e_u + (s - w_n) (e - e_u)."""
    backend = opened(case)
    silent = replace(away_from(backend, range(3)), negative_guidance=1.5)
    silent = replace(silent, negatives=["a cat"] * 3, prompts=["a cat"] * 3)
    less = replace(silent, negative_embeds=None, guidance=2.5)
    assert difference(backend.generate(silent), backend.generate(less)) < 1e-4
    assert difference(backend.generate(silent), backend.generate(replace(less, guidance=4.0))) > 1e-3


@both
def test_apart_equal_images_of_equal_weight_leave_the_text_alone(case: str, opened: Opener) -> None:
    backend = opened(case)
    cancelled = away_from(backend, range(3), positive_guidance=1.5)
    text = replace(cancelled, embeds=np.zeros_like(cancelled.embeds), negative_embeds=None)
    assert difference(backend.generate(cancelled), backend.generate(text)) < 1e-4
    assert difference(backend.generate(replace(cancelled, positive_guidance=3.0)), backend.generate(text)) > 1e-3


def test_several_references_have_as_many_negatives(opened: Opener) -> None:
    backend = opened("ip-adapter")
    request = away_from(backend, range(50, 53))
    twice = replace(request, embeds=np.tile(request.embeds, 2), negative_embeds=np.tile(request.negative_embeds, 2))
    assert difference(backend.generate(request), backend.generate(twice)) < 1e-5


def test_it_goes_with_an_image_to_start_from(opened: Opener) -> None:
    backend = opened("ip-adapter")
    pictures = [picture(number) for number in range(3)]
    request = replace(away_from(backend, range(50, 53)), images=pictures, strength=0.7)
    plain = replace(request, negative_embeds=None)
    assert difference(backend.generate(request), backend.generate(plain)) > 1e-4
    assert np.array_equal(backend.generate(replace(request, negative_guidance=0.0)), backend.generate(plain))


def test_perp_neg_goes_with_an_adapter_in_batches(opened: Opener) -> None:
    """The embeddings are of one row each before a hook of the U-Net asks it for some of the rows."""
    backend = opened("ip-adapter")
    request = request_for(backend, guidance=4.0)
    with perp_neg_guidance(backend.pipe, [("blurry", 1.0)]):
        made = backend.generate(request)
        solo = np.concatenate([backend.generate(request.rows(row, row + 1)) for row in range(3)])
    assert difference(made, solo) < 1e-5
    assert difference(made, backend.generate(request)) > 1e-5


def test_it_is_refused_without_guidance_and_by_others(opened: Opener) -> None:
    backend = opened("ip-adapter")
    with pytest.raises(ModelError, match="needs guidance above 1"):
        backend.generate(away_from(backend, range(3), guidance=1.0))
    other = opened("unclip")
    request = request_for(other)
    with pytest.raises(ModelError, match="cannot be guided away"):
        other.generate(replace(request, negative_embeds=request.embeds))
