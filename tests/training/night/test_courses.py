"""The four courses: who learns in which step, what resumes, and what a short training comes to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from augforge.errors import ModelError
from augforge.models.networks.night import load_generator
from augforge.models.networks.translation import ResnetGenerator
from augforge.training.checkpoint import read_checkpoint, write_checkpoint
from augforge.training.loop import collapsed
from augforge.training.night import NightOptions, night_task
from augforge.training.night.cut import encoder_layers
from augforge.training.task import TrainingTask
from tests.training.night.scenes import context, days, nights, pictures_of, run

ARCHES = ("hedngan", "hedgan", "cyclegan", "cut")
TINY = {"size": 32, "width": 4, "blocks": 1, "batch": 2}


def tiny(arch: str, steps: int = 6, **options) -> TrainingTask:
    return night_task(days(4), nights(4), context(steps), NightOptions(arch, **{**TINY, **options}))


def weights(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def changed(net: nn.Module, before: dict[str, torch.Tensor]) -> bool:
    return any(not torch.equal(value, before[name]) for name, value in net.state_dict().items())


def stepped(training_task: TrainingTask) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
    batch = training_task.batch(np.random.default_rng(0))
    made = training_task.generator(batch["day"])
    return batch, made, training_task.teacher(batch["day"])


def test_detector_step_leaves_the_generator_alone():
    training_task = tiny("hedngan")
    batch, made, wanted = stepped(training_task)
    before = {name: weights(net) for name, net in training_task.nets.items()}
    training_task.step_detector(batch["day"], made.detach(), wanted)
    assert changed(training_task.detector, before["detector"])
    for name in ("generator", "discriminator"):
        assert not changed(training_task.nets[name], before[name])
        assert all(parameter.grad is None for parameter in training_task.nets[name].parameters())


def test_generator_step_leaves_detector_and_discriminator_alone():
    training_task = tiny("hedngan")
    batch, made, wanted = stepped(training_task)
    before = {name: weights(net) for name, net in training_task.nets.items()}
    training_task.step_generator(made, batch["night"], wanted)
    assert changed(training_task.generator, before["generator"])
    for name in ("detector", "discriminator"):
        assert not changed(training_task.nets[name], before[name])
        assert all(parameter.grad is None for parameter in training_task.nets[name].parameters())
        assert all(parameter.requires_grad for parameter in training_task.nets[name].parameters()), "awake again"


def test_discriminator_step_leaves_the_others_alone():
    training_task = tiny("hedngan")
    batch, made, _ = stepped(training_task)
    before = {name: weights(net) for name, net in training_task.nets.items()}
    training_task.step_discriminator(batch["night"], made.detach())
    assert [changed(net, before[name]) for name, net in training_task.nets.items()] == [False, True, False]


@pytest.mark.parametrize("arch", ["hedngan", "hedgan"])
def test_the_teacher_never_changes(arch):
    training_task = tiny(arch)
    before = weights(training_task.teacher)
    run(training_task)
    assert not changed(training_task.teacher, before)
    assert not any(parameter.requires_grad for parameter in training_task.teacher.parameters())


def test_hedgan_has_no_student():
    training_task = tiny("hedgan")
    assert training_task.detector is training_task.teacher
    assert "detector" not in training_task.nets and "detector" not in training_task.optimizers
    student = tiny("hedngan")
    assert student.detector is not student.teacher and not changed(student.detector, student.teacher.state_dict())


def test_detector_loss_is_zero_for_a_fresh_student_of_unchanged_pictures():
    training_task = tiny("hedngan")
    day = training_task.batch(np.random.default_rng(0))["day"]
    assert training_task.step_detector(day, day, training_task.teacher(day)) == 0


def test_edge_loss_is_zero_for_a_generator_that_changes_nothing_and_not_for_others():
    training_task = tiny("hedngan")
    batch, made, wanted = stepped(training_task)
    same = batch["day"].clone().requires_grad_()
    assert training_task.step_generator(same, batch["night"], wanted)["edges"] == 0
    assert training_task.step_generator(made, batch["night"], wanted)["edges"] > 0.1


def brighter_nights_told_apart(training_task: TrainingTask) -> float:
    """The discriminator's loss after it has learnt for 40 steps to tell nights from slightly brighter ones."""
    random, losses = np.random.default_rng(0), []
    for _ in range(40):
        night, other = training_task.batch(random)["night"], training_task.batch(random)["night"]
        losses.append(float(training_task.step_discriminator(night, other * 0.9 + 0.1).detach()))
    return float(np.mean(losses[-10:]))


