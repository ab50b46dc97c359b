"""Conditions with known answers: planes, seams, edges, views."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.errors import ModelError, RecipeError
from augforge.models.networks.paired.conditions import Conditioner, blurred, count_values, one_hot
from augforge.models.networks.paired.edges import edge_map
from augforge.models.networks.paired.instances import VOID, codes_of, components, instance_mean, label_classes, seam
from augforge.models.networks.paired.views import LARGEST, View, centred, random_view, seen
from tests.training.paired.scenes import COLOURS, draw_mask

GREY = np.full((16, 16, 3), 128, np.uint8)


def test_one_hot_leaves_void_empty() -> None:
    mask = np.array([[0, 1, 2], [255, 3, 200]], np.uint8)
    planes = one_hot(label_classes(mask, 3), 3)
    assert planes.shape == (3, 2, 3)
    assert planes.sum(0).tolist() == [[1, 1, 1], [0, 0, 0]]
    assert planes.argmax(0)[0].tolist() == [0, 1, 2]


def test_values_are_counted_without_void() -> None:
    assert count_values([np.array([[0, 4]], np.uint8), np.array([[255, 1]], np.uint8)]) == 5
    assert count_values([np.array([[0]], np.uint8)]) == 1
    assert count_values([np.array([[255]], np.uint8)]) == 0
    assert count_values([]) == 0


def test_a_label_map_that_is_all_void_is_refused() -> None:
    with pytest.raises(RecipeError, match="no class"):
        Conditioner("labelmap", 16)


def test_the_seam_of_two_regions_is_two_pixels_wide() -> None:
    ids = np.repeat([[1, 1, 1, 2, 2, 2, 2]], 5, axis=0)
    assert np.array_equal(seam(ids), np.repeat([[0, 0, 1, 1, 0, 0, 0]], 5, axis=0))
    assert np.array_equal(seam(ids.T), np.repeat([[0, 0, 1, 1, 0, 0, 0]], 5, axis=0).T)
    assert not seam(np.ones((4, 4))).any()
    assert not seam(np.array([[1]])).any()


def test_a_corner_is_no_neighbour() -> None:
    ids = np.array([[1, 2], [2, 1]])
    assert seam(ids).all()
    single = np.ones((3, 3), int)
    single[0, 0] = 2
    assert not seam(single)[1, 1]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_seam_equals_brute_force(seed: int) -> None:
    ids = np.random.default_rng(seed).integers(0, 3, (6, 5))
    expected = np.zeros(ids.shape, bool)
    for y, x in np.ndindex(*ids.shape):
        around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        expected[y, x] = any(ids[p] != ids[y, x] for p in around if 0 <= p[0] < 6 and 0 <= p[1] < 5)
    assert np.array_equal(seam(ids), expected)


def test_instances_are_the_parts_of_a_class_that_touch() -> None:
    classes = np.array([[0, 0, 1, 0], [1, 0, 1, 0], [VOID, 0, 0, 1]])
    ids = components(classes)
    assert ids[2, 0] == 0
    assert len({ids[0, 0], ids[0, 3], ids[0, 2], ids[1, 0], ids[2, 3]}) == 5  # 0 falls in two parts, 1 in three
    assert ids[0, 0] == ids[2, 2] and ids[0, 3] == ids[1, 3]
    assert sorted(np.unique(ids)) == list(range(6))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_mean_is_constant_inside_an_instance_and_equals_brute_force(seed: int) -> None:
    random = np.random.default_rng(seed)
    ids = torch.from_numpy(random.integers(0, 4, (2, 5, 4)))
    features = torch.from_numpy(random.normal(size=(2, 3, 5, 4))).float()
    found = instance_mean(features, ids)
    for picture in range(2):
        for number in ids[picture].unique().tolist():
            inside = found[picture][:, ids[picture] == number]
            wanted = features[picture][:, ids[picture] == number].mean(1) if number else torch.zeros(3)
            assert (inside == inside[:, :1]).all()
            torch.testing.assert_close(inside[:, 0], wanted, atol=1e-5, rtol=0)


def test_the_mean_of_one_picture_takes_nothing_from_another() -> None:
    ids = torch.ones(2, 2, 2, dtype=torch.int64)
    features = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)])
    assert torch.equal(instance_mean(features, ids), features)  # a mean over the batch would give one half


def test_the_gradient_of_the_mean_is_shared_in_the_instance() -> None:
    features = torch.zeros(1, 1, 1, 4, requires_grad=True)
    instance_mean(features, torch.tensor([[[1, 1, 2, 0]]]))[0, 0, 0, 0].backward()
    assert features.grad is not None and features.grad.flatten().tolist() == [0.5, 0.5, 0, 0]


def test_codes_of_instances_come_with_their_class() -> None:
    ids = torch.tensor([[[1, 1, 2, 0]], [[1, 1, 1, 1]]])
    classes = torch.tensor([[[3, 3, 0, VOID]], [[5, 5, 5, 5]]])
    means, kinds = codes_of(torch.tensor([[[[1.0, 3.0, 7.0, 100.0]]], [[[4.0, 4.0, 4.0, 8.0]]]]), ids, classes)
    assert sorted(zip(kinds.tolist(), means.flatten().tolist(), strict=True)) == [(0, 7), (3, 2), (5, 5)]


def test_an_edge_is_one_pixel_wide_and_where_the_step_is() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    image[:, 9:] = 200
    found = edge_map(image)
    assert set(np.unique(found)) == {0, 1}
    assert (found.sum(1) == 1).all() and set(np.nonzero(found)[1]) <= {8, 9}
    assert np.array_equal(edge_map(image.transpose(1, 0, 2)), found.T)
    assert not edge_map(GREY).any()


def test_a_slow_ramp_and_faint_noise_are_no_edges() -> None:
    ramp = np.repeat(np.linspace(0, 64, 64).astype(np.uint8)[None, :, None], 64, 0).repeat(3, 2)
    assert not edge_map(ramp).any()
    noise = np.random.default_rng(0).integers(126, 130, (64, 64, 3)).astype(np.uint8)
    assert not edge_map(noise).any()


def test_weak_edges_stay_only_where_they_join_strong_ones() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    image[4:12, 4:12] = 12  # weak: a slope of about 0.02
    assert not edge_map(image).any()
    joined = image.copy()
    joined[12:20, 4:28] = 200
    found = edge_map(joined)
    assert found[11:13, 14:26].any()


def test_downsampling_keeps_a_constant_and_loses_detail() -> None:
    assert np.array_equal(blurred(GREY), GREY)
    y, x = np.mgrid[:64, :64]
    smooth = np.stack([127 + 60 * np.sin(x / 20), 127 + 60 * np.cos(y / 20), x + y], 2).astype(np.uint8)
    checkers = np.repeat((((x + y) % 2) * 255).astype(np.uint8)[..., None], 3, 2)
    assert np.abs(blurred(smooth)[8:-8, 8:-8].astype(int) - smooth[8:-8, 8:-8]).max() <= 6
    assert np.ptp(blurred(checkers)) <= 4 and abs(int(blurred(checkers)[32, 32, 0]) - 127) <= 4
    again = blurred(blurred(smooth))
    assert np.abs(again[8:-8, 8:-8].astype(int) - blurred(smooth)[8:-8, 8:-8]).max() <= 6
    assert blurred(np.zeros((5, 3, 3), np.uint8)).shape == (5, 3, 3)


def test_a_middle_view_of_the_same_size_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 24, 3)).astype(np.uint8)
    assert np.array_equal(seen(image, centred(24, 24), 24, smooth=True), image)
    wide = np.random.default_rng(0).integers(0, 256, (24, 40)).astype(np.uint8)
    assert np.array_equal(seen(wide, centred(24, 40), 24, smooth=False), wide[:, 8:32])


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(20, 90), st.integers(20, 90))
def test_views_are_squares_inside_the_picture(seed: int, height: int, width: int) -> None:
    view = random_view(height, width, np.random.default_rng(seed))
    across, down = (view.right - view.left) * width, (view.bottom - view.top) * height
    assert across == pytest.approx(down)
    assert min(height, width) / LARGEST - 1e-6 <= down <= min(height, width) + 1e-6
    assert view.left >= 0 and view.top >= 0 and view.right <= 1 and view.bottom <= 1


def test_image_and_mask_are_seen_alike() -> None:
    """Over 50 scenes no shift of the mask by a pixel fits the image as well, nor does the mirrored mask."""
    errors = []
    for seed in range(50):
        random = np.random.default_rng(seed)
        mask = draw_mask(random, 80)[:, :70]
        view = random_view(80, 70, random)
        look, shown = Conditioner("labelmap", 64, values=4).crop(COLOURS[mask].astype(np.uint8), mask, view)
        assert shown is not None and set(np.unique(shown)) <= set(np.unique(mask))
        shifted = [np.roll(shown, by, axis) for axis in (0, 1) for by in (-1, 1)]
        errors.append([difference(look, one) for one in (shown, *shifted, shown[:, ::-1])])
    right, *shifts, mirrored = np.mean(errors, 0)
    assert right < 4 and min(shifts) > 1.2 * right and mirrored > 4 * right


def test_half_of_the_views_are_mirrored() -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 24, 3)).astype(np.uint8)
    assert np.array_equal(seen(image, View(0, 0, 1, 1, flip=True), 24, smooth=True), image[:, ::-1])
    flips = [random_view(24, 24, np.random.default_rng(seed)).flip for seed in range(400)]
    assert 160 < sum(flips) < 240


def difference(look: np.ndarray, shown: np.ndarray) -> float:
    """The mean distance between a picture and the colours of its label map, away from the border."""
    return float(np.abs(look - COLOURS[shown])[2:-2, 2:-2].mean())


MASK = np.repeat([[0] * 8 + [1] * 8], 16, axis=0).astype(np.uint8)


@pytest.mark.parametrize(
    ("conditioner", "mask", "channels"),
    [
        (Conditioner("labelmap", 16, values=3), MASK, 3),
        (Conditioner("labelmap", 16, values=3, instances=True, labels=("a", "b")), MASK, 6),
        (Conditioner("edges", 16), None, 1),
        (Conditioner("edges", 16, values=2, instances=True), MASK, 2),
        (Conditioner("downsample", 16, labels=("a",)), None, 4),
        (Conditioner("files", 16, planes=1), MASK, 1),
        (Conditioner("files", 16, planes=3), np.repeat(MASK[..., None], 3, 2), 3),
    ],
)
def test_a_condition_has_its_channels_and_survives_json(
    conditioner: Conditioner, mask: np.ndarray | None, channels: int
) -> None:
    again = Conditioner.from_facts(json.loads(json.dumps(conditioner.facts())))
    assert again == conditioner
    found = conditioner.prepare(GREY, mask, "a")
    assert found.condition.shape == (channels, 16, 16) and conditioner.channels == channels
    assert found.condition.dtype == torch.float32
    assert torch.equal(again.prepare(GREY, mask, "a").condition, found.condition)


def test_planes_come_in_order() -> None:
    conditioner = Conditioner("labelmap", 16, values=2, instances=True, labels=("a", "b"))
    planes = conditioner.prepare(GREY, MASK, "b").condition
    assert np.array_equal(planes[0].numpy(), MASK == 0) and np.array_equal(planes[1].numpy(), MASK == 1)
    assert np.array_equal(planes[2].numpy(), np.repeat([[0] * 7 + [1, 1] + [0] * 7], 16, axis=0))
    assert not planes[3].any() and (planes[4] == 1).all()


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ModelError, match="needs a mask"):
        Conditioner("labelmap", 16, values=2).prepare(GREY, None, None)
    with pytest.raises(ModelError, match="'c' is none"):
        Conditioner("edges", 16, labels=("a", "b")).prepare(GREY, None, "c")
    with pytest.raises(ModelError, match="3 channels"):
        Conditioner("files", 16, planes=1).prepare(GREY, GREY, None)
    with pytest.raises(ModelError, match="one channel"):
        Conditioner("labelmap", 16, values=2).prepare(GREY, GREY, None)
    with pytest.raises(RecipeError, match="no instances"):
        Conditioner("files", 16, planes=1, instances=True)
