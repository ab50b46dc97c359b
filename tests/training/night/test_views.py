"""Random and fixed views, and what is held out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from augforge.training.night.views import Unpaired, middle_view, random_view
from tests.training.night.scenes import days, nights, pictures_of


def flat(value: int) -> np.ndarray:
    return np.full((20, 30, 3), value, np.uint8)


def test_batch_has_days_and_nights_in_range():
    batch = Unpaired(days(3), nights(3), 48, 5).batch(np.random.default_rng(0))
    assert {name: tuple(tensor.shape) for name, tensor in batch.items()} == {
        "day": (5, 3, 48, 48),
        "night": (5, 3, 48, 48),
    }
    assert batch["day"].min() >= -1 and batch["day"].max() <= 1
    assert batch["day"].mean() > batch["night"].mean() + 0.5


def test_the_generator_decides_the_batch():
    pictures = Unpaired(days(3), nights(3), 16, 2)
    first, again, other = (pictures.batch(np.random.default_rng(seed))["day"] for seed in (4, 4, 5))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_pairs_are_random_not_by_place():
    values = pictures_of([flat(value) for value in range(0, 200, 10)])
    unpaired, random = Unpaired(values, values, 8, 8), np.random.default_rng(0)
    seen = {
        (float(d.mean()), float(n.mean()))
        for _ in range(40)
        for d, n in zip(*unpaired.batch(random).values(), strict=True)
    }
    assert len(seen) > 150


def test_held_out_pictures_are_never_drawn():
    values = pictures_of([flat(value) for value in range(0, 200, 10)])
    unpaired, random = Unpaired(values, values, 8, 16), np.random.default_rng(0)
    drawn = {round(float(p.mean()) * 127.5 + 127.5) for _ in range(40) for p in unpaired.batch(random)["day"]}
    held = {int(view.mean()) for view in unpaired.days()}
    assert held == {0, 100} and unpaired.held_out == 2
    assert drawn == set(range(0, 200, 10)) - held


def test_few_pictures_are_all_learnt_from_and_looked_at():
    unpaired = Unpaired(days(4), nights(30), 8, 2)
    assert unpaired.held_out == 0 and len(unpaired.days()) == 4 and len(unpaired.nights()) == 3


def test_views_scale_from_08_to_1_mirror_half_and_enlarge():
    ramp = np.repeat(np.linspace(0, 200, 40, dtype=np.uint8)[None, :, None], 40, 0).repeat(3, 2)
    random, spans, mirrored = np.random.default_rng(0), [], 0
    for _ in range(400):
        view = random_view(ramp, 100, random)
        assert view.shape == (100, 100, 3)
        across = int(view[50, -1, 0]) - int(view[50, 0, 0])
        mirrored += across < 0
        spans.append(abs(across) / 200)
    assert 150 < mirrored < 250
    assert 0.79 < min(spans) < 0.82 and 0.97 < max(spans) < 1.01


@pytest.mark.parametrize("shape", [(10, 40), (40, 10), (300, 200)])
def test_middle_view_is_the_middle(shape):
    picture = np.zeros((*shape, 3), np.uint8)
    side = min(shape)
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    picture[top : top + side, left : left + side] = 77
    view = middle_view(picture, 32)
    assert view.shape == (32, 32, 3) and (view[8:-8, 8:-8] == 77).all()
    assert view.min() > 38, "the filter looks across the border, the view does not"