def test_discriminator_sees_what_all_of_a_batch_has_in_common():
    together, apart = (tiny("hedngan", width=8, batch=4, rate=1e-3) for _ in range(2))
    apart._judged = lambda night, made: (apart.discriminator(night), apart.discriminator(made))
    assert brighter_nights_told_apart(together) < 0.05
    assert brighter_nights_told_apart(apart) > 0.15, "in batches of their own batch norm takes the brightness away"


@pytest.mark.parametrize(("arch", "nets"), [("cyclegan", 4), ("cut", 3)])
def test_comparators_teach_all_their_networks(arch, nets):
    training_task = tiny(arch)
    before = {name: weights(net) for name, net in training_task.nets.items()}
    losses = run(training_task, stop=1)
    assert len(before) == nets and all(changed(net, before[name]) for name, net in training_task.nets.items())
    assert all(np.isfinite(list(losses[0].values())))


@pytest.mark.parametrize("arch", ["cyclegan", "cut"])
def test_discriminators_take_no_gradient_from_the_generators(arch):
    training_task = tiny(arch)
    training_task.optimizers["discriminator"].step = lambda *_: None
    seen = {}
    judge = training_task.update

    def update(name, loss):
        judge(name, loss)
        if name == "discriminator":
            seen.update({n: p.grad.clone() for n, p in training_task.discriminator.named_parameters()})

    training_task.update = update
    run(training_task, stop=1)
    assert all(torch.equal(p.grad, seen[n]) for n, p in training_task.discriminator.named_parameters())


def test_cycle_and_identity_weights_count():
    def losses(**options):
        return run(tiny("cyclegan", **options), stop=1)[0]

    plain, double = losses(), losses(cycle_weight=20.0)
    assert double["cycle"] == pytest.approx(2 * plain["cycle"]) and "identity" not in plain
    assert losses(identity_weight=5.0)["identity"] > 0


def test_cut_averages_with_the_identity():
    def losses(**options):
        return run(tiny("cut", **options), stop=1)[0]

    both, alone = losses(), losses(identity_weight=0.0)
    assert both["patches"] == pytest.approx(alone["patches"] / 2) and "identity" not in alone
    assert losses(identity_weight=1.0)["identity"] == pytest.approx(both["identity"] / 10)


def test_cut_looks_at_the_published_layers_of_the_published_generator():
    with torch.device("meta"):
        assert encoder_layers(ResnetGenerator(64, 9)) == [4, 8, 12, 16]
        assert encoder_layers(ResnetGenerator(64, 2)) == [4, 8]


def test_defaults_are_the_published_ones():
    training_task = tiny("hedngan")
    groups = {name: optimizer.param_groups[0] for name, optimizer in training_task.optimizers.items()}
    assert all(group["betas"] == (0.5, 0.999) for group in groups.values())
    assert groups["generator"]["lr"] == groups["discriminator"]["lr"] == 2e-4 and training_task.edges.weight == 5
    assert groups["detector"]["weight_decay"] == 2e-4 and groups["detector"]["lr"] == 1e-4
    assert tiny("hedngan", detector_rate=1e-6).optimizers["detector"].param_groups[0]["lr"] == 1e-6
    assert tiny("cyclegan").cycle_weight == 10 and tiny("cyclegan").identity_weight == 0
    assert tiny("cut").identity_weight == 10


