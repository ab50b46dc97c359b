"""Overlap against a slow search, and what it tells apart."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from augforge.algorithms.duplicates.crops import SMALLEST, details_of, overlap, shrinking
from augforge.algorithms.duplicates.hashes import reduced, shrunk
from tests.algorithms.duplicates.pictures import mirror, picture, png


def small(image: Image.Image) -> np.ndarray:
    return shrunk([reduced(png(image))])[0]


def slow(left: np.ndarray, right: np.ndarray, smallest: int) -> float:
    """Every window of every size, correlated by NumPy."""
    best = -1.0
    for a, b in ((left, right), (right, left)):
        one, other = details_of(a[None])[0], details_of(b[None])[0]
        for width in range(smallest, 33):
            part = shrinking(width) @ one @ shrinking(width).T
            for turned in (part, part[:, ::-1]):
                for y in range(33 - width):
                    for x in range(33 - width):
                        window = other[y : y + width, x : x + width]
                        best = max(best, float(np.corrcoef(turned.ravel(), window.ravel())[0, 1]))
    return best


def test_as_the_slow_search() -> None:
    for seed, smallest in ((0, 29), (1, SMALLEST)):
        a, b = small(picture(seed)), small(picture(seed + 50))
        assert overlap(a[None], b[None], smallest=smallest)[0] == pytest.approx(slow(a, b, smallest), abs=1e-4)


@pytest.mark.parametrize("turn", [False, True])
def test_a_crop_fits_anywhere_and_a_stranger_does_not(turn: bool) -> None:
    images = [picture(seed, 200, 200) for seed in range(12)]
    draw = np.random.default_rng(0)
    crops = [
        im.crop((x, y, x + 170, y + 170))
        for im, (x, y) in zip(images, draw.integers(0, 31, (12, 2)).tolist(), strict=True)
    ]
    whole = np.stack([small(image) for image in images])
    parts = np.stack([small(mirror(crop) if turn else crop) for crop in crops])
    fits, strangers = overlap(parts, whole), overlap(parts, np.roll(whole, 1, axis=0))
    assert fits.min() > 0.82 > strangers.max()
    assert overlap(whole, parts) == pytest.approx(fits, abs=1e-5)
    if turn:
        assert overlap(parts, whole, flips=False).max() < 0.82


def test_a_large_crop_does_not_fit_if_only_slight_ones_are_tried() -> None:
    image = picture(3, 200, 200)
    pair = small(image)[None], small(image.crop((0, 0, 166, 166)))[None]
    assert overlap(*pair)[0] > 0.82 > overlap(*pair, smallest=31)[0]


def test_plain_pictures_fit_nothing_and_no_pairs_are_no_numbers() -> None:
    plain = np.full((1, 32, 32), 7, dtype=np.uint8)
    assert overlap(plain, plain)[0] == 0
    assert overlap(plain[:0], plain[:0]).shape == (0,)


def testshrinking_keeps_the_mean() -> None:
    for width in range(SMALLEST, 33):
        assert shrinking(width).sum(axis=1) == pytest.approx(np.ones(width), abs=1e-6)
    assert (shrinking(32) == np.eye(32)).all()
