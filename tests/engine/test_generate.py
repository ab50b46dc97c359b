"""What a generator gives is looked at before it is stored: a defect of its author is no image of the user."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.engine.runners.generate import checked
from augforge.stages.generator import GeneratedImage
from tests.stub import Coin


def images(*pixels: np.ndarray) -> list[GeneratedImage]:
    return [GeneratedImage(each) for each in pixels]


SOUND = np.full((4, 5, 3), 0.5, dtype=np.float32)


def test_sound_images_pass_and_missing_pixels_are_left_to_the_retry() -> None:
    broken = SOUND.copy()
    broken[0] = np.nan
    given = images(SOUND, broken, np.full_like(SOUND, np.nan), SOUND * 2 - 1e-9)
    assert checked(Coin(), given, 4) is given


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        ((SOUND * 255).astype(np.uint8), "uint8"),
        (SOUND * 255, "127.5"),
        (SOUND - 1, "-0.5"),
        (SOUND[..., 0], r"\(4, 5\)"),
        (np.moveaxis(SOUND, -1, 0), r"\(3, 4, 5\)"),
    ],
)
def test_another_type_range_or_shape_is_refused(pixels: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        checked(Coin(), images(SOUND, pixels), 2)


def test_another_number_of_images_is_refused() -> None:
    with pytest.raises(ValueError, match="1 images for a batch of 2"):
        checked(Coin(), images(SOUND), 2)
