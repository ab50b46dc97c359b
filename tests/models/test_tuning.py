"""Schedulers by name, step caches, attention and compilation: what they do, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.errors import ModelError
from tests.models.conftest import Opener
from tests.models.requests import request_for

NAMES = (
    "LCMScheduler",
    "DPMSolverMultistepScheduler",
    "EulerDiscreteScheduler:trailing",
    "EulerAncestralDiscreteScheduler",
    "DDIMScheduler",
)


@pytest.mark.parametrize("case", ["text-to-image", "image-to-image-xl", "ip-adapter"])
@pytest.mark.parametrize("name", NAMES)
def test_a_scheduler_by_name(case: str, name: str, opened: Opener) -> None:
    backend = opened(case, scheduler=name)
    request = request_for(backend, steps=4)
    images = backend.generate(request)
    assert backend.facts["scheduler"] == name.partition(":")[0]
    assert np.isfinite(images).all()
    solo = np.concatenate([backend.generate(request.rows(row, row + 1)) for row in range(3)])
    assert np.abs(images - solo).max() < 1e-4  # LCM and ancestral steps draw noise: from each image's own generator


def test_spacing_is_recorded(opened: Opener) -> None:
    facts = opened("text-to-image", scheduler="EulerDiscreteScheduler:trailing").facts
    assert facts["timestep-spacing"] == "trailing"


@pytest.mark.parametrize(
    ("case", "name", "said"),
    [
        ("text-to-image", "EulerScheduler", "no scheduler called"),
        ("text-to-image", "UNet2DConditionModel", "no scheduler called"),
        ("text-to-image", "EulerDiscreteScheduler:tailing", "no spacing"),
        ("text-to-image", "FlowMatchEulerDiscreteScheduler", "cannot stand in"),
        ("text-to-image-3", "DDIMScheduler", "cannot stand in"),
    ],
)
def test_a_scheduler_that_does_not_fit(case: str, name: str, said: str, opened: Opener) -> None:
    with pytest.raises(ModelError, match=said):
        opened(case, scheduler=name)


@pytest.mark.parametrize("case", ["text-to-image", "unclip", "text-to-image-3"])
def test_a_denoiser_without_a_step_cache(case: str, opened: Opener) -> None:
    with pytest.raises(ModelError, match="cannot reuse work"):
        opened(case, cache="first-block")


@pytest.mark.parametrize("cache", ["first-block:1000", "pyramid"])
def test_a_step_cache(cache: str, opened: Opener) -> None:
    plain, cached = opened("text-to-image-flux"), opened("text-to-image-flux", cache=cache)
    request = request_for(plain, steps=8)
    images = cached.generate(request)
    assert cached.facts["cache"] == cache
    assert cached.facts["couples-batch"] is True
    assert np.isfinite(images).all()
    assert not np.array_equal(images, plain.generate(request))
    assert np.array_equal(images, cached.generate(request))  # nothing is left over from the request before


def test_a_step_cache_that_never_fires_changes_nothing(opened: Opener) -> None:
    plain, cached = opened("text-to-image-flux"), opened("text-to-image-flux", cache="first-block:0")
    request = request_for(plain, steps=4)
    assert np.abs(plain.generate(request) - cached.generate(request)).max() < 1e-5


def test_an_unknown_cache(opened: Opener) -> None:
    with pytest.raises(ModelError, match="no step cache"):
        opened("text-to-image-flux", cache="last-block")


def test_attention_by_name(opened: Opener) -> None:
    plain, native = opened("text-to-image-flux"), opened("text-to-image-flux", attention="native")
    request = request_for(plain)
    assert native.facts["attention"] == "native"
    assert np.abs(plain.generate(request) - native.generate(request)).max() < 1e-5
    with pytest.raises(ModelError, match="cannot be had"):
        opened("text-to-image-flux", attention="nonsense")


def test_compiling_is_asked_of_the_denoiser(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    asked = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, *a, **k: asked.append(type(self).__name__))
    assert opened("text-to-image", compile=True).facts["compile"] is True
    assert asked == ["UNet2DConditionModel"]
