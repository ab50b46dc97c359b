"""Strong transforms: the folds, what every operation keeps, and known answers of single ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, label

from augforge.algorithms.geometry import Geometry
from augforge.algorithms.shifts import FAMILIES, FOLDS, draw, operation
from augforge.algorithms.shifts.arithmetic import add, salt_and_pepper
from augforge.algorithms.shifts.blur import bilateral, line, median
from augforge.algorithms.shifts.contrast import linear
from augforge.algorithms.shifts.convolutional import LAPLACE, edge_detect, random_kernel
from augforge.algorithms.shifts.edges import RULES, edge_map
from augforge.algorithms.shifts.segmentation import superpixels
from augforge.data.ids import rng

EVERY = [(family, name) for family, ops in FAMILIES.items() for name in ops]
PUBLISHED = {"arithmetic": 21, "artistic": 1, "blur": 6, "colour": 18, "contrast": 6, "convolutional": 5}
PUBLISHED |= {"edges": 1, "geometric": 9, "segmentation": 4, "weather": 5}


def photo(size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A smooth, colourful picture with a few hard edges."""
    rough = gaussian_filter(rng(1, "photo").random((*size, 3)), (6, 6, 0), mode="nearest")
    smooth = (rough - rough.min()) / np.ptp(rough) * 200 + 20
    smooth[10:30, 15:40] = 255 - smooth[10:30, 15:40]
    return (smooth + rng(2, "photo").uniform(-8, 8, smooth.shape)).astype(np.uint8)


def drawn(family: str, name: str, severity: float = 1.0, seed: int = 4) -> dict:
    return operation(family, name).draw(rng(seed, name), severity)


def test_the_folds_are_disjoint_and_cover_the_ten_families():
    assert set(FOLDS["1"]).isdisjoint(FOLDS["2"])
    assert [*FOLDS["1"], *FOLDS["2"]] == list(FOLDS["all"]) == list(FAMILIES)
    assert FOLDS["1"] == ("arithmetic", "artistic", "blur", "colour", "contrast")
    assert {family: len(ops) for family, ops in FAMILIES.items()} == PUBLISHED


@pytest.mark.parametrize(("family", "name"), EVERY)
@pytest.mark.parametrize("size", [(48, 64), (31, 20)])
def test_every_operation_keeps_shape_and_dtype_and_changes_something(family, name, size):
    image = photo(size)
    before = image.copy()
    made = operation(family, name)(image, drawn(family, name))
    assert made.shape == image.shape and made.dtype == np.uint8
    assert (image == before).all()
    assert np.abs(made.astype(int) - image).mean() > 0.5


@pytest.mark.parametrize(("family", "name"), EVERY)
def test_the_same_draw_gives_the_same_and_goes_through_json(family, name):
    parameters = drawn(family, name)
    through = json.loads(json.dumps(parameters))
    first, again = (operation(family, name)(photo(), p) for p in (parameters, through))
    assert (first == again).all()
    assert parameters == drawn(family, name)


@pytest.mark.parametrize(("family", "name"), EVERY)
def test_severity_0_leaves_every_image_alone(family, name):
    made = operation(family, name)(photo(), drawn(family, name, severity=0.0))
    assert np.abs(made.astype(int) - photo()).max() <= 1


@pytest.mark.parametrize(("family", "name"), EVERY)
def test_less_severity_changes_less(family, name):
    mild, strong = (
        np.mean(
            [
                np.abs(operation(family, name)(photo(), drawn(family, name, severity, seed)).astype(int) - photo())
                for seed in range(3)
            ]
        )
        for severity in (0.2, 1.0)
    )
    assert mild <= strong


def test_families_and_operations_are_as_likely_as_each_other():
    random = rng(1)
    found = [draw(FOLDS["2"], 1.0, random) for _ in range(1500)]
    counts = {family: sum(d["family"] == family for d in found) for family in FOLDS["2"]}
    assert sum(counts.values()) == 1500 and all(240 < count < 360 for count in counts.values())
    weather = [d["op"] for d in found if d["family"] == "weather"]
    assert set(weather) == set(FAMILIES["weather"]) and all(weather.count(op) > 30 for op in set(weather))


