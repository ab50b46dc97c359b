"""PixArt, SANA, Chroma, Qwen-Image, Flux.2 and DiT in training: as their pipelines call them, by closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from augforge.errors import ModelError
from augforge.models.backends import Request, backend_class
from augforge.models.tensors import to_tensor
from augforge.training.loop import context_for
from augforge.training.lora.denoisers import Shown
from augforge.training.lora.kinds import denoiser_for
from augforge.training.lora.noising import Diffusing, Flowing, noising_of
from augforge.training.lora.task import LoraTask
from tests.models.requests import picture
from tests.training.test_lora import TINY, images

KINDS = (
    "pixart_sigma",
    "pixart_alpha",
    "dit",
    "sana",
    "chroma",
    "qwen_image",
    "flux2",
    "flux2_klein",
    "flux2_klein_kv",
)
DIFFUSING = ("pixart_sigma", "pixart_alpha", "dit")
"""Of these the second half of the answer is a variance."""
LABELS = ["goldfish", "golden retriever"]
PROMPTS = ["a photo of a cat", "a dog"]
PLACES = torch.tensor([200, 700])


def fresh(kind, checkpoint):
    """A back-end that nobody else has: layers are added to its networks."""
    found = backend_class("class-conditional" if kind == "dit" else "text-to-image")
    return found(str(checkpoint(kind)), "cpu", "fp32", found.read_options({}))


def shown(prompts=PROMPTS):
    return Shown(
        prompts, ["a", "b"][: len(prompts)], [picture(number) for number in range(len(prompts))], LABELS[: len(prompts)]
    )


def drawn(kind):
    """Latents and noise (2, c, h, w) as the model of this kind has them for images of 32 px."""
    shape = (2, 16, 8, 8) if "flux2" in kind else (2, 4, 16, 16)
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(shape, generator=generator) for _ in range(2))


def packed(kind, latents):
    """(2, ...) latents (2, c, h, w) as the transformer takes them."""
    if "flux2" in kind:
        return latents.flatten(2).transpose(1, 2)
    if kind in ("qwen_image", "chroma"):
        count, channels, height, width = latents.shape
        patches = latents.reshape(count, channels, height // 2, 2, width // 2, 2)
        return patches.permute(0, 2, 4, 1, 3, 5).reshape(count, -1, channels * 4)
    return latents


class Called:
    """The first call of a denoiser by its own pipeline, without guidance, which can be made again on other latents."""

    def __init__(self, backend):
        calls = []
        hook = backend.denoiser.register_forward_hook(
            lambda net, args, kwargs, out: calls.append((args, kwargs)), with_kwargs=True
        )
        guidance = 4.0 if backend.denoiser.config.get("guidance_embeds") else 1.0
        request = Request(PROMPTS, [""] * 2, [1, 2], steps=3, guidance=guidance, size=(32, 32), labels=LABELS)
        backend.generate(request)
        hook.remove()
        args, self.given = calls[0]
        self.given = {**self.given, **dict(zip(("hidden_states",), args, strict=False))}
        self.net = backend.denoiser

    def answer(self, kind, noised, times):
        """What it answers to `noised` (2, c, h, w) at `times` (2,), packed, with all else as the pipeline gave it."""
        told = times if kind in (*DIFFUSING, "sana") else times / 1000
        given = {**self.given, "hidden_states": packed(kind, noised), "timestep": told, "return_dict": False}
        with torch.no_grad():
            return self.net(**given)[0]


def learning(kind, checkpoint):
    """A training of this kind."""
    context = context_for(Accelerator(cpu=True), 1, 8)
    pictures = images(2)
    prompts = dict(zip(LABELS, PROMPTS, strict=True))
    pictures.samples = [replace(s, label=label) for s, label in zip(pictures.samples, LABELS, strict=True)]
    return LoraTask(pictures, images(0), fresh(kind, checkpoint), context, replace(TINY, prompts=prompts))


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_that_of_the_pipelines_own_call_and_its_target(kind, checkpoint):
    """(answer - target)^2 of the noised latents, of which both are written down here, and of no wrong one."""
    backend = fresh(kind, checkpoint)
    called = Called(backend)
    latents, noise = drawn(kind)
    noising, condition = noising_of(backend.pipe.scheduler), denoiser_for(backend).condition(shown())
    times = noising.times(PLACES)
    if kind in DIFFUSING:
        share = torch.cumprod(1 - torch.linspace(0.0001, 0.02, 1000), 0)[PLACES].view(-1, 1, 1, 1)
        noised, target = share.sqrt() * latents + (1 - share).sqrt() * noise, noise
    else:
        share = (times / 1000).view(-1, 1, 1, 1)
        noised, target = (1 - share) * latents + share * noise, noise - latents
    answer = called.answer(kind, noised, times)
    wrong = {"sign": (answer, -target)}
    if kind in DIFFUSING:
        answer, variance = answer.chunk(2, dim=1)
        wrong = {"half": (variance, target), "sign": (answer, -target)}
    if kind == "qwen_image":
        called.given["encoder_hidden_states_mask"] = None
        wrong["mask"] = called.answer(kind, noised, times), target
    if kind == "chroma":
        called.given["attention_mask"] = None
        wrong["mask"] = called.answer(kind, noised, times), target
    if kind == "pixart_alpha":
        called.given["added_cond_kwargs"]["resolution"] *= 2
        wrong["size"] = called.answer(kind, noised, times).chunk(2, dim=1)[0], target
    if kind == "dit":
        called.given["class_labels"] = called.given["class_labels"].flip(0)
        wrong["class"] = called.answer(kind, noised, times).chunk(2, dim=1)[0], target
    expected = (answer - packed(kind, target)).square().mean()
    found = loss(backend, latents, noise, condition)
    assert found == pytest.approx(expected.item(), rel=1e-5)
    for name, (other, aim) in wrong.items():
        spoilt = (other - packed(kind, aim)).square().mean().item()
        assert abs(spoilt - found) > 1e-4 * found, name


def loss(backend, latents, noise, condition):
    """The loss of the model as it is; as `LoraTask` computes it."""
    task = object.__new__(LoraTask)
    task.denoiser, task.noising = denoiser_for(backend), noising_of(backend.pipe.scheduler)
    with torch.no_grad():
        return task._error(latents, noise, PLACES, condition).item()


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_always_answers_the_target_is_led_to_the_latents(kind, checkpoint):
    """By the pipeline's own scheduler; the opposite answer leads elsewhere."""
    scheduler = fresh(kind, checkpoint).pipe.scheduler
    noising = noising_of(scheduler)
    assert isinstance(noising, Diffusing if kind in DIFFUSING else Flowing)
    latents, noise = drawn(kind)
    target = noising.target(latents, noise, PLACES)

    def ends(answer):
        scheduler.set_timesteps(5)
        first = scheduler.timesteps[0]
        if kind in DIFFUSING:
            sample = noising.noised(latents, noise, first.expand(2))
        else:
            sample = (1 - scheduler.sigmas[0]) * latents + scheduler.sigmas[0] * noise
        for time in scheduler.timesteps:
            sample = scheduler.step(answer, time, sample, return_dict=False)[0]
        return sample

    assert torch.allclose(ends(target), latents, atol=1e-3)
    assert (ends(-target) - latents).abs().max() > 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_steps_lower_the_loss_and_move_the_layers_alone(kind, checkpoint):
    task = learning(kind, checkpoint)
    latents, noise = drawn(kind)
    condition = task.denoiser.condition(shown())
    before = {name: weight.detach().clone() for name, weight in task.denoiser.net.named_parameters()}
    losses = []
    for _ in range(12):
        found = task._error(latents, noise, PLACES, condition)
        losses.append(found.item())
        task.update("lora", found)
    assert losses[-1] < 0.98 * losses[0] and min(losses) == losses[-1], losses
    for name, weight in task.denoiser.net.named_parameters():
        learns = ".lora_" in name
        assert torch.equal(weight, before[name]) != learns, name
        assert learns or weight.grad is None, name
    parts = [part for part in task.backend.pipe.components.values() if isinstance(part, torch.nn.Module)]
    others = [w for part in parts for name, w in part.named_parameters() if ".lora_" not in name]
    assert all(weight.grad is None for weight in others)
    with task.disabled(), torch.no_grad():
        assert task._error(latents, noise, PLACES, condition).item() == losses[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_of_the_training_itself_goes(kind, checkpoint):
    task = learning(kind, checkpoint)
    found = task.step(task.batch(np.random.default_rng(0)))
    assert torch.isfinite(found["loss"])
    measured = task.measure()
    assert measured["denoising"] != measured["without"]


def test_sana_sprint_has_another_target_and_is_refused(checkpoint):
    with pytest.raises(ModelError, match="no LoRA can be trained for a SanaSprintPipeline: it was distilled"):
        denoiser_for(fresh("sana_sprint", checkpoint))


def test_lcm_was_distilled_and_is_refused(checkpoint):
    with pytest.raises(ModelError, match="no LoRA can be trained for a LatentConsistencyModelPipeline: it was dist"):
        denoiser_for(fresh("lcm", checkpoint))


def test_a_model_that_edits_learns_from_pairs_and_is_refused_before_it_is_loaded(checkpoint):
    with pytest.raises(ModelError, match="is a QwenImageEditPlusPipeline, which TextToImage cannot run") as refused:
        fresh("qwen_edit_plus", checkpoint)
    assert "train a LoRA of qwen-image" in refused.value.hint


def test_dit_has_classes_and_a_size_of_its_own(checkpoint):
    denoiser = denoiser_for(fresh("dit", checkpoint))
    denoiser.net.train()  # in which it would drop classes
    one, other = (denoiser.condition(shown()) for _ in range(2))
    assert torch.equal(one["class_labels"], torch.tensor([1, 207]))
    noised = next(drawn("dit"))
    answers = [denoiser.predict(noised, PLACES, condition) for condition in [one] * 4 + [other]]
    assert all(torch.equal(answer, answers[0]) for answer in answers)
    with pytest.raises(ModelError, match="knows no class 'tulip'"):
        denoiser.condition(replace(shown(), labels=["tulip", "goldfish"]))
    with pytest.raises(ModelError, match="images of 32x32 px only"):
        denoiser.latents(torch.zeros(1, 3, 64, 64), sample=False)


@pytest.mark.parametrize("kind", ["flux2", "flux2_klein"])
def test_flux2_has_the_latents_that_its_pipeline_has_of_a_reference(kind, checkpoint):
    backend = fresh(kind, checkpoint)
    normal = backend.pipe.vae.bn
    normal.running_mean.uniform_(-1, 1)
    normal.running_var.uniform_(0.5, 2)
    expected = backend.pipe._encode_vae_image(squares(), None)
    assert torch.allclose(denoiser_for(backend).latents(squares(), sample=False), expected, atol=1e-6)
    normal.running_var += 1
    assert not torch.allclose(denoiser_for(backend).latents(squares(), sample=False), expected, atol=1e-2)


def test_sana_and_pixart_scale_latents_by_a_factor(checkpoint):
    for kind in ("sana", "pixart_sigma", "dit"):
        backend = fresh(kind, checkpoint)
        backend.pipe.vae.register_to_config(scaling_factor=0.4)
        found = backend.pipe.vae.encode(squares())
        plain = found.latent if kind == "sana" else found.latent_dist.mode()
        assert torch.allclose(denoiser_for(backend).latents(squares(), sample=False), 0.4 * plain, atol=1e-6)


def test_qwen_image_scales_latents_by_mean_and_deviation(checkpoint):
    backend = fresh("qwen_image", checkpoint)
    mean, spread = [0.1, 0.2, 0.3, 0.4], [2.0, 3.0, 4.0, 5.0]
    backend.pipe.vae.register_to_config(latents_mean=mean, latents_std=spread)
    plain = backend.pipe.vae.encode(squares().unsqueeze(2)).latent_dist.mode()[:, :, 0]
    found = denoiser_for(backend).latents(squares(), sample=False)
    for channel in range(4):
        expected = (plain[:, channel] - mean[channel]) / spread[channel]
        assert torch.allclose(found[:, channel], expected, atol=1e-6)


def squares():
    """(2, 3, 32, 32) two pictures, in [-1, 1]."""
    return torch.stack([to_tensor(np.asarray(picture(number, 32))) for number in range(2)])
