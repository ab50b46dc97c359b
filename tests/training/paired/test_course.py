"""The course: who learns when, that it goes on as if never interrupted, and that it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from augforge.errors import ModelError, RecipeError
from augforge.models.networks.paired.model import load_paired
from augforge.models.networks.paired.networks import LocalEnhancer
from augforge.training.paired import PairedOptions, PairedTask, paired_task
from augforge.training.paired.phases import Phase, phase_at
from augforge.training.task import TrainingTask
from tests.training.paired.scenes import Drawn, context, scenes, tinted, train

SMALL: dict[str, Any] = {"size": 32, "width": 8, "downs": 2, "blocks": 1, "batch": 2, "scales": 2}


def training_task(steps: int = 4, seed: int = 0, pictures: Drawn | None = None, **options: Any) -> PairedTask:
    pictures = pictures or scenes(8, 40)
    count = len(pictures)
    parts = pictures.part(range(count - 2)), pictures.part(range(count - 2, count))
    start_from = options.pop("start_from", None)
    return paired_task(*parts, context(steps, seed), PairedOptions(**SMALL | options), start_from)


def state(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


EVERY = [
    {},
    {"instances": True, "by_class": True, "style": True},
    {"condition": "edges", "by_class": True},
    {"condition": "edges", "style": True},
    {"condition": "downsample", "scales": 1},
    {"condition": "files"},
    {"arch": "pix2pixhd-local", "style": True},
]


@pytest.mark.parametrize("options", EVERY, ids=str)
def test_every_condition_trains_and_is_rebuilt_from_its_result(options: dict[str, Any]) -> None:
    one = training_task(3, **options)
    history = train(one, 0, 3)
    assert all(np.isfinite(list(losses.values())).all() for losses in history)
    result = one.result()
    model = load_paired(result.facts, result.weights, "cpu")
    held = scenes(8, 40)
    examples = [(held.image(i), held.mask(i), "day") for i in (6, 7)]
    made = model.make(examples)
    assert made.shape == (2, 32, 32, 3) and made.dtype == np.float32 and made.min() >= 0 and made.max() <= 1
    np.testing.assert_allclose(model.make(examples[1:]), made[1:], atol=1 / 255)
    sheet = one.sample_grid()
    assert len(sheet.rows) == 2 and all(picture.shape == (32, 32, 3) for row in sheet.rows for picture in row)
    assert one.outputs().shape == (2, 32, 32, 3)
    assert one.measure()["held_out"] == 2


def test_the_rebuilt_model_draws_what_the_course_shows() -> None:
    one = training_task(3, style=True, by_class=True, instances=True)
    train(one, 0, 3)
    result = one.result()
    model = load_paired(result.facts, result.weights, "cpu")
    shown = [one.examples.fixed(place).prepared for place in one.examples.shown]
    np.testing.assert_allclose(model.make(shown), one.outputs(), atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"style": True}, {"arch": "pix2pixhd-local", "style": True}], ids=str)
def test_a_resumed_training_ends_with_the_same_weights(options: dict[str, Any]) -> None:
    whole = training_task(6, **options)
    train(whole, 0, 6)
    for stop in (1, 3):
        before, after = training_task(6, **options), training_task(6, **options)
        train(before, 0, stop)
        hand_over(before, after)
        train(after, stop, 6)
        assert same(state(whole.generator), state(after.generator))
        assert same(state(whole.discriminator), state(after.discriminator))


def hand_over(before: TrainingTask, after: TrainingTask) -> None:
    for name, net in before.nets.items():
        after.nets[name].load_state_dict(state(net))
    for name, optimizer in before.optimizers.items():
        after.optimizers[name].load_state_dict(optimizer.state_dict())
    after.load_state_dict(before.state_dict())


def test_each_step_moves_each_network_by_its_own_loss() -> None:
    one = training_task()
    calls: list[str] = []
    batch = one.batch(np.random.default_rng(0))
    inner = one.update

    def watched(name: str, loss: torch.Tensor) -> None:
        other = {"generator": one.discriminator, "discriminator": one.generator}[name]
        gradients, weights = [parameter.grad for parameter in other.parameters()], state(other)
        before = [None if gradient is None else gradient.clone() for gradient in gradients]
        inner(name, loss)
        calls.append(name)
        assert same(weights, state(other))
        for parameter, was in zip(other.parameters(), before, strict=True):
            assert (parameter.grad is None) == (was is None)
            assert was is None or (parameter.grad is not None and torch.equal(parameter.grad, was))

    one.update = watched  # type: ignore[method-assign]
    moving = state(one.generator), state(one.discriminator)
    one.step(batch)
    one.step(batch)
    assert calls == ["generator", "discriminator"] * 2
    assert not same(moving[0], state(one.generator)) and not same(moving[1], state(one.discriminator))


def test_the_phases_take_a_third_each() -> None:
    assert [phase_at(step, 7, True).value for step in range(7)] == [0, 0, 0, 1, 1, 2, 2]
    assert [phase_at(step, 3, True) for step in range(3)] == [Phase.COARSE, Phase.FINE, Phase.JOINT]
    assert {phase_at(step, 9, False) for step in range(9)} == {Phase.JOINT}


def test_the_global_part_rests_while_the_enhancer_learns() -> None:
    one = training_task(6, arch="pix2pixhd-local", style=True)
    net = one.generator
    assert isinstance(net, LocalEnhancer) and one.encoder is not None
    parts = {"trunk": net.coarse.trunk, "output": net.coarse.output, "stem": net.stem, "tail": net.tail}
    parts["encoder"] = one.encoder
    moved = []
    for start in (0, 2, 4):
        before = {name: state(part) for name, part in parts.items()}
        train(one, start, start + 2)
        moved.append({name for name, part in parts.items() if not same(before[name], state(part))})
    assert moved == [{"trunk", "output", "encoder"}, {"stem", "tail"}, {"trunk", "stem", "tail", "encoder"}]
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_styles_change_their_region_and_no_class_without_one() -> None:
    random = np.random.default_rng(0)
    masks = [scenes(1, 40, seed).mask(0) for seed in range(10)]
    pictures = Drawn([(tinted(mask, i % 2, random), mask) for i, mask in enumerate(masks)])
    one = training_task(30, pictures=pictures, style=True, rate=2e-3)
    train(one, 0, 30)
    result = one.result()
    model = load_paired(result.facts, result.weights, "cpu")
    assert model.codes is not None and model.codes.codes.shape == (4, 10, 3)
    example = (pictures.image(0), pictures.mask(0), None)
    first, again, second = (model.make([example], [choice]) for choice in (0, 0, {0: 1, 1: 1, 2: 1, 3: 1}))
    assert np.array_equal(first, again) and np.abs(first - second).max() > 1 / 255
    with pytest.raises(ModelError, match="without a style"):
        load_paired(*[(plain := training_task(1).result()).facts, plain.weights], "cpu").make([example], [0])


def test_a_training_goes_on_from_an_earlier_result() -> None:
    first = training_task(3, style=True, by_class=True)
    train(first, 0, 3)
    second = training_task(3, seed=1, style=True, by_class=True, start_from=first.result())
    assert same(state(first.generator), state(second.generator))
    assert same(state(first.nets["encoder"]), state(second.nets["encoder"]))
    assert not same(state(first.discriminator), state(second.discriminator))
    for other in ({"style": False}, {"width": 4}, {"by_class": False}, {"condition": "edges"}):
        with pytest.raises(ModelError, match="start-from"):
            training_task(3, **{"style": True, "by_class": True, "start_from": first.result()} | other)


def test_the_same_seed_begins_with_the_same_weights() -> None:
    torch.manual_seed(1)
    first = state(training_task(seed=3).generator)
    torch.manual_seed(2)
    assert same(first, state(training_task(seed=3).generator)) and not same(
        first, state(training_task(seed=4).generator)
    )


def test_half_precision_trains_on_the_cpu() -> None:
    pictures = scenes(6, 40)
    one = paired_task(pictures, pictures.part(range(0)), context(2), PairedOptions(style=True, instances=True, **SMALL))
    with torch.autocast("cpu", torch.bfloat16):
        assert all(np.isfinite(list(losses.values())).all() for losses in train(one, 0, 2))
    assert one.measure()["held_out"] == 0


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(RecipeError, match="size 36"):
        training_task(size=36, downs=3)
    with pytest.raises(RecipeError, match="size 16"):
        training_task(size=16, downs=3, arch="pix2pixhd-local")
    with pytest.raises(RecipeError, match="no images"):
        training_task(pictures=scenes(2, 40))
    unlabelled = Drawn(scenes(4, 40).pairs)
    with pytest.raises(RecipeError, match="class for every image"):
        training_task(pictures=unlabelled, by_class=True)
    result = training_task(1).result()
    with pytest.raises(ModelError, match="do not fit the generator"):
        load_paired(result.facts, dict(list(result.weights.items())[1:]), "cpu")
    with pytest.raises(ModelError, match="no paired model"):
        load_paired({"conditioner": {}}, result.weights, "cpu")


def test_whole_pictures_keep_their_shape() -> None:
    one = training_task(2)
    result = one.result()
    model = load_paired(result.facts, result.weights, "cpu")
    assert model.whole(40, 40) == (32, 32) and model.whole(100, 50) == (64, 32) and model.whole(30, 41) == (32, 44)
    image = np.zeros((32, 44, 3), np.uint8)
    prepared = model.conditioner.prepare(image, image[..., 0], None)
    assert model.make([prepared]).shape == (1, 32, 44, 3)


def test_it_learns_to_draw_held_out_scenes() -> None:
    pictures = scenes(72, 64)
    parts = pictures.part(range(60)), pictures.part(range(60, 72))
    one = paired_task(*parts, context(150), PairedOptions(size=64, width=8, blocks=2, downs=2, batch=1, rate=1e-3))
    mean = np.mean([picture for picture, _ in parts[0].pairs], 0) / 255
    baseline = np.mean([np.abs(picture / 255 - mean).mean() for picture, _ in parts[1].pairs])
    untrained = one.measure()
    assert untrained["l1_mean_image"] == pytest.approx(baseline, abs=1e-4)
    assert untrained["l1_ratio"] > 0.7
    train(one, 0, 150)
    learned = one.measure()
    assert learned["l1_ratio"] < 0.7, learned
    drawn = load_paired(one.result().facts, one.result().weights, "cpu")
    conditions = [(image, mask, None) for image, mask in parts[1].pairs]
    turned = [(image, mask[::-1].copy(), None) for image, mask in parts[1].pairs]
    real = np.stack([image for image, _ in parts[1].pairs]) / 255
    assert np.abs(drawn.make(conditions) - real).mean() == pytest.approx(learned["l1"], abs=1e-4)
    assert np.abs(drawn.make(turned) - real).mean() > 0.7 * baseline  # it is the condition that tells
