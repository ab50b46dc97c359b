"""What every diffusion back-end keeps to, on tiny models of the real classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from packaging.version import Version

from augforge.errors import ModelError
from augforge.models.backends import BACKENDS, backend_class
from tests.models.conftest import CASES, EMBEDDING, Opener
from tests.models.requests import difference, picture, request_for

every_case = pytest.mark.parametrize("case", CASES)


def test_every_back_end_is_tested() -> None:
    assert {name for name, _ in CASES.values()} == set(BACKENDS)


@every_case
def test_it_makes_one_finite_picture_a_row(case: str, opened: Opener) -> None:
    images = opened(case).generate(request_for(opened(case)))
    assert images.shape == (3, 32, 32, 3)
    assert images.dtype == np.float32
    assert images.min() >= 0.0
    assert images.max() <= 1.0
    assert images.std() > 0.01


@every_case
def test_the_same_request_twice_gives_the_same_bytes(case: str, opened: Opener) -> None:
    request = request_for(opened(case))
    assert np.array_equal(opened(case).generate(request), opened(case).generate(request))


@every_case
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_a_batch_equals_solo_calls(case: str, guidance: float, opened: Opener) -> None:
    request = request_for(opened(case), guidance=guidance)
    batch = opened(case).generate(request)
    solo = np.concatenate([opened(case).generate(request.rows(row, row + 1)) for row in range(3)])
    assert difference(batch, solo) < 1e-5


@every_case
def test_neighbours_change_no_bit(case: str, opened: Opener) -> None:
    request = request_for(opened(case), count=4)
    others = request_for(opened(case), count=5).rows(1, 5)
    mixed = replace(
        others,
        prompts=[request.prompts[0], *others.prompts[1:]],
        labels=None if others.labels is None else [request.labels[0], *others.labels[1:]],
        seeds=[request.seeds[0], *others.seeds[1:]],
        embeds=None if others.embeds is None else np.concatenate([request.embeds[:1], others.embeds[1:]]),
        images=None if others.images is None else [request.images[0], *others.images[1:]],
        controls=None if others.controls is None else [request.controls[0], *others.controls[1:]],
    )
    assert np.array_equal(opened(case).generate(request)[0], opened(case).generate(mixed)[0])


@every_case
def test_seeds_matter(case: str, opened: Opener) -> None:
    request = request_for(opened(case))
    other = replace(request, seeds=[seed + 1000 for seed in request.seeds])
    assert difference(opened(case).generate(request), opened(case).generate(other)) > 0.05


OLD_TORCH = Version(torch.__version__) < Version("2.13")


@pytest.mark.skipif(OLD_TORCH, reason="bf16 on the CPU is less exact before torch 2.13")
@every_case
def test_bf16_stays_close(case: str, opened: Opener) -> None:
    request = request_for(opened(case))
    exact, rough = opened(case).generate(request), opened(case, "bf16").generate(request)
    assert opened(case, "bf16").facts["dtype"] == "bfloat16"
    assert np.isfinite(rough).all()
    assert 0 < np.abs(exact - rough).mean() < 0.03


@pytest.mark.parametrize("case", EMBEDDING)
def test_the_embedding_changes_the_picture(case: str, opened: Opener) -> None:
    request = replace(request_for(opened(case)), scale=2.0)
    other = replace(request, embeds=opened(case).embed([picture(50 + row) for row in range(3)], 4) * 3)
    changed = np.abs(opened(case).generate(request) - opened(case).generate(other)).max(axis=(1, 2, 3))
    assert (changed > 1e-3).all()


@pytest.mark.parametrize("case", EMBEDDING)
def test_embeddings_do_not_depend_on_how_many_there_are(case: str, opened: Opener) -> None:
    backend = opened(case)
    pictures = [picture(row, backend.encoder_size) for row in range(5)]
    assert np.array_equal(backend.embed(pictures, 4)[:2], backend.embed(pictures[:2], 4))
    assert backend.embed(pictures, 4).dtype == np.float32
    assert len(backend.embed([], 4)) == 0


@pytest.mark.parametrize("case", ["image-to-image", "image-to-image-xl", "image-to-image-3", "ip-adapter"])
def test_strength_decides_how_much_of_the_source_remains(case: str, opened: Opener) -> None:
    backend = opened(case)
    request = replace(request_for(backend, steps=10), images=[picture(row) for row in range(3)])
    other = replace(request, images=[picture(60 + row) for row in range(3)])

    def moved(strength: float) -> float:
        pair = [backend.generate(replace(each, strength=strength)) for each in (request, other)]
        return float(np.abs(pair[0] - pair[1]).mean())

    assert moved(1.0) < 0.2 * moved(0.3)
    assert moved(0.3) > 0.01


@pytest.mark.parametrize("case", CASES)
def test_the_native_size_is_the_models_own(case: str, opened: Opener) -> None:
    of_flux = ("text-to-image-flux", "ip-adapter-flux", "ip-adapter-chroma", "redux", "references", "controlnet-flux")
    wanted = (256, 256) if case in of_flux else (32, 32)
    assert opened(case).native_size == wanted


@every_case
def test_facts_say_what_made_the_pictures(case: str, opened: Opener) -> None:
    facts = opened(case).facts
    assert facts["device"] == "cpu"
    assert facts["dtype"] == "float32"
    assert len(facts["model"]["digest"]) == 64
    assert {"pipeline", "scheduler", "attention", "cache", "compile", "versions"} <= set(facts)


@pytest.mark.parametrize("case", [case for case in CASES if case not in ("unconditional", "class-conditional")])
def test_nan_is_passed_on(case: str, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = opened(case)
    decode = backend._decoder._net.decode

    def spoilt(*args: object, **settings: object) -> object:
        return (decode(*args, **{**settings, "return_dict": False})[0] * float("nan"),)

    monkeypatch.setattr(backend._decoder._net, "decode", spoilt)
    assert np.isnan(backend.generate(request_for(backend))).all()


def test_nan_of_a_model_without_a_decoder_is_passed_on(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = opened("unconditional")
    monkeypatch.setattr(backend, "_noise", lambda pictures, time: pictures * float("nan"))
    request = request_for(backend)
    made, mask = backend.generate(request), request.masks[0]
    assert np.isnan(made[:, mask]).all() and not np.isnan(made[:, ~mask]).any()


def test_nan_of_a_pipeline_that_always_decodes_is_passed_on(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = opened("class-conditional")
    monkeypatch.setattr(backend.pipe.vae.config, "scaling_factor", float("nan"))
    assert np.isnan(backend.generate(request_for(backend))).all()


@pytest.mark.parametrize("case", ["inpainting", "inpainting-xl", "unconditional"])
def test_what_is_asked_for_is_painted_and_masks_matter(case: str, opened: Opener) -> None:
    backend = opened(case)
    request = request_for(backend)
    for missing in ("images", "masks"):
        with pytest.raises(ModelError, match="needs"):
            backend.generate(replace(request, **{missing: None}))
    other = replace(request, masks=[~mask for mask in request.masks])
    assert difference(backend.generate(request), backend.generate(other)) > 0.05
    if case == "unconditional":
        mask = request.masks[0]
        kept = np.asarray(request.images[0], np.float32)[~mask] / 255
        assert np.abs(backend.generate(request)[0][~mask] - kept).max() < 1e-6
        with pytest.raises(ModelError, match="do not divide the 30"):
            backend.generate(replace(request, steps=4))


@every_case
def test_a_condition_that_it_cannot_carry_is_refused(case: str, opened: Opener) -> None:
    backend = opened(case)
    request = request_for(backend)
    if "embedding" not in backend.carries:
        with pytest.raises(ModelError, match="embedding"):
            backend.generate(replace(request, embeds=np.zeros((3, 32), np.float32)))
    if not any("image" in way for way in backend.ways):
        with pytest.raises(ModelError, match="image"):
            backend.generate(replace(request, images=[picture(0)] * 3))
    if "control" not in backend.carries:
        with pytest.raises(ModelError, match="control"):
            backend.generate(replace(request, controls=[picture(0)] * 3))
    if not backend.reads_prompt:
        with pytest.raises(ModelError, match="negative"):
            backend.generate(replace(request, negatives=["grey"] * 3))


def test_names() -> None:
    with pytest.raises(ModelError, match="no back-end") as caught:
        backend_class("unclipp")
    assert "unclip" in caught.value.hint
    with pytest.raises(ModelError, match="no option"):
        backend_class("unclip").read_options({"priorr": "x"})
