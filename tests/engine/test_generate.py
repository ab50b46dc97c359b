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


def test_a_constant_picture_is_not_said_to_be_of_a_model_where_there_is_none(tmp_path) -> None:
    from PIL import Image

    from augforge.engine.run import run
    from augforge.recipe import Recipe, SourceSpec, build_stage

    (tmp_path / "plain").mkdir()
    for grey in (90, 120):
        Image.new("RGB", (16, 16), (grey,) * 3).save(tmp_path / "plain" / f"{grey}.png")
    shifts = build_stage("generate", "shifts", {"families": ["blur"], "size": 16})
    recipe = Recipe("plain", 1, (SourceSpec("folder", str(tmp_path / "plain")),), (shifts,))
    done = run(recipe, tmp_path / "run", device="cpu", allow_empty=True)
    assert done.reasons == {"1-generate-shifts": {"shifts made a constant picture": 2}}