@pytest.mark.parametrize("arch", ARCHES)
def test_a_resumed_training_ends_with_the_same_weights(arch, tmp_path):
    whole, first, second = tiny(arch), tiny(arch), tiny(arch)
    for training_task in (whole, first, second):
        for pool in getattr(training_task, "pools", {}).values():
            pool.size = 3  # so that it is full, and draws, soon
    run(whole)
    run(first, stop=3)
    state = {"nets": {name: net.state_dict() for name, net in first.nets.items()}, "memory": first.state_dict()}
    state["optimizers"] = {name: optimizer.state_dict() for name, optimizer in first.optimizers.items()}
    write_checkpoint(tmp_path / "state", state)
    state = read_checkpoint(tmp_path / "state")
    for net in second.nets.values():
        nn.init.normal_(next(net.parameters()))
    for name, net in second.nets.items():
        net.load_state_dict(state["nets"][name])
    for name, optimizer in second.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
    second.load_state_dict(state["memory"])
    run(second, start=3)
    for name, net in whole.nets.items():
        assert not changed(second.nets[name], net.state_dict()), name


@pytest.mark.parametrize("arch", ARCHES)
def test_result_rebuilds_the_generator(arch):
    training_task = tiny(arch)
    run(training_task, stop=2)
    result = training_task.result()
    assert result.facts["arch"] == arch and result.facts["architecture"] == "resnet"
    assert ("teacher" in result.facts) == arch.startswith("hed")
    rebuilt = load_generator(result.facts, result.weights).eval()
    day = torch.rand(2, 3, 16, 32) * 2 - 1
    with torch.no_grad():
        expected = training_task.generator.eval()(day)
        assert torch.equal(rebuilt(day), expected) and expected.abs().max() <= 1


def test_wrong_weights_are_refused():
    result = tiny("cut").result()
    with pytest.raises(ModelError, match="no day-to-night generator"):
        load_generator({**result.facts, "width": 5}, result.weights)
    with pytest.raises(ModelError, match="no day-to-night generator"):
        load_generator({}, result.weights)


@pytest.mark.parametrize("arch", ARCHES)
def test_sheet_outputs_and_measurements(arch):
    training_task = tiny(arch)
    sheet, outputs, measured = training_task.sample_grid(), training_task.outputs(), training_task.measure()
    assert len(sheet.titles) == 6 and len(sheet.rows) == 4
    assert all(cell.shape == (32, 32, 3) and cell.dtype == np.uint8 for row in sheet.rows for cell in row)
    assert outputs.shape == (4, 32, 32, 3) and outputs.min() >= 0 and outputs.max() <= 1
    assert np.allclose(np.array([row[1] for row in sheet.rows]) / 255, outputs, atol=1 / 255)
    light = {"luminance", "night_luminance", "luminance_ratio", "edge_overlap", "held_out"}
    assert set(measured) == light | {"night_kid", "darkened_kid", "grid_ratio"}
    assert sheet.titles[1:3] == (f"made KID {measured['night_kid']:.1f}", f"dark KID {measured['darkened_kid']:.1f}")
    assert training_task.generator.training and training_task.measure() == measured


def test_measure_knows_the_identity_and_a_constant():
    training_task = night_task(days(20), nights(20), context(1), NightOptions("hedgan", **{**TINY, "size": 64}))
    training_task.generator.forward = lambda x: x
    identity = training_task.measure()
    assert identity["edge_overlap"] == 1 and identity["luminance_ratio"] > 3 and identity["held_out"] == 2
    training_task.generator.forward = lambda x: torch.full_like(x, identity["night_luminance"] * 2 - 1)
    constant = training_task.measure()
    assert constant["edge_overlap"] == 0 and constant["luminance_ratio"] == pytest.approx(1, abs=0.02)


