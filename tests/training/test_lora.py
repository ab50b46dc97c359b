"""The training of LoRAs: what learns, what it leaves behind, and that a killed training is no other one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from augforge.data.images import encode_png
from augforge.data.sample import Sample
from augforge.errors import ModelError, RecipeError
from augforge.models import MODELS, find_model
from augforge.models.backends import Request, backend_class
from augforge.models.directory import read_model, read_record
from augforge.models.loras import lora_files
from augforge.progress import Progress
from augforge.recipe import build_stage
from augforge.training.images import TrainingImages
from augforge.training.loop import Plan, context_for, train
from augforge.training.lora.adapters import Size
from augforge.training.lora.groups import groups_of
from augforge.training.lora.noising import Diffusing
from augforge.training.lora.task import LoraOptions, LoraTask, replaced
from augforge.training.writing import write_model
from tests.models.requests import picture
from tests.training.test_loop import KillAt, Killed

TINY = LoraOptions(
    "set", Size(4, 8, ()), {"cat": "a photo of a cat", "dog": "a photo of a dog"}, side=32, batch=2, rate=1e-2, steps=2
)  # fmt: skip
RECORD = {
    "task": "lora", "identity": "tiny", "options": {}, "seed": 1, "steps": 8, "batch": 2,
    "data": {"images": {"images": 4, "digest": "abc", "digests": []}}, "device-name": "cpu", "dtype": "float32",
    "versions": {"augforge": "0"},
}  # fmt: skip


def images(count: int, first: int = 0) -> TrainingImages:
    """Smooth pictures, of cats and dogs in turns."""
    data = {f"{number:03d}": encode_png(picture(number)) for number in range(first, first + count)}
    samples = [Sample(name, "cat" if int(name) % 2 else "dog", digest=f"{int(name):064x}"[::-1]) for name in data]
    return TrainingImages(samples, lambda sample: data[sample.id])


def task(model, steps=8, count=4, held=0, options=TINY, seed=1) -> LoraTask:
    backend = backend_class("unclip")(model, "cpu", "fp32", None)
    context = context_for(Accelerator(cpu=True), seed, steps)
    return LoraTask(images(count), images(held, 100), backend, context, options)


def trained(model, folder, plan=None, progress=None, **settings):
    plan = plan or Plan("tiny", settings.get("steps", 8), 2, checkpoint_every=1000, eval_every=4)
    learning = task(model, **settings)
    history = train(learning, plan, folder, progress or Progress(), "x")
    write_model(folder, RECORD, learning, history, 1.0)
    return learning, history


def weights_in(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("pytorch_lora_weights.safetensors"))
    }


def test_only_the_lora_whose_turn_it_is_learns(tiny_unclip):
    learning = task(str(tiny_unclip), options=replace(TINY, per="class"))
    before = {name: weight.detach().clone() for name, weight in learning.denoiser.net.named_parameters()}
    learning.step(learning.batch_at(1, np.random.default_rng(0)))
    changed = {n for n, w in learning.denoiser.net.named_parameters() if not torch.equal(w, before[n])}
    assert changed and all(".lora_" in name and name.endswith("lora-001.weight") for name in changed)
    assert {learning.batch_at(step, np.random.default_rng(0))["turn"] for step in range(4)} == {0, 1}
    for step, label in ((0, "cat"), (1, "dog")):
        places = learning.batch_at(step, np.random.default_rng(0))["places"]
        assert {learning._learnt.pictures.samples[place].label for place in places} == {label}


def test_the_loss_on_what_is_learnt_falls(tiny_unclip, tmp_path):
    learning, history = trained(str(tiny_unclip), tmp_path, steps=40)
    assert learning._without == pytest.approx(task(str(tiny_unclip)).measure()["denoising"], abs=1e-7)
    assert history.measured[-1]["denoising"] < 0.9 * history.measured[-1]["without"]


@pytest.mark.parametrize("per", ["set", "class", "image"])
def test_an_interrupted_training_ends_with_the_same_bytes(tiny_unclip, tmp_path, per):
    plan = Plan("tiny", 7, 2, checkpoint_every=2, eval_every=3)
    options = replace(TINY, per=per)
    trained(str(tiny_unclip), tmp_path / "whole", plan, options=options)
    with pytest.raises(Killed):
        trained(str(tiny_unclip), tmp_path / "killed", plan, KillAt(5), options=options)
    said = KillAt(10**6)
    trained(str(tiny_unclip), tmp_path / "killed", plan, said, options=options)
    assert any("going on at step" in text for text in said.said)
    whole, resumed = weights_in(tmp_path / "whole"), weights_in(tmp_path / "killed")
    assert whole == resumed and len(whole) == {"set": 1, "class": 2, "image": 4}[per]
    assert read_record(tmp_path / "whole")["measured"] == read_record(tmp_path / "killed")["measured"]


def test_a_prior_of_weight_zero_is_none(tiny_unclip, tmp_path):
    made = {}
    for name, options in {
        "none": TINY,
        "zero": replace(TINY, prior_weight=0.0, prior_images=3),
        "one": replace(TINY, prior_weight=1.0, prior_images=1),
    }.items():
        _, history = trained(str(tiny_unclip), tmp_path / name, steps=2, options=options)
        made[name] = weights_in(tmp_path / name)
        assert ("prior" in history.losses[-1]) == (name == "one")
    assert made["none"] == made["zero"] != made["one"]
    first = task(str(tiny_unclip), options=replace(TINY, prior_weight=1.0, prior_images=2))
    again = task(str(tiny_unclip), options=replace(TINY, prior_weight=1.0, prior_images=2))
    assert len(first._prior) == 4 and {len(row) for row in first._prior} == {2}
    assert all(
        (a == b).all() for x, y in zip(first._prior, again._prior, strict=True) for a, b in zip(x, y, strict=True)
    )
    assert not (first._prior[0][0] == first._prior[0][1]).all()


def test_it_stops_when_the_held_out_loss_no_longer_falls_and_keeps_the_best(tiny_unclip, tmp_path):
    plan = Plan("tiny", 60, 2, checkpoint_every=1000, eval_every=1)
    options = replace(TINY, patience=2, rate=0.3)  # too fast to learn anything that holds elsewhere
    learning, history = trained(str(tiny_unclip), tmp_path / "a", plan, held=2, options=options)
    losses = [each["denoising"] for each in history.measured]
    assert len(losses) < 60 and min(losses) < min(losses[-2:])
    assert not learning.finished(history.measured[:-1]) and learning.finished(history.measured)
    assert history.measured[-1]["held_out"] == 2
    best = Plan("tiny", 1 + int(np.argmin(losses)), 2, checkpoint_every=1000, eval_every=1)
    trained(str(tiny_unclip), tmp_path / "b", best, held=2, options=replace(options, patience=None))
    assert weights_in(tmp_path / "a") == weights_in(tmp_path / "b")


def test_what_is_measured_is_the_same_at_every_call_and_leaves_the_generator_alone(tiny_unclip):
    learning = task(str(tiny_unclip), held=2)
    learning.step(learning.batch(np.random.default_rng(0)))
    torch.manual_seed(5)
    assert learning.measure() == learning.measure()
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))


class Shifted(Diffusing):
    """The known wrong way: the denoiser is told another time than that of the noise."""

    def times(self, places):
        return (places + 300).clamp(max=999)


class AgainstLatents(Diffusing):
    """The known wrong way: the latents as the target of a model that predicts something else."""

    def target(self, latents, noise, places):
        return latents


class AgainstNoise(Diffusing):
    """The known wrong way: the noise as the target of a model that predicts velocity."""

    def target(self, latents, noise, places):
        return noise


@cache
def builtin() -> LoraTask:
    return task(MODELS["builtin-unclip"], count=2)


@pytest.mark.parametrize("wrong", [Shifted, AgainstLatents, AgainstNoise])
def test_a_trained_model_denoises_best_by_the_right_rule(wrong):
    learning = builtin()
    assert learning.noising.prediction == "v_prediction"
    right, learning.noising = learning.noising, wrong(learning.backend.pipe.scheduler)
    spoilt = learning._judged()
    learning.noising = right
    assert learning._judged() < 0.75 * spoilt


@pytest.mark.parametrize("per", ["set", "class"])
def test_diffusers_loads_what_was_written(tiny_unclip, tmp_path, per):
    learning, _ = trained(str(tiny_unclip), tmp_path, steps=2, options=replace(TINY, per=per))
    record = read_record(tmp_path)
    assert record["facts"]["per"] == per
    assert record["facts"]["loras"][0]["of"] == {"set": "", "class": "cat"}[per]
    assert record["facts"]["base"]["digest"] == learning.backend.facts["model"]["digest"]
    from diffusers import StableUnCLIPImg2ImgPipeline

    pipe = StableUnCLIPImg2ImgPipeline.from_pretrained(tiny_unclip)
    for each in record["facts"]["loras"]:
        path = tmp_path / each["file"]
        pipe.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name=each["name"])
        layer = pipe.unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1.to_q
        assert layer.scaling[each["name"]] == 8 / 4, "alpha / rank"
        own = learning.denoiser.net.down_blocks[0].attentions[0].transformer_blocks[0].attn1.to_q
        assert torch.equal(layer.lora_B[each["name"]].weight, own.lora_B[each["name"]].weight)


def test_damaged_weights_of_any_lora_are_seen(tiny_unclip, tmp_path):
    trained(str(tiny_unclip), tmp_path, steps=2, options=replace(TINY, per="image"))
    assert set(read_model(tmp_path).weights)
    with (tmp_path / "lora-002" / "pytorch_lora_weights.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelError, match=r"lora-002.*is not what was trained"):
        read_model(tmp_path)


def test_a_rank_below_nothing_is_refused_in_one_sentence():
    with pytest.raises(RecipeError) as refused:
        build_stage("train", "lora", {"rank": -1})
    assert str(refused.value).splitlines()[0] == "key 'rank': it is at least 0, not -1"


def test_nothing_is_said_of_a_lora_that_could_learn_nothing():
    measured = {"denoising": 0.5, "without": 0.5}
    assert build_stage("train", "lora", {"rank": 0}).verdict(measured) == ""
    words = {"token": "<{label}>", "prompt": "a <{label}>"}
    for options in ({"rank": 1}, {"rank": 0, **words}):
        assert "no better" in build_stage("train", "lora", options).verdict(measured)


def made_with(model, *loras):
    """What the model makes of two rows, of a cat and a dog, with LoRAs and their scales."""
    found = backend_class("unclip")
    rows = tuple((find_model(str(folder), "lora"), scale) for folder, scale in loras)
    backend = found(str(model), "cpu", "fp32", found.read_options({"loras": rows}))
    embeds = backend.embed_once(["a", "b"], [picture(1), picture(2)])
    request = Request(["a <cat>", "a dog"], [""] * 2, [1, 2], steps=2, guidance=2.0, embeds=embeds, size=(32, 32))
    known = {model.name: lora_files(model).known for model, _ in rows}
    named = [{name: {of: 1.0} for name, all_of in known.items() if of in all_of} for of in ("cat", "dog")]
    return backend.generate(replace(request, loras=named))


@pytest.mark.parametrize("per", ["set", "class", "image"])
def test_of_rank_zero_nothing_learns_and_no_bit_changes(tiny_unclip, tmp_path, per):
    plan = Plan("tiny", 8, 2, checkpoint_every=1, eval_every=3)
    empty = replace(TINY, per=per, size=Size(0, 0, ()))
    learning, history = trained(str(tiny_unclip), tmp_path / "0", plan, options=empty)
    (measured,) = history.measured
    assert measured["step"] == 3 and measured["denoising"] == measured["without"], "it ends with what it began as"
    record = read_record(tmp_path / "0")
    assert (record["facts"]["rank"], record["facts"]["parameters"]) == (0, 0)
    assert not any(".lora_" in name for name, _ in learning.denoiser.net.named_parameters())
    base = made_with(tiny_unclip)
    assert np.array_equal(made_with(tiny_unclip, (tmp_path / "0", 1.0)), base)
    if per == "image":
        return  # no row here names an image
    trained(str(tiny_unclip), tmp_path / "4", options=replace(TINY, per=per), steps=2)
    assert not np.array_equal(made_with(tiny_unclip, (tmp_path / "4", 1.0)), base)
    assert np.array_equal(made_with(tiny_unclip, (tmp_path / "4", 0.0)), base)
    assert np.array_equal(made_with(tiny_unclip, (tmp_path / "0", 1.0), (tmp_path / "4", 0.0)), base)


def test_of_rank_zero_new_words_learn_alone_and_scale_zero_forgets_them(tiny_unclip, tmp_path):
    words = {"prompts": {"cat": "a photo of a <cat>", "dog": "a photo of a dog"}, "words": {"<cat>": "cat"}}
    options = replace(TINY, size=Size(0, 0, ()), **words)
    learning, _ = trained(str(tiny_unclip), tmp_path, options=options)
    (row,) = learning.tokens.rows
    assert not torch.equal(row, learning.tokens._first[0])
    assert learning._weights == [row]
    base = made_with(tiny_unclip)
    with_word = made_with(tiny_unclip, (tmp_path, 1.0))
    assert not np.array_equal(with_word[0], base[0]), "the word is in the prompt of the first row"
    assert np.array_equal(with_word[1], base[1])
    assert np.array_equal(made_with(tiny_unclip, (tmp_path, 0.0)), base)


def test_groups_have_every_image_once():
    learnt, held = images(5).samples, images(3, 100).samples
    for per, of in (("set", [""]), ("class", ["cat", "dog"]), ("image", sorted(s.digest[:20] for s in learnt))):
        groups = groups_of(per, learnt, held)
        assert [group.of for group in groups] == of
        assert sorted(place for group in groups for place in group.places) == list(range(5))
        assert len({group.name for group in groups}) == len(groups)
    by_class = groups_of("class", learnt, held)
    assert [[held[place].label for place in group.held_out] for group in by_class] == [["cat"], ["dog", "dog"]]


def test_the_sheet_shows_the_model_without_and_with_the_lora(tiny_unclip):
    learning = task(str(tiny_unclip))
    for _, before, after in learning.sample_grid().rows:
        assert (before == after).all(), "nothing is learnt yet"
    with torch.no_grad():
        for weight in learning.adapters.weights():
            weight.normal_()
    assert any((before != after).any() for _, before, after in learning.sample_grid().rows)


def test_recomputed_activations_give_the_same_weights(tiny_unclip, tmp_path):
    made = []
    for name, again in (("kept", False), ("twice", True)):
        learning, _ = trained(str(tiny_unclip), tmp_path / name, steps=3, options=replace(TINY, recompute=again))
        made.append(learning.adapters.state("lora-000"))
    assert all(torch.allclose(made[0][key], made[1][key], atol=1e-5) for key in made[0])


EVERYWHERE = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2")
"""Layers of a U-Net: the attention's alone lower the loss of so small a model, but hardly move its images."""


@pytest.mark.slow
def test_overfitting_four_images_draws_nearer_to_them_than_a_random_lora(tmp_path):
    """On the built-in model; a random LoRA with weights as large moves the images, too, but not to the real ones."""
    options = replace(TINY, size=Size(16, 16, EVERYWHERE), rate=1e-3, batch=4, steps=12, guidance=2.5)
    learning = task(MODELS["builtin-unclip"], 300, options=options)
    real = np.stack([learning._learnt.whole(place) for place in range(4)]).astype(float)

    def apart() -> float:
        made = np.stack([learning.made([place] * 4, range(4)) for place in range(4)]).astype(float)
        return float(np.abs(made - real[:, None]).mean())

    before = apart()
    history = train(learning, Plan("x", 300, 4, 1000, 100), tmp_path, Progress(), "x")
    after, measured = apart(), history.measured[-1]
    torch.manual_seed(3)
    replaced(learning._weights, [torch.randn_like(weight) * weight.std() for weight in learning._weights])
    random = apart()
    assert measured["denoising"] < 0.4 * measured["without"]
    assert after < 0.9 * before and after < 0.9 * random, (before, after, random)
