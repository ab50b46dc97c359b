"""The training of an unconditional diffusion model: what it learns, its moving average, and what it leaves behind."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image

from augforge.data.images import encode_png
from augforge.data.sample import Sample
from augforge.errors import ModelError
from augforge.models.directory import read_model
from augforge.models.networks.unconditional import unet_config
from augforge.progress import Progress
from augforge.training.diffusion import DiffusionOptions, DiffusionTask
from augforge.training.images import TrainingImages
from augforge.training.loop import Plan, context_for, train
from augforge.training.squares import Squares
from augforge.training.writing import write_model
from tests.training.test_loop import KillAt, Killed

TINY = DiffusionOptions(size=16, width=8, levels=2, blocks=1, timesteps=20, batch=4, rate=2e-3)
RECORD = {
    "task": "unconditional", "identity": "tiny", "options": {}, "seed": 1, "steps": 8, "batch": 4,
    "data": {"images": {"images": 6, "digest": "abc", "digests": []}}, "device-name": "cpu", "dtype": "float32",
    "versions": {"augforge": "0"},
}  # fmt: skip


def ramps(count: int, size: tuple[int, int] = (20, 16)) -> TrainingImages:
    """Pictures (h, w) that grow brighter to the right, each in its own tint."""
    random, data = np.random.default_rng(0), {}
    for number in range(count):
        ramp = np.linspace(0, 255, size[0])[None, :, None] * random.uniform(0.4, 1, 3) * np.ones((size[1], 1, 1))
        data[f"{number:03d}"] = encode_png(Image.fromarray(ramp.astype(np.uint8)))
    return TrainingImages([Sample(name, None) for name in data], lambda sample: data[sample.id])


def task(steps: int = 8, count: int = 6, options: DiffusionOptions = TINY) -> DiffusionTask:
    return DiffusionTask(ramps(count), context_for(Accelerator(cpu=True), 1, steps), options)


def test_the_loss_falls(tmp_path):
    learning = task(120)
    before = learning.measure()["denoising"]
    history = train(learning, Plan("x", 120, 4, 1000, 1000), tmp_path, Progress(), "x")
    assert before > 0.8, "noise has a variance of 1, and an untrained network knows nothing of it"
    assert history.losses[-1]["loss"] < 0.5 * history.losses[0]["loss"]
    assert history.measured[-1]["denoising"] < 0.6 * before


def test_an_interrupted_training_ends_with_the_same_bytes(tmp_path):
    plan = Plan("x", 9, 4, checkpoint_every=2, eval_every=5)
    whole = task(9)
    train(whole, plan, tmp_path / "whole", Progress(), "x")
    with pytest.raises(Killed):
        train(task(9), plan, tmp_path / "killed", KillAt(6), "x")
    resumed = task(9)
    said = KillAt(10**6)
    train(resumed, plan, tmp_path / "killed", said, "x")
    assert any("going on at step" in text for text in said.said)
    for name, value in whole.result().weights.items():
        assert torch.equal(resumed.result().weights[name], value), name
    for one, other in zip(whole.unet.parameters(), resumed.unet.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.9999])
def test_the_moving_average_has_its_closed_form(decay):
    """a_n = k_n a_(n-1) + (1 - k_n) w_n with k_n = min(decay, (1 + n) / (10 + n)), k_0 = 0: written out as a sum."""
    learning = task(options=replace(TINY, ema=decay))
    weights = []
    for step in range(6):
        torch.manual_seed(step)
        learning.step(learning.batch(np.random.default_rng(step)))
        weights.append(next(learning.unet.parameters()).detach().double().clone())
    kept = [0.0, *(min(decay, (1 + n) / (10 + n)) for n in range(1, 6))]
    shares = [(1 - kept[n]) * float(np.prod(kept[n + 1 :])) for n in range(6)]
    assert sum(shares) == pytest.approx(1)
    expected = sum(share * weight for share, weight in zip(shares, weights, strict=True))
    found = next(iter(learning.result().weights.values())).double()
    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.allclose(found, weights[-1], atol=1e-9) == (decay == 0)
    plain = [(1 - decay) * decay ** (5 - n) for n in range(6)]  # a constant decay keeps a share of nothing at all
    if decay == 0.9999:
        assert sum(plain) < 0.01


def test_looking_at_the_average_leaves_what_learns_alone():
    learning = task()
    learning.step(learning.batch(np.random.default_rng(0)))
    learning.step(learning.batch(np.random.default_rng(1)))
    before = [parameter.detach().clone() for parameter in learning.unet.parameters()]
    assert learning.measure() == learning.measure()
    learning.sample_grid(), learning.result()
    with pytest.raises(ZeroDivisionError), learning.averaged():
        1 / 0  # noqa: B018
    assert all(torch.equal(a, b) for a, b in zip(before, learning.unet.parameters(), strict=True))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    learning = task()
    history = train(learning, Plan("tiny", 8, 4, 3, 100), folder, Progress(), "x")
    write_model(folder, RECORD, learning, history, 1.0)
    return folder, learning


def test_diffusers_loads_what_was_written(finished):
    from diffusers import DDPMPipeline

    folder, learning = finished
    pipe = DDPMPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    for name, value in learning.result().weights.items():
        assert torch.equal(pipe.unet.state_dict()[name], value), name
    assert pipe.scheduler.config.num_train_timesteps == 20
    assert pipe.scheduler.config.beta_schedule == "squaredcos_cap_v2"
    made = pipe(num_inference_steps=4, generator=torch.Generator().manual_seed(0), output_type="np").images
    assert made.shape == (1, 16, 16, 3)
    assert not (folder / "model.safetensors").exists(), "the weights are there once"


def test_damaged_weights_are_seen_where_they_lie(finished, tmp_path):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(finished[0], folder)
    assert set(read_model(folder).weights) == set(finished[1].result().weights)
    assert json.loads((folder / "model.json").read_text())["weights-file"].startswith("unet/")
    with (folder / "unet" / "diffusion_pytorch_model.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelError, match="is not what was trained"):
        read_model(folder)


def test_the_sheet_shows_the_nearest_image_beside_each(finished):
    sheet = finished[1].sample_grid()
    real = [finished[1].squares.whole(index) for index in range(6)]
    for made, nearest in sheet.rows:
        distances = [np.square(made.astype(float) - picture).sum() for picture in real]
        assert (nearest == real[int(np.argmin(distances))]).all()
    assert len({row[0].tobytes() for row in sheet.rows}) == len(sheet.rows)


@pytest.mark.parametrize(("size", "width", "levels"), [(16, 8, 1), (32, 24, 3), (24, 40, 4)])
def test_networks_of_every_size_can_be_built(size, width, levels):
    from diffusers import UNet2DModel

    net = UNet2DModel(**unet_config(size, width, levels, 1))
    images = torch.zeros(1, 3, size, size)
    assert net(images, torch.tensor([1])).sample.shape == images.shape


def test_views_are_whole_or_cropped_and_mirrored_only_if_asked():
    pictures, random = ramps(1, (40, 20)), np.random.default_rng(0)

    def rises(view):
        return view[8, -1].sum() > view[8, 0].sum()

    for fit in ("stretch", "crop"):
        plain, mirrored = Squares(pictures, 16, fit, False), Squares(pictures, 16, fit, True)
        assert all(rises(plain.drawn(0, random)) for _ in range(20))
        assert 0 < sum(rises(mirrored.drawn(0, random)) for _ in range(20)) < 20
    whole, middle = (Squares(pictures, 16, fit, False).whole(0) for fit in ("stretch", "crop"))
    assert int(whole[8, 0].sum()) < 60 < int(middle[8, 0].sum()), "a crop shows the middle"
