"""Known answers at the level of the pipeline, on a StableUnCLIP of the real classes with random weights."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from PIL import Image

from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.models.backends import Request, open_backend
from augforge.stages.generator import GenerationInput, Job
from augforge.stages.generators.augmented_conditioning import AugmentedConditioning, Mode, mixed_picture
from augforge.stages.prompts import fill

MODES = get_args(Mode)
MIXES = [mode for mode in MODES if "mix" in mode]


def picture(seed: int, size: int = 40) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


IMAGES = {f"p{seed}": picture(seed) for seed in range(4)}


def sample(name: str) -> Sample:
    return Sample(id=name, label="cat", digest=name, width=40, height=40)


def stage(model, **options) -> AugmentedConditioning:
    return AugmentedConditioning.model_validate({"model": str(model), "steps": 2, "guidance": 3.0, **options})


def job(made_by: AugmentedConditioning, names: list[str], seed: int = 5, **changed) -> GenerationInput:
    """The first name is the parent, the others are its class."""
    parents, sampled_params = made_by.sample_params("cat", sample(names[0]), Pool([sample(n) for n in names]), 0, seed)
    planned = Sample(
        id="made",
        label="cat",
        seed=seed,
        parents=tuple(p.id for p in parents),
        sampled_params={**sampled_params, **changed},
    )
    return GenerationInput(Job(planned, tuple(parents)), tuple(IMAGES[p.id] for p in parents))


@pytest.fixture(scope="module")
def loaded(tiny_unclip):
    return stage(tiny_unclip).load("cpu")


def pixels(loaded, *jobs: GenerationInput) -> np.ndarray:
    return np.stack([picture.pixels for picture in loaded.generate(list(jobs))])


def make(tiny_unclip, *jobs: GenerationInput) -> np.ndarray:
    return pixels(stage(tiny_unclip).load("cpu"), *jobs)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_makes_pictures_and_records_its_draws(tiny_unclip, mode):
    loaded = job(stage(tiny_unclip, mode=mode), ["p0", "p1", "p2"])
    sampled_params = loaded.job.sample.sampled_params
    (image,) = make(tiny_unclip, loaded)
    assert image.shape == (32, 32, 3) and np.isfinite(image).all() and 0 <= image.min() <= image.max() <= 1
    assert sampled_params["mode"] == mode and "fallback" not in sampled_params
    assert ("lam" in sampled_params) == (mode in MIXES) and ("p" in sampled_params) == mode.endswith("dropout")
    assert ("box" in sampled_params) == mode.startswith("cutmix")
    assert len(loaded.job.parents) == (2 if mode in MIXES else 1)


@pytest.mark.parametrize("mode", ["embed-mixup", "embed-cutmix"])
def test_lam_one_is_bitwise_the_first_image_alone(tiny_unclip, mode):
    alone = job(stage(tiny_unclip, mode="random-image"), ["p0", "p1"])
    mixed = job(stage(tiny_unclip, mode=mode, lam=1.0), ["p0", "p1"])
    one, other = make(tiny_unclip, alone, alone)[0], make(tiny_unclip, mixed, mixed)[0]
    assert (one == other).all()


@pytest.mark.parametrize("mode", ["embed-mixup", "embed-cutmix"])
def test_lam_zero_is_bitwise_the_second_image_alone(tiny_unclip, mode):
    mixed = job(stage(tiny_unclip, mode=mode, lam=0.0), ["p0", "p1"])
    alone = job(stage(tiny_unclip, mode="random-image"), ["p1", "p0"])
    assert (make(tiny_unclip, mixed, mixed)[0] == make(tiny_unclip, alone, alone)[0]).all()


@pytest.mark.parametrize("mode", MIXES)
def test_the_picture_depends_on_the_second_image(tiny_unclip, mode):
    """Fails for the released embed-cutmix, which slices the guidance axis and returns the first image always."""
    by = stage(tiny_unclip, mode=mode, lam=0.3, dropout=0.1)
    one, other = job(by, ["p0", "p1"]), job(by, ["p0", "p2"])
    assert one.job.sample.sampled_params == other.job.sample.sampled_params
    assert np.abs(make(tiny_unclip, one)[0] - make(tiny_unclip, other)[0]).max() > 1e-4


def test_with_all_coordinates_dropped_the_image_does_not_matter(tiny_unclip):
    by = stage(tiny_unclip, mode="dropout", dropout=1.0)
    one, other = job(by, ["p0"]), job(by, ["p1"])
    assert (make(tiny_unclip, one)[0] == make(tiny_unclip, other)[0]).all()
    partly = stage(tiny_unclip, mode="dropout", dropout=0.5)
    assert (make(tiny_unclip, job(partly, ["p0"]))[0] != make(tiny_unclip, job(partly, ["p1"]))[0]).any()


def test_a_batch_equals_solo_calls_and_neighbours_do_not_matter(tiny_unclip, loaded):
    by = stage(tiny_unclip, mode="embed-cutmix-dropout")
    jobs = [job(by, [f"p{i}", "p3"], seed=i) for i in range(3)]
    batch = pixels(loaded, *jobs)
    solo = np.concatenate([pixels(loaded, item) for item in jobs])
    assert np.abs(batch - solo).max() < 1e-5
    other = pixels(loaded, jobs[0], job(by, ["p2", "p1"], seed=77), jobs[2])
    assert (other[0] == batch[0]).all() and (other[2] == batch[2]).all()
    assert (pixels(loaded, jobs[2], jobs[0], jobs[1])[1] == batch[0]).all()


def test_one_generator_for_the_batch_would_not_do(tiny_unclip):
    """The known wrong variant: images of a batch that share a generator differ from solo calls."""
    import torch
    from diffusers import StableUnCLIPImg2ImgPipeline

    pipe = StableUnCLIPImg2ImgPipeline.from_pretrained(tiny_unclip)
    pipe.set_progress_bar_config(disable=True)
    embeds = torch.zeros(2, 32)

    def call(count):
        shared = torch.Generator().manual_seed(1)
        return pipe(
            prompt=["a"] * count, image_embeds=embeds[:count], generator=shared, num_inference_steps=2, output_type="np"
        ).images

    together = call(2)
    assert np.abs(together[1] - call(1)[0]).max() > 1e-2


def test_passing_the_embedding_equals_passing_the_image(tiny_unclip):
    import torch
    from diffusers import StableUnCLIPImg2ImgPipeline

    unclip = open_backend("unclip", str(tiny_unclip), "cpu")
    pipe = StableUnCLIPImg2ImgPipeline.from_pretrained(tiny_unclip)
    pipe.set_progress_bar_config(disable=True)
    through_image = pipe(
        image=IMAGES["p0"], prompt=["a cat"], negative_prompt=[""], generator=[torch.Generator().manual_seed(9)],
        num_inference_steps=2, guidance_scale=3.0, output_type="np",
    ).images  # fmt: skip
    embeds = unclip.embed([IMAGES["p0"]], 1)
    ours = unclip.generate(Request(["a cat"], [""], [9], steps=2, guidance=3.0, embeds=embeds))
    assert np.abs(through_image - ours).max() < 1e-6


@pytest.mark.parametrize("mode", MIXES)
def test_a_class_of_one_image_uses_the_declared_fallback(tiny_unclip, mode):
    dropped = job(stage(tiny_unclip, mode=mode), ["p0"])
    assert (
        dropped.job.sample.sampled_params["mode"] == "dropout"
        and "one image" in dropped.job.sample.sampled_params["fallback"]
    )
    assert [p.id for p in dropped.job.parents] == ["p0"]
    cropped = job(stage(tiny_unclip, mode=mode, fallback="crop"), ["p0"])
    assert cropped.job.sample.sampled_params["mode"] == mode and [p.id for p in cropped.job.parents] == ["p0", "p0"]
    assert cropped.job.sample.sampled_params["crops"][1] is not None
    assert np.isfinite(make(tiny_unclip, cropped)).all()


def test_draws_hang_on_the_seed_alone(tiny_unclip):
    by = stage(tiny_unclip, mode="cutmix-dropout")
    assert job(by, ["p0", "p1"]).job.sample.sampled_params == job(by, ["p0", "p1"]).job.sample.sampled_params
    assert job(by, ["p0", "p1"]).job.sample.sampled_params != job(by, ["p0", "p1"], seed=6).job.sample.sampled_params


def test_the_mixing_share_follows_beta(tiny_unclip):
    for alpha, deviation in ((1.0, (1 / 12) ** 0.5), (8.0, (0.25 / 17) ** 0.5)):
        by = stage(tiny_unclip, mode="embed-mixup", alpha=alpha)
        lams = [job(by, ["p0", "p1"], seed=s).job.sample.sampled_params["lam"] for s in range(1500)]
        assert abs(np.mean(lams) - 0.5) < 0.03 and abs(np.std(lams) - deviation) < 0.02


def test_a_pixel_cutmix_holds_the_share_of_each_picture():
    white, black = Image.new("RGB", (64, 64), "white"), Image.new("RGB", (64, 64), "black")
    sampled_params = {"mode": "cutmix", "box": (0.25, 0.25, 0.75, 0.75)}
    mixed = np.asarray(mixed_picture(sampled_params, [white, black], 64))
    assert (mixed == 0).mean() == pytest.approx(0.25)


def test_a_pixel_mixup_is_the_mean_in_between():
    white, black = Image.new("RGB", (8, 8), "white"), Image.new("RGB", (8, 8), "black")
    assert (np.asarray(mixed_picture({"mode": "mixup", "lam": 0.2}, [white, black], 8)) == 51).all()


def test_prompts_read_like_words():
    assert fill("a photo of a {label}", "day_lily") == "a photo of a day lily"


@pytest.mark.parametrize(
    ("counts", "options", "wanted"),
    [
        ({"a": 5, "b": 2}, {}, {"a": 0, "b": 3}),
        ({"a": 5, "b": 2}, {"balance-to": "max"}, {"a": 0, "b": 3}),
        ({"a": 5, "b": 2}, {"balance-to": 4}, {"a": 0, "b": 2}),
        ({"a": 5, "b": 2}, {"per-class": 7}, {"a": 7, "b": 7}),
    ],
)
def test_amounts(tiny_unclip, counts, options, wanted):
    assert stage(tiny_unclip, **options).target_counts(counts) == wanted


def test_balancing_imagenet_lt_makes_the_published_number():
    """115,846 images in 1,000 classes of at most 1,280: topping up makes 1,164,154."""
    counts = np.full(1000, 5)
    counts[0] = 1280
    rest = 115_846 - counts.sum()
    counts[1:] += rest // 999
    counts[1 : 1 + rest % 999] += 1
    assert counts.sum() == 115_846 and counts.max() == 1280
    wanted = AugmentedConditioning().target_counts({str(i): int(n) for i, n in enumerate(counts)})
    assert sum(wanted.values()) == 1_164_154
