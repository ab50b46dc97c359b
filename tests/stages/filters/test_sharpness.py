import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy.ndimage import laplace

from augforge.stages.filters.sharpness import Sharpness


def measure(image):
    return Sharpness().measure(image)["sharpness"]


def noise(size=33):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size), dtype=np.uint8))


def test_a_constant_picture_scores_zero():
    assert measure(Image.new("RGB", (20, 30), (7, 90, 200))) == 0


def test_it_is_the_variance_of_the_laplacian():
    grey = np.asarray(noise(), dtype=float)
    assert measure(noise()) == pytest.approx(laplace(grey)[1:-1, 1:-1].var())


def test_a_known_picture():
    dot = np.zeros((5, 5), dtype=np.uint8)
    dot[2, 2] = 1  # laplacian of the inner 3 x 3: -4 in the middle, 1 at its four sides, 0 at the corners
    assert measure(Image.fromarray(dot)) == pytest.approx((16 + 4) / 9)


def test_blur_lowers_it_step_by_step():
    blurred = [measure(noise(64).filter(ImageFilter.GaussianBlur(radius))) for radius in (0, 0.5, 1, 2)]
    assert blurred == sorted(blurred, reverse=True) and blurred[0] > 2 * blurred[-1]


def test_a_tiny_picture_has_no_inside():
    assert measure(Image.new("L", (2, 9))) == 0
