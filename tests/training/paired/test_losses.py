"""Losses from their definition, with the mistakes that are easily made."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from augforge.errors import ModelError
from augforge.models.networks.paired.networks import Features, MultiscaleDiscriminator
from augforge.training.paired import PairedOptions, paired_task
from augforge.training.paired.losses import (
    adversarial,
    discrimination,
    feature_matching,
    perceptual,
)
from augforge.training.paired.perceptual import TAPS, Vgg19, load_vgg19
from tests.training.paired.scenes import context, scenes, train


def features(seed: int, scales: int = 2, layers: int = 3) -> Features:
    torch.manual_seed(seed)
    net = MultiscaleDiscriminator(4, width=4, layers=layers, scales=scales).requires_grad_(False)
    return net(torch.randn(2, 4, 32, 32))


def mapped(found: Features, change: float) -> Features:
    return [[layer * change for layer in layers] for layers in found]


@pytest.mark.parametrize(("scales", "layers"), [(1, 3), (2, 3), (3, 2)])
def test_feature_matching_is_the_scaled_mean_difference_without_the_logits(scales: int, layers: int) -> None:
    real, fake = features(0, scales, layers), features(1, scales, layers)
    expected = 0.0
    for reals, fakes in zip(real, fake, strict=True):
        assert len(reals) == layers + 2
        for one, other in list(zip(reals, fakes, strict=True))[:-1]:
            expected += float((one - other).abs().mean()) * 4 / (layers + 1) / scales
    assert float(feature_matching(real, fake)) == pytest.approx(expected, rel=1e-5)


def test_feature_matching_is_zero_at_identity_and_doubles_with_the_features() -> None:
    real, fake = features(0), features(1)
    assert float(feature_matching(real, real)) == 0
    once, twice = feature_matching(real, fake), feature_matching(mapped(real, 2), mapped(fake, 2))
    assert float(twice) == pytest.approx(2 * float(once), rel=1e-5)


def test_feature_matching_ignores_the_logits() -> None:
    real = features(0)
    fake = [[*layers[:-1], layers[-1] + 5] for layers in real]
    assert float(feature_matching(real, fake)) == 0


def test_real_features_take_no_gradient() -> None:
    real = [[layer.detach().requires_grad_() for layer in layers] for layers in features(0)]
    fake = [[layer.detach().requires_grad_() for layer in layers] for layers in features(1)]
    feature_matching(real, fake).backward()
    assert all(layer.grad is None for layers in real for layer in layers)
    assert all(layer.grad is not None for layers in fake for layer in layers[:-1])


def logits(*values: float) -> Features:
    return [[torch.full((1, 1, 2, 2), value)] for value in values]


def test_least_squares_are_summed_over_scales() -> None:
    assert float(adversarial(logits(1, 1), real=True)) == 0
    assert float(adversarial(logits(0, 0), real=False)) == 0
    assert float(adversarial(logits(0, 3), real=True)) == pytest.approx(1 + 4)
    assert float(discrimination(logits(0.5, 1), logits(2, 1))) == pytest.approx((0.25 + 4 + 1) / 2)


def test_the_perceptual_loss_weighs_five_layers() -> None:
    real: list[Tensor] = [torch.zeros(1, 2, 4, 4).requires_grad_() for _ in range(5)]
    fake = [torch.full((1, 2, 4, 4), 2.0) for _ in range(5)]
    assert float(perceptual(real, fake).detach()) == pytest.approx(2 * (1 / 32 + 1 / 16 + 1 / 8 + 1 / 4 + 1))
    assert float(perceptual(real, real).detach()) == 0
    assert not perceptual(real, fake).requires_grad


@pytest.fixture(scope="module")
def vgg_weights() -> dict[str, Tensor]:
    """Random weights in the layout of torchvision's vgg19, which stand in for a file that a user brings."""
    from torchvision.models import vgg19

    torch.manual_seed(0)
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in vgg19(weights=None).features.state_dict().items()}
    return {f"features.{name}": torch.randn(shape) * (2 / shape[0] / 9) ** 0.5 for name, shape in shapes.items()}


def test_vgg_features_are_those_of_torchvision(vgg_weights: dict[str, Tensor], tmp_path: Path) -> None:
    from torchvision.models import vgg19

    save_file(vgg_weights, tmp_path / "vgg.safetensors")
    found = load_vgg19(tmp_path / "vgg.safetensors")
    pictures = torch.rand(1, 3, 32, 32) * 2 - 1
    taken: list[Tensor] = []
    with torch.device("meta"):
        whole = vgg19(weights=None).features
    whole.load_state_dict({name.removeprefix("features."): value for name, value in vgg_weights.items()}, assign=True)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    flowing = ((pictures + 1) / 2 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    for number, layer in enumerate(whole):
        flowing = layer(flowing)
        if number in TAPS:
            taken.append(flowing.clone())
    assert [tuple(one.shape[1:]) for one in taken] == [
        (64, 32, 32),
        (128, 16, 16),
        (256, 8, 8),
        (512, 4, 4),
        (512, 2, 2),
    ]
    for one, other in zip(found(pictures), taken, strict=True):
        torch.testing.assert_close(one, other)
        assert float(one.min()) >= 0
    assert not any(parameter.requires_grad for parameter in found.parameters())
    with torch.no_grad():
        assert float(perceptual(found(pictures), found(pictures))) == 0
        assert float(perceptual(found(pictures), found(-pictures))) > 0


def test_a_course_with_a_perceptual_loss_leaves_its_teacher_alone(
    vgg_weights: dict[str, Tensor], tmp_path: Path
) -> None:
    pictures = scenes(4, 40)
    save_file(vgg_weights, tmp_path / "vgg.safetensors")
    options = {"size": 32, "width": 4, "downs": 1, "blocks": 1, "scales": 1}
    chosen = PairedOptions(perceptual=tmp_path / "vgg.safetensors", **options)
    training_task = paired_task(pictures, pictures, context(2), chosen)
    losses = train(training_task, 0, 2)
    assert all(one["perceptual"] > 0 for one in losses)
    teacher = training_task.frozen["perceptual"].state_dict()
    assert all(torch.equal(teacher[name], value) for name, value in vgg_weights.items() if name in teacher)
    assert not any("perceptual" in name for name in training_task.result().weights)


def test_a_vgg_without_its_weights_is_refused(vgg_weights: dict[str, Tensor], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no file"):
        load_vgg19(tmp_path / "absent.pth")
    with pytest.raises(ModelError, match="missing"):
        Vgg19({})
    torch.save(
        {name: value for name, value in vgg_weights.items() if not name.startswith("features.28")}, tmp_path / "a.pth"
    )
    with pytest.raises(ModelError, match=r"features\.28\.weight is missing"):
        load_vgg19(tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="cannot be read"):
        load_vgg19(tmp_path / "b.pth")
    with pytest.raises(ModelError, match="no weights of VGG19"):
        Vgg19(vgg_weights | {"features.0.weight": torch.zeros(64, 1, 3, 3)})
