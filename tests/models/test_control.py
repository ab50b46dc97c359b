"""ControlNets and T2I-Adapters: what they change, when, and that each picture follows its own control."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from augforge.errors import ModelError
from augforge.models.backends import Backend, Request, open_backend, rows
from augforge.models.backends.base import Control
from augforge.models.backends.controlnet import FAMILIES, ControlNet
from tests.models.conftest import Checkpoint
from tests.models.requests import difference, picture, request_for
from tests.tiny_controls import save_tiny_controlnet, save_tiny_t2i_adapter
from tests.tiny_references import saved_as

BASES = ("sd", "sdxl", "sd3", "flux", "qwen", "z_image")
ADAPTED = ("sd", "sdxl")
FROM_IMAGE = ("sd", "sdxl", "flux")
Base = Callable[[str], Path]
Controlled = Callable[..., Backend]


@pytest.fixture(scope="module")
def base(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Base:
    """The tiny checkpoint of a family that can be controlled."""
    folder = tmp_path_factory.mktemp("bases")

    @cache
    def built(name: str) -> Path:
        if name == "qwen":
            return saved_as("QwenImagePipeline", checkpoint("qwen_edit_plus"), folder / name)
        return checkpoint(name)

    return built


@pytest.fixture(scope="module")
def controlled(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Controlled:
    """Opens a family with a tiny ControlNet, or with the back-end "t2i-adapter" with an adapter."""
    folder = tmp_path_factory.mktemp("controls")

    @cache
    def opened(name: str, backend: str = "controlnet", zeros: bool = False) -> Backend:
        place = folder / f"{backend}-{name}-{zeros}"
        if backend == "controlnet":
            net = save_tiny_controlnet(place, base(name), zeros)
        else:
            net = save_tiny_t2i_adapter(place, base(name))
        return open_backend(backend, str(base(name)), "cpu", control=str(net))

    return opened


@pytest.fixture(scope="module")
def plain(base: Base) -> Callable[[str], Backend]:
    """The families without any control."""
    return cache(lambda name: open_backend("text-to-image", str(base(name)), "cpu"))


EVERY = [("controlnet", name) for name in BASES] + [("t2i-adapter", name) for name in ADAPTED]
every = pytest.mark.parametrize(("backend", "name"), EVERY)


def with_control(request: Request, **span: float) -> Request:
    return replace(request, control=Control(**span))


def bare(request: Request) -> Request:
    return replace(request, controls=None)


def test_every_family_is_tested() -> None:
    assert len(BASES) == len(FAMILIES)


@every
def test_scale_0_is_the_model_without_a_control_to_the_bit(backend, name, controlled, plain) -> None:
    opened = controlled(name, backend)
    request = request_for(opened)
    alone = plain(name).generate(bare(request))
    assert np.array_equal(opened.generate(with_control(request, scale=0.0)), alone)
    assert difference(opened.generate(request), alone) > 1e-3


@pytest.mark.parametrize("name", BASES)
def test_a_controlnet_before_its_training_changes_nothing(name, controlled, plain) -> None:
    opened = controlled(name, zeros=True)
    request = request_for(opened)
    assert difference(opened.generate(request), plain(name).generate(bare(request))) < 1e-6


@every
def test_every_picture_follows_its_own_control(backend, name, controlled) -> None:
    """The known wrong way: the controls of a batch in another order."""
    opened = controlled(name, backend)
    assert rows.largest_change(opened) == 0.0
    request = request_for(opened)
    made = opened.generate(request)
    alone = np.concatenate([opened.generate(request.rows(row, row + 1)) for row in range(3)])
    assert difference(made, alone) < 1e-4
    shuffled = opened.generate(replace(request, controls=[*request.controls[1:], request.controls[0]]))
    assert (np.abs(shuffled - alone).max(axis=(1, 2, 3)) > 1e-3).all()


@every
def test_the_global_generator_does_not_matter(backend, name, controlled) -> None:
    opened = controlled(name, backend)
    request = request_for(opened)
    torch.manual_seed(1)
    one = opened.generate(request)
    torch.manual_seed(2)
    assert np.array_equal(one, opened.generate(request))


SPANNED = [("controlnet", name) for name in BASES if name != "z_image"] + [("t2i-adapter", "sdxl")]


@pytest.mark.parametrize(("backend", "name"), SPANNED)
def test_a_control_acts_in_its_span_of_steps(backend, name, controlled, plain) -> None:
    opened = controlled(name, backend)
    request = request_for(opened, steps=4)
    alone = plain(name).generate(bare(request))
    assert np.array_equal(opened.generate(with_control(request, end=0.0)), alone)
    whole, half = opened.generate(request), opened.generate(with_control(request, end=0.5))
    assert difference(half, alone) > 1e-4
    assert difference(half, whole) > 1e-4


@pytest.mark.parametrize("name", [name for _, name in SPANNED[:-1]])
def test_a_span_may_begin_later_or_be_empty(name, controlled, plain) -> None:
    opened = controlled(name)
    request = request_for(opened, steps=4)
    alone = plain(name).generate(bare(request))
    assert np.array_equal(opened.generate(with_control(request, start=0.5, end=0.5)), alone)
    late = opened.generate(with_control(request, start=0.5))
    assert difference(late, alone) > 1e-4
    assert difference(late, opened.generate(request)) > 1e-4


@pytest.mark.parametrize(
    ("backend", "name", "span"),
    [
        ("controlnet", "z_image", {"end": 0.5}),
        ("t2i-adapter", "sd", {"end": 0.5}),
        ("t2i-adapter", "sdxl", {"start": 0.5}),
    ],
)
def test_a_span_that_the_pipeline_does_not_have_is_refused(backend, name, span, controlled) -> None:
    opened = controlled(name, backend)
    with pytest.raises(ModelError, match=r"follows the (control|adapter)"):
        opened.generate(with_control(request_for(opened), **span))


@pytest.mark.parametrize("name", BASES)
def test_some_start_from_an_image_too(name, controlled) -> None:
    opened = controlled(name)
    request = replace(request_for(opened, steps=10), images=[picture(row) for row in range(3)])
    if name not in FROM_IMAGE:
        assert opened.ways == (frozenset({"control"}),)
        with pytest.raises(ModelError, match="image"):
            opened.generate(request)
        return

    def moved(strength: float) -> float:
        given = replace(request, strength=strength)
        other = replace(given, images=[picture(60 + row) for row in range(3)])
        return float(np.abs(opened.generate(given) - opened.generate(other)).mean())

    assert moved(0.3) > 0.01
    assert moved(1.0) < 0.2 * moved(0.3)
    other = replace(request, strength=0.5, controls=list(reversed(request.controls)))
    assert difference(opened.generate(replace(request, strength=0.5)), opened.generate(other)) > 1e-3
    with pytest.raises(ModelError, match="strength"):
        opened.generate(replace(request, strength=0.0))


def test_from_an_image_scale_0_is_the_model_without_a_control(controlled, base) -> None:
    opened = controlled("sd")
    request = replace(request_for(opened), images=[picture(row) for row in range(3)], strength=0.7)
    alone = open_backend("image-to-image", str(base("sd")), "cpu").generate(bare(request))
    assert np.array_equal(opened.generate(with_control(request, scale=0.0)), alone)


@every
def test_a_control_is_needed_and_recorded(backend, name, controlled) -> None:
    opened = controlled(name, backend)
    with pytest.raises(ModelError, match="needs a control picture"):
        opened.generate(bare(request_for(opened)))
    facts = opened.facts["control-network"]
    assert len(facts["digest"]) == 64
    assert facts["kind"] in {*FAMILIES.values(), "T2IAdapter"}


def test_a_control_network_of_another_model_is_refused(base, checkpoint, tmp_path) -> None:
    nets = {name: str(save_tiny_controlnet(tmp_path / name, base(name))) for name in ("sd", "sdxl", "sd3")}
    for model, net, said in (
        ("sd", "sdxl", "reads text of 64 numbers a word, this model 32"),
        ("sd", "sd3", "is a SD3ControlNetModel, which does not fit"),
        ("flux", "sd", "is a ControlNetModel, which does not fit"),
    ):
        with pytest.raises(ModelError, match=said):
            open_backend("controlnet", str(base(model)), "cpu", control=nets[net])
    with pytest.raises(ModelError, match="no control network"):
        open_backend("controlnet", str(base("sd")), "cpu")
    with pytest.raises(ModelError, match="takes no T2I-Adapter"):
        open_backend("t2i-adapter", str(base("sd3")), "cpu", control=nets["sd3"])
    with pytest.raises(ModelError, match="for which there is no ControlNet"):
        open_backend("controlnet", str(checkpoint("flux2_klein")), "cpu", control=nets["sd"])


def test_pickled_weights_are_refused(base, tmp_path) -> None:
    net = save_tiny_controlnet(tmp_path / "net", base("sd"))
    file = net / "diffusion_pytorch_model.safetensors"
    file.rename(file.with_suffix(".bin"))
    with pytest.raises(ModelError, match="pickled"):
        open_backend("controlnet", str(base("sd")), "cpu", control=str(net))


def test_an_adapter_of_one_channel_gets_grey_pictures(base, tmp_path) -> None:
    net = save_tiny_t2i_adapter(tmp_path / "grey", base("sd"), channels=1)
    opened = open_backend("t2i-adapter", str(base("sd")), "cpu", control=str(net))
    request = request_for(opened)
    grey = replace(request, controls=[control.convert("L").convert("RGB") for control in request.controls])
    assert np.array_equal(opened.generate(request), opened.generate(grey))


class OneForAll(ControlNet):
    """The known wrong way: the first control of a batch for all of its rows."""

    def _condition(self, request: Request):
        return super()._condition(replace(request, controls=[request.controls[0]] * len(request)))


def test_the_trial_finds_a_control_that_is_shared(base, tmp_path, monkeypatch) -> None:
    from augforge.models.backends import BACKENDS

    net = save_tiny_controlnet(tmp_path / "net", base("sd"))
    monkeypatch.setitem(BACKENDS, "one-for-all", f"{__name__}:OneForAll")
    with pytest.raises(ModelError, match="mixes the rows of a batch"):
        open_backend("one-for-all", str(base("sd")), "cpu", control=str(net))
