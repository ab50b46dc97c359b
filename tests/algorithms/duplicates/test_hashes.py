"""Perceptual hashes against the definition, and what edits do to them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn

from augforge.algorithms.duplicates import (
    NO_STRUCTURE,
    canonical,
    hash_bytes,
    hash_many,
    hashes,
    mirrored,
    phash,
    structure,
)
from augforge.algorithms.duplicates.hashes import reduced, shrunk
from augforge.errors import BadImage
from tests.algorithms.duplicates.pictures import apart, edits, jpeg, mirror, picture, png

PICTURES = [picture(seed) for seed in range(30)]


def slow_hash(image: Image.Image) -> int:
    """The definition, by SciPy's DCT and one bit at a time, for a picture with structure."""
    small = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BILINEAR)).astype(float)
    low = dctn(small, norm="ortho")[:8, :8]
    median = np.median([low[v, u] for v in range(8) for u in (0, 2, 4, 6) if (v, u) != (0, 0)])
    bits = [low[v, u] >= (median if u % 2 == 0 else 0) for v in range(8) for u in range(8)]
    return int("1" + "".join(str(int(bit)) for bit in bits[1:]), 2)


def test_follows_the_definition() -> None:
    expected = np.array([slow_hash(image) for image in PICTURES], dtype=np.uint64)
    assert (phash(PICTURES) == expected).all()
    assert (phash([np.asarray(image) for image in PICTURES]) == expected).all()
    assert (phash([image.convert("L") for image in PICTURES]) == expected).all()
    assert [hash_bytes(png(image)) for image in PICTURES] == expected.tolist()
    assert (hash_many(png(image) for image in PICTURES) == expected).all()
    assert phash([]).shape == hash_many([]).shape == (0,) and phash([]).dtype == np.uint64


def test_the_hash_of_the_mirrored_picture_follows_from_the_hash() -> None:
    plain, turned = phash(PICTURES), phash([mirror(image) for image in PICTURES])
    assert (turned == mirrored(plain)).all() and (mirrored(turned) == plain).all()
    assert (canonical(plain) == canonical(turned)).all()
    upside_down = phash([image.transpose(Image.Transpose.FLIP_TOP_BOTTOM) for image in PICTURES])
    assert (canonical(upside_down) != canonical(plain)).all()


def test_a_median_over_all_frequencies_would_not_be_mirrored_by_turning_bits() -> None:
    small = np.asarray(PICTURES[0].convert("L").resize((32, 32))).astype(float)
    low = dctn(small, norm="ortho")[:8, :8]
    other = low * np.where(np.arange(8) % 2, -1, 1)
    plain, turned = low >= np.median(low.ravel()[1:]), other >= np.median(other.ravel()[1:])
    assert ((plain ^ turned)[:, ::2].any()) or (~(plain ^ turned)[:, 1::2]).any()


def test_bits_are_balanced_and_strangers_differ_in_half_of_them() -> None:
    hashes = phash([picture(seed) for seed in range(300)])
    bits = np.unpackbits(hashes.astype(">u8").view(np.uint8).reshape(-1, 8), axis=1)
    assert bits[:, 0].all() and abs(bits[:, 1:].mean() - 0.5) < 0.02
    distances = apart(hashes[:, None], hashes[None])[np.triu_indices(300, 1)]
    assert abs(distances.mean() - 31.5) < 0.5 and distances.min() > 8


def test_edited_copies_stay_near() -> None:
    plain = hash_many(jpeg(image, 95) for image in PICTURES)
    assert apart(plain, hash_many(jpeg(image, 50) for image in PICTURES)).max() <= 6
    for name in edits(PICTURES[0]):
        distances = apart(plain, hash_many(jpeg(edits(image)[name]) for image in PICTURES))
        assert (distances <= 10).mean() >= (0.8 if name == "crop" else 1), name
    turned = hash_many(jpeg(mirror(image)) for image in PICTURES)
    assert apart(plain, turned).min() > 10 and apart(mirrored(plain), turned).max() <= 6


def test_the_reduced_jpeg_gives_nearly_the_hash_of_the_whole() -> None:
    for size in ((40, 30), (64, 64), (300, 200), (1200, 900), (2000, 100)):
        image = picture(1, *size)
        data = jpeg(image, 95)
        assert apart(hash_bytes(data), phash([image])[0]) <= 4, size
        assert apart(hash_bytes(jpeg(image.convert("L"), 95)), hash_bytes(data)) <= 2


def test_a_turned_photo_is_hashed_upright() -> None:
    image = picture(2, 400, 300)
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = jpeg(image.transpose(Image.Transpose.ROTATE_90), 95, exif=exif.tobytes())
    assert apart(hash_bytes(lying), hash_bytes(jpeg(image, 95))) <= 4
    unmarked = jpeg(image.transpose(Image.Transpose.ROTATE_90), 95)
    assert apart(hash_bytes(unmarked), hash_bytes(jpeg(image, 95))) > 10


