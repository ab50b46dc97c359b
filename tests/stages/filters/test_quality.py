import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from scipy.stats import entropy as reference_entropy

from augforge.stages.filters.quality import Quality
from augforge.stages.filters.sharpness import Sharpness
from tests.stages.filters.galleries import noise


def measure(image, by=None):
    scores = Quality().measure(image)
    assert tuple(scores) == Quality.measures
    short = {name.removeprefix("quality-"): value for name, value in scores.items()}
    return short if by is None else short[by]


def picture(values):
    return Image.fromarray(np.array(values, dtype=np.uint8))


def test_a_constant_grey():
    expected = {"sharpness": 0, "exposure": 51 / 255, "clipped": 0, "contrast": 0, "entropy": 0, "size": 5, "aspect": 1}
    assert measure(Image.new("RGB", (5, 5), (51, 51, 51))) == pytest.approx(expected)


def test_half_black_half_white():
    scores = measure(picture([[0, 255]] * 4))
    assert scores == pytest.approx(
        {"sharpness": 0, "exposure": 0.5, "clipped": 1, "contrast": 0.5, "entropy": 1, "size": 2, "aspect": 0.5}
    )


def test_every_level_once_has_eight_bits():
    scores = measure(picture(np.arange(256).reshape(16, 16)))
    assert scores["entropy"] == pytest.approx(8) and scores["exposure"] == pytest.approx(0.5)
    assert scores["clipped"] == pytest.approx(2 / 256)
    assert scores["contrast"] == pytest.approx(np.sqrt((256**2 - 1) / 12) / 255)  # of the uniform distribution


def test_colours_count_as_luma():
    assert measure(Image.new("RGB", (4, 4), (255, 0, 0)), "exposure") == pytest.approx(0.299, abs=1 / 255)
    assert measure(Image.new("RGB", (4, 4), (0, 255, 0)), "exposure") == pytest.approx(0.587, abs=1 / 255)


@given(st.integers(0, 1000), st.integers(3, 20), st.integers(3, 20))
def test_it_is_the_plain_statistics_of_the_grey_picture(seed, height, width):
    image = noise(height, width, seed)
    grey = np.asarray(image, dtype=float) / 255
    scores = measure(image)
    shares = np.unique(np.asarray(image), return_counts=True)[1] / grey.size
    assert scores["exposure"] == pytest.approx(grey.mean()) and scores["contrast"] == pytest.approx(grey.std())
    assert scores["entropy"] == pytest.approx(reference_entropy(shares, base=2))
    assert scores["clipped"] == pytest.approx(((grey == 0) | (grey == 1)).mean())
    assert (scores["size"], scores["aspect"]) == (min(height, width), min(height, width) / max(height, width))


def test_sharpness_is_that_of_the_sharpness_filter():
    assert measure(noise(), "sharpness") == Sharpness().measure(noise())["sharpness"] > 0


def test_defects_show_in_their_measure():
    sharp = noise(64, 64)
    assert measure(sharp.filter(ImageFilter.GaussianBlur(2)), "sharpness") < measure(sharp, "sharpness") / 10
    assert measure(sharp.point(lambda v: min(255, v * 3)), "clipped") > 0.5 > measure(sharp, "clipped")
    assert measure(sharp.point(lambda v: 120 + v // 16), "contrast") < 0.1 < measure(sharp, "contrast")


def test_exposure_is_cut_at_both_ends():
    rule = Quality(by="exposure", min=0.2, max=0.8).rule()
    stays, reasons = rule.apply(np.array([0.1, 0.5, 0.9]), ["a", "b", "c"], np.zeros(3, dtype=int), "all")
    assert stays.tolist() == [False, True, False]
    assert reasons.tolist() == ["under 0.2", None, "over 0.8"]


def test_less_clipping_is_better():
    rule = Quality(by="clipped", keep=0.5).rule()
    assert rule.apply(np.array([0.9, 0.0]), ["a", "b"], np.zeros(2, dtype=int), "all")[0].tolist() == [False, True]
