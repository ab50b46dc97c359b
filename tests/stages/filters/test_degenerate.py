import numpy as np
import pytest
from PIL import Image

from augforge.stages.filters.degenerate import Degenerate
from tests.stages.filters.galleries import noise


def spread(image):
    return Degenerate().measure(image)["spread"]


def passes(image):
    rule = Degenerate().rule()
    return bool(rule.apply(np.array([spread(image)]), ["a"], np.zeros(1, dtype=int), "all")[0][0])


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (7, 90, 200)])
def test_one_colour_has_no_spread_and_goes(colour):
    image = Image.new("RGB", (9, 4), colour)
    assert spread(image) == 0 and not passes(image)


def test_the_range_over_all_channels_would_take_one_colour_for_a_picture():
    assert np.ptp(np.asarray(Image.new("RGB", (4, 4), (7, 90, 200)))) == 193  # the wrong variant


def test_what_was_nan_is_black_and_goes():
    with np.errstate(invalid="ignore"):
        born = np.nan_to_num(np.full((8, 8, 3), np.nan)).astype(np.uint8)
    assert not passes(Image.fromarray(born))


def test_rounding_is_no_picture_and_a_faint_one_is():
    nearly = np.full((8, 8, 3), 100, dtype=np.uint8)
    nearly[0, 0, 1] = 101
    assert spread(Image.fromarray(nearly)) == pytest.approx(1 / 255) and not passes(Image.fromarray(nearly))
    nearly[0, 0, 1] = 102
    assert passes(Image.fromarray(nearly))


def test_it_is_the_largest_range_of_a_channel():
    picture = np.random.default_rng(0).integers(0, 200, (6, 5, 3), dtype=np.uint8)
    expected = max(picture[:, :, c].max() - picture[:, :, c].min() for c in range(3)) / 255
    assert spread(Image.fromarray(picture)) == pytest.approx(expected)
    assert passes(noise())
