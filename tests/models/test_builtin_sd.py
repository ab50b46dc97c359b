"""The built-in text-to-image model: it draws the digit that it is asked for, and each generator has a model offline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from augforge.errors import ModelError
from augforge.models import MODELS, find_model
from augforge.models.backends import Request, open_backend
from augforge.models.known import DIGITS
from augforge.recipe import build_stage
from augforge.stages.stage import AsksAboutClasses

EACH = 3


@pytest.fixture(scope="module")
def judge():
    """A classifier of scikit-learn's own digits: the digit that each of n images (n, 32, 32, 3) in [0, 1] shows."""
    from sklearn.datasets import load_digits
    from sklearn.svm import SVC

    digits = load_digits()
    fitted = SVC(C=10, gamma=0.001).fit(digits.data, digits.target)

    def tell(images: NDArray[np.float32]) -> NDArray[np.int64]:
        grey = [Image.fromarray((image * 255).astype(np.uint8)).convert("L") for image in images]
        small = [np.asarray(one.resize((8, 8), Image.Resampling.BOX), float).ravel() * 16 / 255 for one in grey]
        told: NDArray[np.int64] = fitted.predict(small)
        return told

    return tell


def request(words, **more):
    words = list(words)
    count = len(words)
    texts = {"prompts": [f"a photo of a {word}" for word in words], "negatives": [""] * count}
    return Request(**texts, seeds=list(range(count)), steps=12, guidance=2.5, **more)


def real_digits():
    """A real picture of each digit, as `augforge samples digits` writes them."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    first = [int(np.flatnonzero(digits.target == number)[0]) for number in range(10)]
    pictures = [Image.fromarray((digits.images[i] * 255 / 16).astype(np.uint8)) for i in first]
    return [picture.resize((32, 32), Image.Resampling.BICUBIC).convert("RGB") for picture in pictures]


def test_it_draws_the_digit_that_it_is_asked_for(judge):
    backend = open_backend("text-to-image", MODELS["builtin-sd"], "cpu")
    words, wanted = [*DIGITS, *map(str, range(10))] * EACH, np.tile(np.arange(10), 2 * EACH)
    images = backend.generate(request(words))
    assert images.shape == (20 * EACH, 32, 32, 3)
    told = judge(images)
    assert (told == wanted).mean() >= 0.9
    assert (told == np.roll(wanted, 1)).mean() < 0.2  # the known wrong answer: the digit of another prompt


def test_a_part_of_the_noise_leaves_the_picture_and_the_prompt_decides_with_all_of_it(judge):
    backend = open_backend("image-to-image", MODELS["builtin-sd"], "cpu")
    other = [DIGITS[(number + 1) % 10] for number in range(10)]
    little = backend.generate(request(DIGITS, images=real_digits(), strength=0.4))
    much = backend.generate(request(other, images=real_digits(), strength=1.0))
    assert (judge(little) == np.arange(10)).mean() >= 0.9
    assert (judge(much) == (np.arange(10) + 1) % 10).mean() >= 0.7


def test_the_unclip_model_varies_a_picture_without_any_text(judge):
    backend = open_backend("variation", MODELS["builtin-unclip"], "cpu")
    assert not backend.reads_prompt and backend.facts["pipeline"] == "StableUnCLIPImg2ImgPipeline"
    images = backend.generate(request(reversed(DIGITS), images=real_digits()))  # no prompt is read
    assert (judge(images) == np.arange(10)).mean() >= 0.8
    shown = open_backend("unclip", MODELS["builtin-unclip"], "cpu")
    by_hand = Request([""] * 10, [""] * 10, list(range(10)), 12, 2.5, embeds=shown.embed(real_digits(), 32))
    np.testing.assert_allclose(images, shown.generate(by_hand), atol=1 / 255)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("text2img", "builtin-sd"),
        ("img2img", "builtin-sd"),
        ("variation", "builtin-unclip"),
        ("augmented-conditioning", "builtin-unclip"),
    ],
)
def test_every_strategy_has_a_model_that_needs_no_hub_and_says_what_it_knows(name, model):
    stage = build_stage("generate", name, {"model": model})
    assert isinstance(stage, AsksAboutClasses)
    stage.check_classes(["three", "3", "digit 7"])
    with pytest.raises(ModelError, match=f"{model} does not know 'street'"):
        stage.check_classes(["street"])


def test_it_says_that_it_knows_digits_and_nothing_else():
    stage = build_stage("generate", "text2img", {"model": "builtin-sd"})
    with pytest.raises(ModelError, match="builtin-sd does not know 'cat'; it is tiny, 32 px: handwritten digits"):
        stage.check_classes(["cat"])


def test_the_weights_are_small_and_no_pickles():
    folder = find_model("builtin-sd", "text-to-image").directory
    assert folder is not None
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files if path.suffix == ".safetensors") < 1 << 20
    assert {path.suffix for path in files} == {".json", ".safetensors", ".md"}
