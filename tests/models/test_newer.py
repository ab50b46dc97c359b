"""Newer pipelines, and those of few steps, keep to what every back-end keeps to, and equal their own plain call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from augforge.models.backends import Backend, Request, open_backend
from tests.models.conftest import Checkpoint
from tests.models.requests import difference, picture, request_for
from tests.tiny_references import saved_as

UNBINNED = {"use_resolution_binning": False, "clean_caption": False}
GUIDED = {"true_cfg_scale": 3.0, "negative_prompt": [" "] * 3}


@dataclass(frozen=True)
class Case:
    """A class of diffusers, the back-end that runs it, the tiny checkpoint of its parts, and how it is called.

    `plain` are the arguments of the pipeline's own call; `options` those of the back-end.
    """

    pipeline: str
    backend: str
    parts: str
    plain: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 2
    guidance: float = 3.0
    options: Mapping[str, Any] = field(default_factory=dict)


CASES = (
    Case("ChromaPipeline", "text-to-image", "chroma"),
    Case("ChromaImg2ImgPipeline", "image-to-image", "chroma"),
    Case("FluxImg2ImgPipeline", "image-to-image", "flux"),
    Case("FluxKontextPipeline", "image-to-image", "flux", {"max_area": 32 * 32}),
    Case("LatentConsistencyModelPipeline", "text-to-image", "lcm"),
    Case("LatentConsistencyModelImg2ImgPipeline", "image-to-image", "lcm", steps=4),
    Case("PixArtSigmaPipeline", "text-to-image", "pixart_sigma", UNBINNED),
    Case("QwenImagePipeline", "text-to-image", "qwen_edit_plus", GUIDED),
    Case("QwenImageImg2ImgPipeline", "image-to-image", "qwen_edit_plus", GUIDED),
    Case("QwenImageEditPipeline", "image-to-image", "qwen_edit_plus", GUIDED),
    Case("SanaPipeline", "text-to-image", "sana", UNBINNED),
    Case("SanaSprintPipeline", "text-to-image", "sana_sprint", UNBINNED),
    Case("SanaSprintPipeline", "text-to-image", "sana_sprint", {**UNBINNED, "intermediate_timesteps": None}, steps=1),
    Case("SanaSprintImg2ImgPipeline", "image-to-image", "sana_sprint", UNBINNED),
    Case(
        "StableDiffusionXLPipeline",  # as the Turbo and Lightning checkpoints are run
        "text-to-image",
        "sdxl",
        steps=1,
        guidance=0.0,
        options={"scheduler": "EulerAncestralDiscreteScheduler:trailing"},
    ),
    Case("ZImagePipeline", "text-to-image", "z_image"),
    Case("ZImagePipeline", "text-to-image", "z_image", guidance=0.0),
    Case("ZImageImg2ImgPipeline", "image-to-image", "z_image"),
)
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.pipeline}-{case.steps}-{case.guidance:g}")
_opened: dict[str, Backend] = {}


@pytest.fixture(scope="session")
def built(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("newer")


@pytest.fixture
def backend(case: Case, checkpoint: Checkpoint, built: Path, monkeypatch: pytest.MonkeyPatch) -> Backend:
    monkeypatch.setattr("diffusers.pipelines.flux.pipeline_flux_kontext.PREFERRED_KONTEXT_RESOLUTIONS", [(32, 32)])
    monkeypatch.setattr(
        "diffusers.pipelines.qwenimage.pipeline_qwenimage_edit.calculate_dimensions", lambda area, ratio: (32, 32, None)
    )
    if repr(case) not in _opened:
        folder = built / case.pipeline
        if not folder.exists():
            saved_as(case.pipeline, checkpoint(case.parts), folder)
        _opened[repr(case)] = open_backend(case.backend, str(folder), "cpu", **case.options)
    return _opened[repr(case)]


def asked(case: Case, backend: Backend) -> Request:
    return replace(request_for(backend, guidance=case.guidance, steps=case.steps), prompts=["a cat", "a dog", "a boat"])


@every_case
def test_it_equals_the_plain_call_and_every_row_is_its_own(case: Case, backend: Backend) -> None:
    assert type(backend.pipe).__name__ == case.pipeline
    request = asked(case, backend)
    made = backend.generate(request)
    assert made.shape == (3, 32, 32, 3) and np.isfinite(made).all() and made.std() > 0.01
    image = {"image": list(request.images)} if request.images else {}
    plain = backend.pipe(
        prompt=list(request.prompts),
        **image,
        **({"strength": 0.7} if image and "strength" in backend._takes else {}),
        **({} if "true_cfg_scale" in case.plain else {"guidance_scale": case.guidance}),
        **case.plain,
        width=32,
        height=32,
        num_inference_steps=case.steps,
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in request.seeds],
        output_type="np",
    ).images
    assert difference(made, plain) < 1e-5
    solo = np.concatenate([backend.generate(request.rows(row, row + 1)) for row in range(3)])
    assert difference(made, solo) < 1e-5


@every_case
def test_neighbours_change_no_bit_and_a_row_itself_does(case: Case, backend: Backend) -> None:
    request = asked(case, backend)
    made = backend.generate(request)
    images = None if request.images is None else [request.images[0], picture(50), request.images[2]]
    changed = backend.generate(replace(request, prompts=["a cat", "a fox", "a boat"], images=images))
    assert np.array_equal(made[[0, 2]], changed[[0, 2]])
    assert difference(made[1], changed[1]) > 1e-6
    assert difference(made, backend.generate(replace(request, seeds=[1, 2, 3]))) > 1e-3


def test_qwen_image_is_guided_though_nothing_negative_is_said(checkpoint: Checkpoint, built: Path) -> None:
    folder = saved_as("QwenImagePipeline", checkpoint("qwen_edit_plus"), built / "guided")
    backend = open_backend("text-to-image", str(folder), "cpu")
    request = request_for(backend, steps=1)
    assert difference(backend.generate(request), backend.generate(replace(request, guidance=6.0))) > 1e-5
    once = replace(request, guidance=1.0)
    assert np.array_equal(backend.generate(once), backend.generate(replace(request, guidance=0.5)))