# -- edge maps -------------------------------------------------------------------------------------------------


def step(width: int = 40, at: int = 17) -> np.ndarray:
    image = np.full((30, width, 3), 10, np.uint8)
    image[:, at:] = 200
    return image


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("sigma", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("value", [0, 90, 255])
def test_the_edge_map_of_a_constant_image_is_white(rule, sigma, value):
    assert (edge_map(np.full((20, 24, 3), value, np.uint8), sigma, rule) == 255).all()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("sigma", [0.0, 1.0, 2.0])
def test_a_step_gives_a_single_dark_line(rule, sigma):
    made = edge_map(step(), sigma, rule)
    assert set(np.unique(made)) == {0, 255}
    dark = made[..., 0] == 0
    assert (dark.sum(axis=1)[2:-2] == 1).all()
    assert label(dark, np.ones((3, 3)))[1] == 1
    assert np.abs(np.nonzero(dark)[1] - 16.5).max() <= 0.5


def test_a_plain_threshold_on_the_slope_would_draw_a_band():
    from scipy.ndimage import sobel

    slope = np.abs(sobel(gaussian_filter(step()[..., 0] / 255, 2.0, mode="nearest"), axis=1))
    assert ((slope > 0.3).sum(axis=1) > 3).all()


def test_a_faint_step_is_no_line_where_a_strong_one_sets_the_threshold():
    image = step(60)
    image[:, 40:] = 204
    made = edge_map(image, 1.0, "otsu")
    assert (made[..., 0][:, 30:] == 255).all() and (made[..., 0][:, :30] == 0).any()


# -- single operations ------------------------------------------------------------------------------------------


def test_additions_are_cut_at_black_and_white():
    image = np.array([[[0, 100, 250]]], np.uint8)
    assert add(image, 20).tolist() == [[[20, 120, 255]]]
    assert add(image, -20).tolist() == [[[0, 80, 230]]]


def test_contrast_is_about_the_middle():
    assert linear(np.array([[[0, 127, 255]]], np.uint8), 0.5).tolist() == [[[64, 127, 191]]]


def test_salt_and_pepper_hits_the_share_it_says():
    image = np.full((200, 200, 3), 100, np.uint8)
    made = salt_and_pepper(image, 0.2, 3)
    hit = (made != 100).all(axis=2)
    assert abs(hit.mean() - 0.2) < 0.01 and set(np.unique(made)) == {0, 100, 255}
    assert (made[..., 0] == made[..., 2]).all()


def test_a_line_sums_to_one_and_lies_as_it_should():
    assert line(9, 0.0)[4].sum() == pytest.approx(1) and line(9, 90.0)[:, 4].sum() == pytest.approx(1)
    assert np.diag(np.fliplr(line(9, 45.0))).sum() > 0.5 > np.diag(line(9, 45.0)).sum()


def test_a_median_takes_a_speck_away_and_a_bilateral_keeps_a_step():
    speck = np.full((40, 40, 3), 60, np.uint8)
    speck[20, 20] = 255
    assert (median(speck, 0.05) == 60).all()
    kept = bilateral(step(), 0.1, 20.0)
    assert np.abs(kept.astype(int) - step()).max() <= 1


def test_kernels_that_sum_to_one_keep_what_is_flat_and_others_find_edges():
    flat = np.full((20, 20, 3), 77, np.uint8)
    assert (random_kernel(flat, 1.0, 3) == 77).all()
    assert (edge_detect(flat, 1.0) == 0).all() and LAPLACE.sum() == 0


def test_superpixels_of_flat_halves_are_the_halves():
    assert (superpixels(step(), 20, 1.0, 1) == step()).mean() > 0.97


def test_geometry_is_logged_in_the_way_that_masks_follow():
    for name in FAMILIES["geometric"]:
        parameters = drawn("geometric", name)
        moved = Geometry.from_plain(parameters["geometry"])
        assert (operation("geometric", name)(photo(), parameters) == moved.apply(photo())).all()
        assert moved.size((48, 64)) == (48, 64)
