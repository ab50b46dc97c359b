"""The closer look: 0 for the same picture, 1 where black meets white, small for copies and large for other drawings."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from augforge.algorithms.duplicates import closer
from augforge.algorithms.duplicates.closer import DIFFERENT, differences, plain, views
from augforge.algorithms.duplicates.hashes import reduced, shrunk
from tests.algorithms.duplicates.drawings import coloured, drawing, shape
from tests.algorithms.duplicates.pictures import edits, jpeg, mirror, picture, png


def difference(left: bytes, right: bytes, **options: bool) -> float:
    """Of two encoded pictures."""
    opened = [views(Image.open(io.BytesIO(data)).convert("RGB")) for data in (left, right)]
    smalls = shrunk([reduced(left)]), shrunk([reduced(right)])
    (found,) = differences(opened[:1], opened[1:], smalls, **{"flips": True, "smallest": 29, **options})
    return float(found)


def test_the_same_picture_differs_by_nothing() -> None:
    for image in (drawing(1), picture(1, 300, 300), shape("circle", 20, 60, 15)):
        assert difference(png(image), png(image)) < 0.01
        assert difference(png(image), png(mirror(image))) < 0.02
    left = shape("triangle", 24, 60, 20)
    assert difference(png(left), png(mirror(left)), flips=False) > DIFFERENT


def test_a_copy_is_found_as_a_whole_where_noise_hides_the_place() -> None:
    """A faint disc in noise: what a blur leaves says little of where they overlap."""
    faint = shape("circle", 48, 48, 30, (225, 225, 225))
    grain = np.random.default_rng(0).integers(-6, 7, (96, 96, 3))
    noisy = Image.fromarray((np.asarray(faint).astype(int) + grain).clip(0, 255).astype(np.uint8))
    assert difference(png(faint), png(noisy)) < DIFFERENT


@pytest.mark.parametrize(
    ("change", "least"),
    [
        (shape("circle", 60, 48, 24), 0.5),  # elsewhere
        (shape("circle", 48, 48, 16), 0.5),  # smaller
        (shape("square", 48, 48, 24), 0.26),  # another shape of one size at one place
        (shape("circle", 48, 48, 24, (200, 60, 20)), 0.5),  # another colour, of the same lightness
    ],
)
def test_what_differs_in_one_respect_is_different(change: Image.Image, least: float) -> None:
    first = shape("circle", 48, 48, 24)
    assert difference(png(first), png(change)) > max(least, DIFFERENT)
    assert difference(png(change), png(first)) > max(least, DIFFERENT)


IN_COLOURS = [  # shape and ground, other shape and ground: what is dark is dark in both, at one place
    ((20, 60, 125), (193, 139, 115), (10, 105, 105), (187, 145, 120)),
    ((110, 20, 15), (118, 140, 212), (68, 68, 15), (125, 175, 190)),
    ((103, 54, 26), (160, 130, 255), (68, 120, 20), (216, 130, 255)),
    ((0, 70, 120), (130, 170, 140), (10, 100, 95), (195, 180, 145)),
]


@pytest.mark.parametrize("colours", IN_COLOURS)
@pytest.mark.parametrize("dots", [0, 60])
def test_one_shape_in_other_colours_is_different(
    colours: tuple[tuple[int, ...], ...], dots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red on blue is not olive on teal. Small windows alone, the wrong variant, take most of them for one picture."""
    one, two = (shape("square", 34, 30, 14, pen, 64, ground) for pen, ground in (colours[:2], colours[2:]))
    files = [png(dotted(image, dots, seed)) for seed, image in enumerate((one, two))]
    assert difference(*files) > DIFFERENT
    assert difference(files[0], jpeg(dotted(one, dots, 0), 60)) < DIFFERENT
    monkeypatch.setattr("augforge.algorithms.duplicates.closer._REGION_BOUND", np.inf)
    assert difference(*files) < 0.5


def dotted(image: Image.Image, dots: int, seed: int) -> Image.Image:
    """With dots of 1 px in other colours."""
    draw, pixels = np.random.default_rng(seed), np.array(image)
    rows, columns = draw.integers(0, len(pixels), (2, dots))
    pixels[rows, columns] = draw.integers(0, 256, (dots, 3))
    return Image.fromarray(pixels)


