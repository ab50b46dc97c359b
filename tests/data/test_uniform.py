"""Images of one mode and size: read as the stages read them, whatever they are stored as, and masks with them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from augforge.data import images
from augforge.data.uniform import Uniform
from augforge.errors import RecipeError


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def stored() -> dict[str, bytes]:
    """One picture (20, 12), stored in every mode that Pillow writes."""
    ramp = np.linspace(0, 65535, 20 * 12).astype(np.uint16).reshape(12, 20)
    colour = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8))
    turned = Image.Exif()
    turned[images.ORIENTATION] = 6
    see_through = colour.copy()
    see_through.putalpha(Image.fromarray((ramp // 257).astype(np.uint8)))
    return {
        "RGB": encoded(colour), "L": encoded(colour.convert("L")), "P": encoded(colour.quantize(16)),
        "RGBA": encoded(see_through), "1": encoded(colour.convert("1")), "I;16": encoded(Image.fromarray(ramp)),
        "LA": encoded(see_through.convert("LA")), "CMYK": encoded(colour.convert("CMYK"), "JPEG"),
        "F": encoded(Image.fromarray((ramp / 65535).astype(np.float32)), "TIFF"), "JPEG": encoded(colour, "JPEG"),
        "turned": encoded(colour, "JPEG", exif=turned), "animated": encoded(colour, "GIF"),
    }  # fmt: skip


STORED = stored()


@pytest.mark.parametrize("name", STORED)
def test_every_mode_becomes_what_the_stages_saw(name):
    wanted = np.asarray(images.decode(STORED[name]))
    data = Uniform("RGB").image(STORED[name])
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGB" and (np.asarray(image) == wanted).all()
    grey = Uniform("L").image(STORED[name])
    with Image.open(io.BytesIO(grey)) as image:
        assert image.mode == "L" and image.size == wanted.shape[1::-1]


def test_what_pillow_alone_would_make_of_16_bits_is_another_picture():
    with Image.open(io.BytesIO(STORED["I;16"])) as image:
        naive = np.asarray(image.convert("RGB"))
    assert np.abs(naive.astype(int) - np.asarray(images.decode(STORED["I;16"]))).max() > 100


def test_bytes_that_are_so_already_stay():
    assert (
        Uniform("RGB").image(STORED["RGB"]) is STORED["RGB"] and Uniform("RGB").image(STORED["JPEG"]) is STORED["JPEG"]
    )
    assert Uniform("L").image(STORED["L"]) is STORED["L"]
    assert Uniform("RGB").image(STORED["turned"]) is not STORED["turned"]
    square = encoded(Image.new("RGB", (8, 8), "red"))
    assert Uniform("RGB", 8).image(square) is square and Uniform("RGB", 9).image(square) is not square


@pytest.mark.parametrize("name", STORED)
def test_a_size_is_that_of_a_square_from_the_centre(name):
    data = Uniform("RGB", 6).image(STORED[name])
    assert images.decode(data).size == (6, 6)
    assert images.inspect(data).note == ""


def test_the_centre_is_cropped_and_the_shorter_side_scaled():
    left, middle, right = (np.full((10, 10, 3), value, dtype=np.uint8) for value in (0, 100, 255))
    wide = encoded(Image.fromarray(np.concatenate([left, middle, right], axis=1)))
    assert (np.asarray(images.decode(Uniform("RGB", 10).image(wide))) == 100).all()
    squashed = np.asarray(images.decode(wide).resize((10, 10)))
    assert (squashed == 0).any(), "the wrong way would be seen"


def test_a_mask_goes_with_its_image_and_keeps_its_labels():
    labels = np.repeat(np.array([[3, 7, 200]], dtype=np.uint8), 10, axis=1).repeat(10, axis=0)
    for mask in (Image.fromarray(labels), Image.fromarray(labels.astype(np.uint16))):
        cut = images.decode_mask(Uniform("RGB", 5).picture("mask", encoded(mask)))
        assert cut.shape == (5, 5) and (cut == 7).all()
    assert Uniform("RGB").picture("mask", encoded(Image.fromarray(labels))) == encoded(Image.fromarray(labels))


def test_a_palette_mask_keeps_its_palette():
    mask = Image.fromarray(np.array([[0, 1], [2, 1]], dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)).convert("P")
    mask.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    with Image.open(io.BytesIO(Uniform("RGB", 4).picture("mask", encoded(mask)))) as cut:
        assert cut.mode == "P" and cut.size == (4, 4) and set(np.unique(np.asarray(cut))) == {0, 1, 2}
        assert cut.convert("RGB").getpixel((3, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("mode", "size"), [("CMYK", None), ("rgb", None), ("RGB", 1), ("RGB", 0), ("RGB", -3), ("L", 10**9)]
)
def test_what_cannot_be_is_refused(mode, size):
    with pytest.raises(RecipeError):
        Uniform(mode, size)
