"""In training a denoiser is called as its own pipeline calls it, and added layers start as nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from augforge.errors import ModelError
from augforge.models.backends import Request, backend_class, open_backend
from augforge.models.tensors import to_tensor
from augforge.training.lora.adapters import Adapters, Size
from augforge.training.lora.denoisers import Shown, scaled
from augforge.training.lora.kinds import denoiser_for
from augforge.training.lora.noising import noising_of
from tests.models.conftest import CASES
from tests.models.requests import picture

KINDS = (
    "z_image",
    "text-to-image",
    "text-to-image-xl",
    "text-to-image-3",
    "text-to-image-flux",
    "unclip",
    "kandinsky-2.2",
)
PROMPTS = ["a photo of a cat", "a photo of a dog"]


def fresh(case, checkpoint):
    """A back-end that nobody else has: layers are added to its networks."""
    name, kind = CASES.get(case, ("text-to-image", case))
    more = {"prior": str(checkpoint(kind) / "prior")} if case == "kandinsky-2.2" else {}
    found = backend_class(name)
    return found(str(checkpoint(kind)), "cpu", "fp32", found.read_options(more))


def shown(count=2):
    return Shown(PROMPTS[:count], ["a", "b"][:count], [picture(number) for number in range(count)])


def called(backend):
    """What the denoiser is first given by its own pipeline, without guidance, as sample and time; and its answer."""
    calls = []
    hook = backend.denoiser.register_forward_hook(
        lambda net, args, kwargs, out: calls.append((args, kwargs, out)), with_kwargs=True
    )
    given = shown()
    embeds = backend.embed_once(given.keys, given.images) if "embedding" in backend.carries else None
    guidance = 3.5 if "Flux" in type(backend.pipe).__name__ else 1.0
    request = Request(PROMPTS, [""] * 2, [1, 2], steps=3, guidance=guidance, embeds=embeds, size=(32, 32))
    backend.generate(request)
    hook.remove()
    args, kwargs, out = calls[0]
    if isinstance(args[0] if args else None, list):  # Z-Image: lists, guided at 1, and a time that runs the other way
        return torch.stack(args[0][:2]).squeeze(2), 1000 - 1000 * args[1][:2], -torch.stack(out[0][:2]).squeeze(2)
    named = dict(zip(("sample", "timestep"), args, strict=False)) | kwargs
    return named.get("sample", named.get("hidden_states")), named["timestep"], out[0]


@pytest.mark.parametrize("case", KINDS)
def test_a_denoiser_answers_as_in_its_pipeline(case, checkpoint):
    backend = fresh(case, checkpoint)
    noised, time, out = called(backend)
    denoiser = denoiser_for(backend)
    if case == "text-to-image-flux":
        noised, out, time = (
            backend.pipe._unpack_latents(noised, 32, 32, 2),
            backend.pipe._unpack_latents(out, 32, 32, 2),
            time * 1000,
        )
    times = time.expand(2) if time.ndim == 0 else time
    with torch.no_grad():
        found = denoiser.predict(noised, times, denoiser.condition(shown()))
        wrong = denoiser.predict(noised, times / 2, denoiser.condition(shown()))
    bound = 0.02 if case == "unclip" else 1e-4  # its pipeline draws the least noise, training has none
    assert (found - out[:, : noised.shape[1]]).abs().max() < bound
    assert found.shape == noised.shape
    assert (found - wrong).abs().max() > 1e-4, "the time matters"


@pytest.mark.parametrize("case", KINDS)
def test_latents_are_decoded_to_the_images_that_they_are_of(case, checkpoint):
    """With random weights an autoencoder gives nothing back, but scaling and unscaling must undo each other."""
    backend = fresh(case, checkpoint)
    images = torch.stack([to_tensor(np.asarray(picture(number, 32))) for number in range(2)])
    latents = denoiser_for(backend).latents(images, sample=False)
    assert latents.shape[:2] == (2, 4)
    if case != "kandinsky-2.2":
        plain = backend.pipe.vae.encode(images).latent_dist.mode()
        assert torch.allclose(backend._decoder._unscaled(latents), plain, atol=1e-5)
        assert torch.equal(latents, scaled(plain, backend.pipe.vae.config))


@pytest.mark.parametrize("case", KINDS)
def test_new_layers_change_no_bit_and_alone_take_gradients(case, checkpoint):
    backend = fresh(case, checkpoint)
    denoiser, noising = denoiser_for(backend), noising_of(backend.pipe.scheduler)
    torch.manual_seed(0)
    noised, places = torch.randn(2, 4, 16, 16), torch.tensor([100, 800])

    def answer():
        return denoiser.predict(noised, noising.times(places), denoiser.condition(shown()))

    before = answer().detach()
    adapters = Adapters(denoiser, ["a", "b"], Size(2, 4, ()), texts=False)
    assert torch.equal(answer(), before), "B = 0"
    adapters.activate("b")
    answer().square().mean().backward()
    learns = {name for name, weight in denoiser.net.named_parameters() if weight.grad is not None}
    assert learns and all(".lora_" in name and name.endswith(".b.weight") for name in learns)
    parts = [part for part in backend.pipe.components.values() if isinstance(part, torch.nn.Module)]
    others = [w for part in parts if part is not denoiser.net for w in part.parameters()]
    assert all(weight.grad is None for weight in others)
    for weight in adapters.weights():
        torch.nn.init.normal_(weight)
    assert (answer() - before).abs().max() > 1e-3
    with adapters.disabled():
        assert torch.equal(answer(), before)


@pytest.mark.parametrize("case", [case for case in KINDS if case not in ("kandinsky-2.2", "z_image")])
def test_text_encoders_learn_if_asked(case, checkpoint):
    denoiser = denoiser_for(fresh(case, checkpoint))
    adapters = Adapters(denoiser, ["a"], Size(2, 2, ()), texts=True)
    denoiser.texts_learn = True
    with torch.no_grad():
        for weight in adapters.weights():
            weight.normal_()
    condition = denoiser.condition(shown())
    noised = torch.randn(2, 4, 16, 16)
    denoiser.predict(noised, torch.tensor([100.0, 800.0]), condition).square().mean().backward()
    for name in denoiser.text_encoders:
        grads = [w.grad for key, w in adapters.parts[name].named_parameters() if ".lora_" in key]
        assert any(grad is not None and grad.abs().max() > 0 for grad in grads), name
    assert {key.partition(".")[0] for key in adapters.state("a")} == {denoiser.prefix, *denoiser.text_encoders}


def test_what_does_not_go_is_said(checkpoint):
    variation = open_backend("variation", str(checkpoint("variation")), "cpu")
    with pytest.raises(ModelError, match="no LoRA can be trained for a StableDiffusionImageVariationPipeline"):
        denoiser_for(variation)
    kandinsky = denoiser_for(fresh("kandinsky-2.2", checkpoint))
    with pytest.raises(ModelError, match="reads no text"):
        Adapters(kandinsky, ["a"], Size(2, 2, ()), texts=True)
    with pytest.raises(ModelError, match="no LoRA can be added to UNet2DConditionModel"):
        Adapters(kandinsky, ["a"], Size(2, 2, ("no_such_layer",)), texts=False)
