"""How a model sees an image: as torchvision would show it, and from a JPEG decoded no finer than needed."""

import io

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms

from augforge.data import images
from augforge.data import preprocessing as preprocessing
from augforge.data.preprocessing import Preprocessing, decode
from augforge.errors import BadImage
from augforge.models import find_model
from augforge.models.vision import ClipTower

MEAN, STD = (0.48, 0.45, 0.4), (0.27, 0.26, 0.28)


def photo(width, height, seed=0):
    """A picture with edges and fine grain, RGB."""
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    values = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float64)
    down, across = np.mgrid[:height, :width]
    values[(down // 37 + across // 23) % 5 == 0] *= 0.5
    return Image.fromarray(np.clip(values + draw.normal(0, 12, values.shape), 0, 255).astype(np.uint8))


def jpeg(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=92, **options)
    return out.getvalue()


@pytest.mark.parametrize("size", [(64, 64), (101, 77), (90, 133), (40, 31), (300, 41)])
@pytest.mark.parametrize(("side", "resize"), [(32, 32), (32, 37), (31, 36), (32, None)])
def test_it_is_what_torchvision_shows(size, side, resize):
    image = photo(*size)
    square = transforms.Resize((side, side) if resize is None else resize, transforms.InterpolationMode.BICUBIC)
    expected = transforms.Compose([square, transforms.CenterCrop(side)])(image)
    seen = Preprocessing(side, MEAN, STD, resize).resize_and_crop(image)
    off = np.abs(seen.astype(int) - np.asarray(expected))
    assert off.max() <= 1 and off.mean() < 5e-3  # only the crop is computed: now and then a value is rounded otherwise
    numbers = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])(Image.fromarray(seen))
    found = Preprocessing(side, MEAN, STD, resize).normalize(np.stack([seen, seen[::-1].copy()]), "cpu")
    np.testing.assert_array_equal(found[0].numpy(), numbers.numpy())
    assert not np.array_equal(found[1].numpy(), numbers.numpy())


def test_a_centre_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match="no centre"):
        Preprocessing(32, MEAN, STD, 30)


@pytest.mark.parametrize(
    ("size", "least", "expected"),
    [
        ((640, 480), 60, (80, 60)),
        ((640, 480), 61, (160, 120)),
        ((641, 483), 120, (161, 121)),
        ((640, 480), 240, (320, 240)),
        ((640, 480), 241, (640, 480)),
        ((640, 480), 5000, (640, 480)),
    ],
)
def test_a_jpeg_is_decoded_at_the_smallest_size_that_is_enough(size, least, expected):
    assert decode(jpeg(photo(*size)), least).size == expected


def rotated(image):
    exif = Image.Exif()
    exif[0x0112] = 6
    return jpeg(image, exif=exif)


def png(image):
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    "make", [png, rotated, lambda image: jpeg(image.convert("CMYK"))], ids=["png", "rotated", "cmyk"]
)
def test_what_is_special_is_decoded_in_full(make):
    data = make(photo(200, 120))
    np.testing.assert_array_equal(np.asarray(decode(data, 20)), np.asarray(images.decode(data)))


def test_grey_comes_as_rgb():
    small = decode(jpeg(photo(200, 120).convert("L")), 20)
    assert small.mode == "RGB" and small.size == (50, 30)
    assert np.ptp(np.asarray(small), axis=2).max() == 0


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 3], lambda b: b[:20], lambda b: b"\xff\xd8\xff" + b"x" * 99]
)
def test_damage_is_told_as_ever(damage):
    data = damage(jpeg(photo(200, 120)))
    with pytest.raises(BadImage) as expected:
        images.decode(data)
    with pytest.raises(BadImage) as found:
        decode(data, 20)
    assert found.value.message == expected.value.message


def test_a_decompression_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 1000)
    with pytest.raises(BadImage, match="bomb"):
        decode(jpeg(photo(200, 120)), 20)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_both_decoders_give_the_same_pixels(mode, subsampling, progressive, monkeypatch):
    pytest.importorskip("simplejpeg", reason="the optional decoder is not installed")
    options = {} if mode == "L" else {"subsampling": subsampling}
    data = jpeg(photo(411, 283).convert(mode), progressive=progressive, **options)
    for least in (30, 70, 140):
        fast = np.asarray(decode(data, least))
        with monkeypatch.context() as without:
            without.setattr(preprocessing, "simplejpeg", lambda: None)
            np.testing.assert_array_equal(np.asarray(decode(data, least)), fast)


def test_the_vectors_hardly_change(monkeypatch):
    """The stated tolerance: cosine 0.995 to the full decode; without a margin more is lost."""
    model = ClipTower(find_model("builtin-clip", "image-text"), "cpu")
    data = [jpeg(photo(1024, 560, seed)) for seed in range(6)]
    full = model.embed_images([images.decode(d) for d in data])

    def worst():
        small = [decode(d, model.preprocessing.min_side) for d in data]
        assert all(image.size != (1024, 560) for image in small)
        return float((full * model.embed_images(small)).sum(axis=1).min())

    close = worst()
    monkeypatch.setattr(preprocessing, "MARGIN", 1)
    assert close >= 0.995 and worst() < close