def test_unusual_jpegs_are_read_as_everywhere_else() -> None:
    ink = picture(3).convert("CMYK")
    assert apart(hash_bytes(jpeg(ink, 95)), phash([ink.convert("RGB")])[0]) <= 4


@pytest.mark.parametrize("threads", [1, 3])
def test_many_do_not_depend_on_threads_or_batches(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = [jpeg(image) for image in PICTURES]
    expected = [hash_bytes(one) for one in data]
    monkeypatch.setattr("augforge.algorithms.duplicates.hashes._BATCH", 7)
    assert hash_many(iter(data), threads).tolist() == expected


def test_files_are_read_where_they_are_hashed(tmp_path: Path) -> None:
    for number, image in enumerate(PICTURES[:3]):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(image))
    files = sorted(tmp_path.iterdir())
    assert hash_many([files[0], str(files[1]), files[2].read_bytes()]).tolist() == hash_many(files).tolist()
    assert hash_many(files).tolist() == [hash_bytes(file.read_bytes()) for file in files]
    with pytest.raises(FileNotFoundError):
        hash_many([tmp_path / "none.jpg"])


def flat(grey: int) -> Image.Image:
    return Image.new("RGB", (90, 70), (grey, grey, grey))


def test_pictures_without_structure_say_so() -> None:
    gradient = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (100, 1)))
    assert phash([flat(0), flat(128), flat(255), gradient]).tolist() == [NO_STRUCTURE] * 4
    assert hash_many([jpeg(flat(99), 30), png(flat(99))]).tolist() == [NO_STRUCTURE] * 2
    assert mirrored(phash([flat(0)])).tolist() == canonical(phash([flat(0)])).tolist() == [NO_STRUCTURE]
    grain = flat(128).point(lambda _: 128)
    noisy = np.asarray(grain).astype(int) + np.random.default_rng(0).integers(-1, 2, (70, 90, 3))
    assert phash([noisy.astype(np.uint8)]).tolist() == [NO_STRUCTURE]
    assert (phash(PICTURES) != NO_STRUCTURE).all()


def test_structure_is_in_grey_levels() -> None:
    small = np.stack([np.asarray(image.convert("L").resize((32, 32))) for image in PICTURES])
    halved = (small // 2).astype(np.uint8)
    np.testing.assert_allclose(structure(halved), structure(small) / 2, rtol=0.1)
    assert structure(np.full((1, 32, 32), 7, dtype=np.uint8)).tolist() == [0]


@pytest.mark.parametrize("data", [b"", b"not an image", jpeg(PICTURES[0])[:900], b"\xff\xd8\xff\xe0 nothing"])
def test_damaged_files_are_refused(data: bytes) -> None:
    with pytest.raises(BadImage):
        hash_bytes(data)
    with pytest.raises(BadImage):
        hash_many([jpeg(PICTURES[1]), data])


def test_many_are_shrunk_at_once_as_pillow_shrinks_each() -> None:
    shapes = [(64, 64), (90, 127), (64, 64), (500, 65), (32, 32), (7, 3), (90, 127), (64, 64)]
    draw = np.random.default_rng(0)
    greys = [draw.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    for grey, small in zip(greys, shrunk(greys), strict=True):
        narrow = Image.fromarray(grey).resize((32, len(grey)), Image.Resampling.BILINEAR)
        assert (small == np.asarray(narrow.resize((32, 32), Image.Resampling.BILINEAR))).all()
    assert shrunk([]).shape == (0, 32, 32)


@pytest.mark.parametrize("size", [(64, 64), (127, 90), (128, 128), (160, 213), (333, 500), (1025, 700)])
def test_the_faster_decoder_gives_the_same_hash(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("simplejpeg", reason="the optional decoder is not installed")
    pictures = [picture(seed).resize(size) for seed in range(4)]
    files = [jpeg(p, 80) for p in pictures] + [jpeg(pictures[0].convert("L"), 80)]
    assert all(hashes._fast(data, hashes.simplejpeg()) is not None for data in files)
    fast = shrunk([reduced(data) for data in files])
    monkeypatch.setattr(hashes, "simplejpeg", lambda: None)
    assert (fast == shrunk([reduced(data) for data in files])).all()


def test_a_turned_or_a_broken_jpeg_is_left_to_the_full_decoder() -> None:
    decoder = pytest.importorskip("simplejpeg", reason="the optional decoder is not installed")
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    PICTURES[0].save(out, "JPEG", exif=exif)
    assert hashes._fast(out.getvalue(), decoder) is None
    assert hashes._fast(jpeg(PICTURES[0], 80)[:-400], decoder) is None
    with pytest.raises(BadImage):
        reduced(jpeg(PICTURES[0], 80)[:-400])
