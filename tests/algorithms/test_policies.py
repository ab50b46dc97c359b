"""The policies: torchvision's pixels for the same operation and magnitude, its spaces and tables, and annotations that
follow."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode

from augforge.algorithms.geometry import Geometry, Linear
from augforge.algorithms.policies import (
    GEOMETRIC,
    TABLES,
    applied,
    draw_augmix,
    draw_autoaugment,
    draw_randaugment,
    draw_trivialaugment,
    geometry_of,
    mixed,
    weakened,
)
from augforge.algorithms.policies.operations import PHOTOMETRIC
from augforge.algorithms.policies.spaces import AUGMIX, AUTOAUGMENT, RANDAUGMENT, TRIVIALAUGMENT, Space, magnitude_at
from augforge.data.ids import rng

SIZE = (45, 60)
MAGNITUDES = {
    "Identity": [0.0],
    "ShearX": [0.3, -0.12],
    "ShearY": [0.3, -0.12],
    "TranslateX": [17.4, -5.9],
    "TranslateY": [11.0, -8.2],
    "Rotate": [30.0, -7.7, 90.0],
    "Brightness": [0.9, -0.27],
    "Color": [0.9, -0.27],
    "Contrast": [0.9, -0.27],
    "Sharpness": [0.9, -0.27],
    "Posterize": [4, 7],
    "Solarize": [0.7, 0.1, 0.0],
    "AutoContrast": [0.0],
    "Equalize": [0.0],
    "Invert": [0.0],
}
PAIRS = [(name, magnitude) for name, each in MAGNITUDES.items() for magnitude in each]


def picture(size: tuple[int, int] = SIZE) -> Image.Image:
    smooth = gaussian_filter(rng(1, "p").random((*size, 3)) * 255, (3, 3, 0))
    return Image.fromarray(((smooth - smooth.min()) / np.ptp(smooth) * 230 + 10).astype(np.uint8))


def blocks(size: tuple[int, int] = SIZE) -> np.ndarray:
    labels = rng(2, "b").choice(np.array([3, 40, 200], np.uint8), (size[0] // 4 + 1, size[1] // 4 + 1))
    return np.kron(labels, np.ones((4, 4), np.uint8))[: size[0], : size[1]]


def theirs(image: Any, name: str, magnitude: float, way: str) -> Any:
    transform = v2.RandAugment(interpolation=InterpolationMode(way))
    return transform._apply_image_or_video_transform(image, name, magnitude, InterpolationMode(way), transform._fill)


def test_every_operation_is_here() -> None:
    assert {*PHOTOMETRIC, *GEOMETRIC} == {*RANDAUGMENT, *AUTOAUGMENT, *TRIVIALAUGMENT, *AUGMIX} == set(MAGNITUDES)


@pytest.mark.parametrize("way", ["nearest", "bilinear"])
@pytest.mark.parametrize(("name", "magnitude"), PAIRS)
def test_pixels_are_those_of_torchvision(name: str, magnitude: float, way: Any) -> None:
    made, _ = applied(picture(), [(name, magnitude)], way)
    assert (np.asarray(made) == np.asarray(theirs(picture(), name, magnitude, way))).all()


@pytest.mark.parametrize(("name", "magnitude"), [pair for pair in PAIRS if pair != ("Rotate", 90.0)])
def test_pixels_are_near_those_of_torchvisions_tensors(name: str, magnitude: float) -> None:
    """Another implementation of the same: its enhancements round otherwise, its nearest pixels are others at ties."""
    made = np.asarray(applied(picture(), [(name, magnitude)])[0]).astype(int)
    tensor = theirs(torch.from_numpy(np.asarray(picture()).copy()).permute(2, 0, 1), name, magnitude, "nearest")
    apart = np.abs(made - tensor.permute(1, 2, 0).numpy().astype(int))
    assert (apart <= 2).mean() > 0.98


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["Sharpness", "Posterize", "Solarize", "Invert", "Brightness", "Contrast"]),
    st.floats(0, 0.999),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_what_is_reckoned_here_is_pillows_to_the_bit(name: str, share: float, height: int, width: int) -> None:
    image = Image.fromarray(rng(height * 10 + width).integers(0, 256, (height, width, 3), dtype=np.uint8))
    magnitude = {"Sharpness": 4 * share - 1, "Posterize": 1 + int(8 * share), "Solarize": share, "Invert": 0.0}.get(
        name, 4 * share - 1
    )
    assert (applied(image, [(name, magnitude)])[0] == np.asarray(theirs(image, name, magnitude, "nearest"))).all()


def test_the_wrong_shear_is_another() -> None:
    """The known wrong variant: about the middle, or by the magnitude as an angle."""
    right = np.asarray(applied(picture(), [("ShearX", 0.3)])[0])
    size = picture().size
    for matrix in ((1, 0.3, -0.3 * SIZE[0] / 2, 0, 1, 0), (1, math.tan(math.radians(0.3)), 0, 0, 1, 0)):
        wrong = np.asarray(picture().transform(size, Image.Transform.AFFINE, matrix))
        assert (wrong != right).mean() > 0.2


SPACES: list[tuple[Space, Any, int]] = [
    (RANDAUGMENT, v2.RandAugment, 31),
    (TRIVIALAUGMENT, v2.TrivialAugmentWide, 31),
    (AUTOAUGMENT, v2.AutoAugment, 10),
    (AUGMIX, v2.AugMix, 10),
]


@pytest.mark.parametrize(("space", "transform", "bins"), SPACES)
def test_magnitudes_are_those_of_torchvision(space: Space, transform: Any, bins: int) -> None:
    assert set(space) == set(transform._AUGMENTATION_SPACE)
    for name, (magnitudes, signed) in transform._AUGMENTATION_SPACE.items():
        there = magnitudes(bins, *SIZE)
        assert (there is None) == (space[name] is None)
        for place in range(bins if there is not None else 0):
            ours = magnitude_at(space, name, place / (bins - 1), SIZE, minus=True)
            assert ours == pytest.approx(float(there[place]) * (-1 if signed else 1), abs=1e-5), name


@pytest.mark.parametrize("policy", ["imagenet", "cifar10", "svhn"])
def test_the_tables_are_those_of_torchvision(policy: str) -> None:
    assert TABLES[policy] == v2.AutoAugment(v2.AutoAugmentPolicy(policy))._policies


def test_operations_are_equally_likely_and_signs_too() -> None:
    drawn = [step for seed in range(4000) for step in draw_randaugment(rng(seed), SIZE)]
    counts = Counter(name for name, _ in drawn)
    expected = len(drawn) / 14
    assert len(counts) == 14 and sum((n - expected) ** 2 / expected for n in counts.values()) < 34.5  # chi2, p = 0.001
    shears = [magnitude for name, magnitude in drawn if name == "ShearX"]
    assert np.abs(shears) == pytest.approx(0.09) and 0.4 < np.mean([m > 0 for m in shears]) < 0.6


def test_autoaugment_applies_each_operation_as_often_as_its_policy_says() -> None:
    drawn = [draw_autoaugment(rng(seed), SIZE, "cifar10") for seed in range(4000)]
    expected = np.mean([sum(probability for _, probability, _ in pair) for pair in TABLES["cifar10"]])
    assert np.mean([len(steps) for steps in drawn]) == pytest.approx(expected, abs=0.05)


def test_weights_of_augmix_are_shares() -> None:
    drawn = [draw_augmix(rng(seed), SIZE, 3, (3, 0)) for seed in range(500)]
    assert all(each["kept"] + sum(each["weights"]) == pytest.approx(1) for each in drawn)
    assert np.mean([each["kept"] for each in drawn]) == pytest.approx(0.5, abs=0.05)
    assert {len(chain) for each in drawn for chain in each["chains"]} == {1, 2, 3}
    still = [draw_augmix(rng(seed), SIZE, 3, (3, 2), moves=False) for seed in range(200)]
    assert not {name for each in still for chain in each["chains"] for name, _ in chain} & set(GEOMETRIC)


def test_augmix_is_the_mixture_of_its_chains() -> None:
    drawn = draw_augmix(rng(7), SIZE, 5, (3, 2))
    expected = drawn["kept"] * np.asarray(picture(), dtype=float)
    for chain, weight in zip(drawn["chains"], drawn["weights"], strict=True):
        image: Any = picture()
        for name, magnitude in chain:
            image = theirs(image, name, magnitude, "bilinear")
        expected = expected + weight * np.asarray(image)
    assert np.abs(mixed(picture(), drawn) - expected).max() <= 0.51


@pytest.mark.parametrize(
    "nothing",
    [
        lambda random: draw_randaugment(random, SIZE, count=0),
        lambda random: weakened(draw_trivialaugment(random, SIZE), 0.0, random),
        lambda random: weakened(draw_autoaugment(random, SIZE), 0.0, random),
    ],
)
def test_nothing_drawn_is_the_identity_to_the_byte(nothing: Callable[[Any], Any]) -> None:
    for seed in range(20):
        made, moves = applied(picture(), nothing(rng(seed)))
        assert (np.asarray(made) == np.asarray(picture())).all() and not moves.ops


def test_augmix_without_severity_is_the_identity_to_the_byte() -> None:
    for seed in range(20):
        assert (mixed(picture(), draw_augmix(rng(seed), SIZE, 0, (3, 0))) == np.asarray(picture())).all()


@pytest.mark.parametrize("name", sorted({*PHOTOMETRIC, *GEOMETRIC} - {"AutoContrast", "Equalize", "Invert"}))
def test_level_0_of_what_has_levels_is_the_identity_to_the_byte(name: str) -> None:
    """White pixels too: at its threshold, Solarize makes them black in torchvision."""
    white = Image.new("RGB", SIZE[::-1], "white")
    for image in (picture(), white):
        made, _ = applied(image, [(name, magnitude_at(RANDAUGMENT, name, 0.0, SIZE, minus=True))])
        assert (np.asarray(made) == np.asarray(image)).all()


def test_severity_1_leaves_what_was_drawn_and_less_is_between() -> None:
    steps = [["Rotate", 20.0], ["Posterize", 4], ["Solarize", 0.2], ["Equalize", 0.0]]
    assert weakened(steps, 1.0, rng(1)) == steps
    halves = [weakened(steps, 0.5, rng(seed)) for seed in range(200)]
    assert halves[0][:3] == [["Rotate", 10.0], ["Posterize", 6], ["Solarize", pytest.approx(0.6)]]
    assert 0.35 < np.mean([len(half) == 4 for half in halves]) < 0.65


@pytest.mark.parametrize("name", sorted(GEOMETRIC))
def test_a_label_map_takes_the_pixels_that_the_image_takes(name: str) -> None:
    """The mask as the image itself: every pixel of the moved mask stands in the moved image."""
    for magnitude in MAGNITUDES[name]:
        labels = blocks()
        image, moves = applied(Image.fromarray(np.stack([labels] * 3, axis=-1)), [(name, magnitude)], fill=255)
        assert (moves.apply_label(labels) == np.asarray(image)[..., 0]).all()


def test_what_is_not_geometric_moves_nothing() -> None:
    assert all(geometry_of(name, m, SIZE) is None for name in PHOTOMETRIC for m in MAGNITUDES[name])
    with pytest.raises(ValueError, match="there is no operation 'Twist'"):
        geometry_of("Twist", 1.0, SIZE)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(GEOMETRIC)), st.floats(-1, 1)), min_size=1, max_size=3),
    st.integers(6, 40),
    st.integers(6, 40),
)
def test_a_mask_painted_from_a_box_stays_inside_the_moved_box(
    steps: list[tuple[str, float]], height: int, width: int
) -> None:
    most = {"ShearX": 0.5, "ShearY": 0.5, "TranslateX": width / 2, "TranslateY": height / 2, "Rotate": 60}
    size = (height, width)
    _, moves = applied(Image.new("RGB", (width, height)), [(name, most[name] * share) for name, share in steps])
    box = [width // 4, height // 4, width // 4 + max(1, width // 3), height // 4 + max(1, height // 3)]
    painted = np.zeros(size, np.uint8)
    painted[box[1] : box[3], box[0] : box[2]] = 1
    rows, columns = np.nonzero(moves.apply_label(painted, void=0))
    corners = moves.point_map(size).points(np.array([[box[i], box[j]] for i in (0, 2) for j in (1, 3)], float))
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    edge = 0.51 * len(steps)
    if len(rows):
        assert left - edge <= columns.min() and columns.max() + 1 <= right + edge
        assert top - edge <= rows.min() and rows.max() + 1 <= bottom + edge


def test_a_linear_map_comes_back_and_is_written_as_it_is() -> None:
    linear = Linear((0.9, 0.2, 3.0, -0.1, 1.1, -2.0))
    again = Geometry.from_plain(Geometry((linear,)).plain())
    assert again.ops == (linear,)
    xy = rng(1).random((20, 2)) * 40
    there = again.point_map(SIZE).points(xy)
    assert np.abs(again.back_map(SIZE).points(there) - xy).max() < 1e-9
    assert not linear.mirrors and Linear((-1, 0, 60, 0, 1, 0)).mirrors
    with pytest.raises(ValueError, match="has an inverse"):
        Linear((1, 1, 0, 1, 1, 0))