def test_measure_knows_a_drawing_of_edges_that_is_as_bright_as_night_and_keeps_every_edge():
    training_task = night_task(days(24), nights(24), context(1), NightOptions("hedgan", **{**TINY, "size": 64}))
    training_task.generator.forward = lambda x: 2.4 * training_task.edge_detector(x).sigmoid().expand(-1, 3, -1, -1) - 1
    drawing = training_task.measure()
    training_task.generator.forward = lambda x: x
    assert drawing["night_kid"] > 1.5 * drawing["darkened_kid"], "which brightness and edges alone do not see"
    assert training_task.measure()["night_kid"] > drawing["darkened_kid"], "nor is the day itself a night"


def test_measure_knows_a_night_of_the_same_kind_and_a_grid_over_it():
    training_task = night_task(nights(24, 5), nights(24), context(1), NightOptions("hedgan", **{**TINY, "size": 64}))
    training_task.generator.forward = lambda x: x
    night = training_task.measure()
    board = (torch.arange(64)[:, None] + torch.arange(64)) % 2
    training_task.generator.forward = lambda x: x + 0.15 * board
    spoilt = training_task.measure()
    assert night["night_kid"] < 0.3 * spoilt["night_kid"]
    assert night["grid_ratio"] < 2 and spoilt["grid_ratio"] > 4


def test_luminance_is_that_of_rec_601():
    red = pictures_of([np.full((8, 8, 3), (255, 0, 0), np.uint8)])
    training_task = night_task(red, red, context(1), NightOptions("hedgan", **TINY))
    assert training_task.measure()["night_luminance"] == pytest.approx(0.299)


def test_outputs_show_a_collapse_and_nan():
    training_task = tiny("hedgan")
    training_task.generator.forward = lambda x: torch.zeros_like(x)
    assert collapsed(training_task.outputs())
    training_task.generator.forward = lambda x: x * float("nan")
    assert "no numbers" in collapsed(training_task.outputs())


def test_an_unknown_teacher_is_refused():
    with pytest.raises(ModelError, match="HED weights"):
        tiny("hedngan", teacher="nowhere.pth")


def test_seed_decides_the_weights():
    one, same = tiny("hedngan"), tiny("hedngan")
    other = night_task(days(4), nights(4), context(6, seed=1), NightOptions("hedngan", **TINY))
    assert not changed(one.generator, same.generator.state_dict())
    assert changed(one.generator, other.generator.state_dict())


def test_a_short_training_makes_nights_that_keep_the_edges():
    torch.set_num_threads(1)
    training_task = night_task(
        days(40), nights(40), context(200), NightOptions("hedngan", size=64, width=8, blocks=2, batch=4, rate=5e-4)
    )
    start = training_task.measure()
    assert not 0.75 < start["luminance_ratio"] < 1.25
    losses = run(training_task)
    end = training_task.measure()
    assert 0.75 < end["luminance_ratio"] < 1.25, end
    assert end["edge_overlap"] >= 0.5, end
    assert not collapsed(training_task.outputs())
    assert losses[-1]["edges"] < losses[0]["edges"]


@pytest.mark.parametrize("arch", ARCHES)
def test_translations_are_drawn_to_the_darkened_day_only_where_it_has_a_weight(arch):
    drawn = {weight: tiny(arch, steps=12, darken_weight=weight, rate=1e-2) for weight in (0.0, 50.0)}
    losses = {weight: run(training_task) for weight, training_task in drawn.items()}
    assert all("darkened" not in step for step in losses[0.0])
    assert losses[50.0][-1]["darkened"] < losses[50.0][0]["darkened"]
    batch = drawn[50.0].batch(np.random.default_rng(0))
    assert batch["darkened"].mean() < batch["day"].mean() - 0.2
    assert "darkened" not in drawn[0.0].batch(np.random.default_rng(0))
    perfect = drawn[50.0].darkening(batch["darkened"], batch)
    assert float(perfect["darkened"]) == 0 and float(drawn[50.0].darkening(-batch["darkened"], batch)["darkened"]) > 1