@pytest.mark.parametrize("dots", [0, 60])
@pytest.mark.parametrize("edit", ["resize", "crop", "brightness", "blur"])
def test_a_copy_of_a_coloured_drawing_stays_below_the_bound(edit: str, dots: int) -> None:
    images = [coloured(seed, dots=dots) for seed in range(16)]
    assert max(difference(png(image), jpeg(edits(image)[edit])) for image in images) < DIFFERENT


def test_black_against_white_is_one() -> None:
    """A large block where the other one has nothing, but for a shift and a gain that cannot take it back."""
    left, right = Image.new("RGB", (64, 64), "white"), Image.new("RGB", (64, 64), "white")
    left.paste("black", (8, 8, 28, 28))
    right.paste("black", (38, 40, 44, 46))
    assert 0.8 < difference(png(left), png(right), flips=False) <= 1


@pytest.mark.parametrize("edit", ["resize", "crop", "brightness", "blur"])
def test_a_copy_of_a_drawing_stays_below_the_bound(edit: str) -> None:
    found = [difference(png(drawing(seed)), jpeg(edits(drawing(seed))[edit])) for seed in range(24)]
    assert max(found) < DIFFERENT


def test_a_large_picture_is_looked_at_in_detail() -> None:
    """Lines of text that end elsewhere: alike at 32 px, and told apart at 128."""
    draw = np.random.default_rng(0)

    def page(lengths: np.ndarray) -> Image.Image:
        image = Image.new("RGB", (320, 320), "white")
        for row, length in enumerate(lengths.tolist()):
            image.paste((30, 30, 30), (20, 20 + 16 * row, 20 + length, 25 + 16 * row))
        return image

    one, two = page(draw.integers(90, 280, 18)), page(draw.integers(90, 280, 18))
    assert [len(view) for view in views(one)] == [32, 64, 128]
    assert difference(png(one), png(two)) > DIFFERENT > difference(png(one), jpeg(one, 60))


def test_drawings_are_plain_and_photographs_are_not() -> None:
    assert plain(shrunk([reduced(png(drawing(seed))) for seed in range(12)])).all()
    assert not plain(shrunk([reduced(png(picture(seed))) for seed in range(12)])).any()
    assert not plain(np.zeros((0, 32, 32), dtype=np.uint8)).size
    quarter = np.arange(0, 1024).reshape(1, 32, 32) % 240
    quarter.reshape(-1)[:256] = 100
    assert plain(quarter.astype(np.uint8)).all()


def test_the_order_of_pairs_and_sides_does_not_matter() -> None:
    files = [png(drawing(seed)) for seed in range(6)]
    opened = [views(Image.open(io.BytesIO(data)).convert("RGB")) for data in files]
    smalls = shrunk([reduced(data) for data in files])
    there = differences(opened[:3], opened[3:], (smalls[:3], smalls[3:]), flips=True)
    alone = [difference(files[k], files[k + 3], smallest=26) for k in range(3)]
    assert there.tolist() == alone


def test_windows_together_are_rounded_as_each_alone() -> None:
    rng = np.random.default_rng(0)
    colours = rng.uniform(0, 255, (784, 3)).astype(np.float32)
    windows = np.stack([colours * gain + rng.normal(0, 2, colours.shape) for gain in (0.7, 1, 1.1, 2)])
    windows = windows.astype(np.float32).clip(0, 255)
    windows[3] = 255  # of which nothing is known but that it is white
    for gradual in (False, True):
        together = [*closer._rests(colours, windows, gradual=gradual)]
        alone = [[*closer._rests(colours, window[None], gradual=gradual)] for window in windows]
        assert all((together[k][w] == alone[w][k][0]).all() for k in range(3) for w in range(4))
    assert closer._left(colours, windows).tolist() == [closer._left(colours, each[None])[0] for each in windows]
    assert np.ptp(closer._left(colours, windows)) > 1


@pytest.mark.parametrize(("rows", "side"), [(30, 32), (62, 64), (29, 32), (5, 7)])
def test_products_along_both_sides_are_those_of_the_formula(rows: int, side: int) -> None:
    rng = np.random.default_rng(rows)
    by, colours = rng.normal(size=(rows, side)), rng.normal(size=(side, side, 3))
    found = closer._along_both(by.astype(np.float32), colours.astype(np.float32))
    assert np.allclose(found, np.einsum("ij,jkc,lk->ilc", by, colours, by), atol=1e-4 * side)
