"""Duplicates among plain pictures: false pairs and recall by hash alone and with the closer look; photographs beside.

    python benchmarks/plain_pictures.py --photos FOLDER --cifar FOLDER --slices FILE.nii.gz

shapes    240 drawings of a circle, square or triangle at other places, sizes and colours, 96 px
coloured  180 dark shapes on lighter grounds, both of any hue, 64 px; dots: with 60 dots of noise
icons     300 symbols of the font DejaVu Sans that matplotlib brings, 64 px
digits    400 of scikit-learn's handwritten digits, 8 px, enlarged to 32
slices    every third slice of a volume in three directions; such as the T1 template that nilearn brings
screens   90 windows of three layouts with other text, 480 px by 320
photos    300 photographs of FOLDER; cifar: 400 of its test images, 32 px

Each picture has eight copies. A false pair is of two different originals, taken for near; recall is of the pairs of an
original and its copy. What has no file is not measured.
"""

from __future__ import annotations

import argparse
import gzip
import io
import random
import struct
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from augforge.algorithms.duplicates.closer import DIFFERENT, differences, plain, views
from augforge.algorithms.duplicates.crops import SLIGHTLY, overlap
from augforge.algorithms.duplicates.hashes import Small, hashes_of, reduced, shrunk
from augforge.algorithms.duplicates.pairs import near_pairs

DOCS = Path(__file__).parents[1] / "docs"
Pictures = list[Image.Image]


def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def shapes(count: int = 240, side: int = 96) -> Pictures:
    """One simple shape each."""
    draw, found = random.Random(0), []
    for number in range(count):
        image = Image.new("RGB", (side, side), "white")
        pen, radius = ImageDraw.Draw(image), draw.uniform(0.12, 0.35) * side
        x, y = draw.uniform(radius, side - radius), draw.uniform(radius, side - radius)
        outline(pen, number, (x, y, radius), tuple(draw.randrange(20, 230) for _ in range(3)))
        found.append(image)
    return found


def coloured(count: int = 180, side: int = 64, dots: int = 0) -> Pictures:
    """One simple shape each near the middle of a coloured ground, with dots of 1 px."""
    draw, found = random.Random(1), []
    for number in range(count):
        ground, colour = (tuple(draw.randrange(*span) for _ in range(3)) for span in ((90, 256), (0, 110)))
        image, radius = Image.new("RGB", (side, side), ground), draw.uniform(0.2, 0.3) * side
        x, y = (side * draw.uniform(0.3, 0.7) for _ in range(2))
        outline(ImageDraw.Draw(image), number, (x, y, radius), colour)
        for _ in range(dots):
            place, dot = (draw.randrange(side), draw.randrange(side)), tuple(draw.randrange(256) for _ in range(3))
            image.putpixel(place, dot)
        found.append(image)
    return found


def outline(pen: ImageDraw.ImageDraw, number: int, place: tuple[float, float, float], colour: tuple[int, ...]) -> None:
    """A circle, square or triangle, by turns, at a place (x, y, radius)."""
    x, y, radius = place
    box = (x - radius, y - radius, x + radius, y + radius)
    if number % 3 == 0:
        pen.ellipse(box, fill=colour)
    elif number % 3 == 1:
        pen.rectangle(box, fill=colour)
    else:
        pen.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], fill=colour)


def icons(count: int = 300, side: int = 64) -> Pictures:
    """Arrows, geometric shapes and symbols, black on white; each once."""
    found: dict[bytes, Image.Image] = {}
    for code in (*range(0x2600, 0x2700), *range(0x2190, 0x2300), *range(0x25A0, 0x2600)):
        image = Image.new("RGB", (side, side), "white")
        ImageDraw.Draw(image).text((side / 2, side / 2), chr(code), font=font(44), fill="black", anchor="mm")
        found.setdefault(image.tobytes(), image)
    pictures = list(found.values())
    random.Random(0).shuffle(pictures)
    return pictures[:count]


def digits(count: int = 400) -> Pictures:
    """Handwritten digits."""
    from sklearn.datasets import load_digits

    levels = (load_digits().images[:count] * 255 / 16).astype(np.uint8)
    return [Image.fromarray(one).resize((32, 32), Image.Resampling.BICUBIC).convert("RGB") for one in levels]


def slices(file: Path, step: int = 3) -> Pictures:
    """Slices of a NIfTI volume that show something, 0 to 255."""
    raw = gzip.decompress(file.read_bytes())
    shape, kind = struct.unpack("<8h", raw[40:56])[1:4], struct.unpack("<h", raw[70:72])[0]
    start = int(struct.unpack("<f", raw[108:112])[0])
    dtype = {2: np.uint8, 4: np.int16, 16: np.float32, 512: np.uint16}
    volume = np.frombuffer(raw[start:], dtype[kind], count=int(np.prod(shape))).reshape(shape, order="F")
    levels = (255 * volume.astype(float) / volume.max()).clip(0, 255).astype(np.uint8)
    cuts = [levels.take(k, axis=axis).T[::-1] for axis in range(3) for k in range(0, shape[axis], step)]
    return [Image.fromarray(np.ascontiguousarray(cut)).convert("RGB") for cut in cuts if (cut > 20).mean() > 0.15]


def screens(count: int = 90) -> Pictures:
    """Windows with a bar, two kinds of them with a list at the side; the text is of this repository's pages."""
    words = " ".join(page.read_text() for page in sorted(DOCS.glob("*.md"))).split()
    return [screen(number, words) for number in range(count)]


def screen(number: int, words: list[str]) -> Image.Image:
    """One of them."""
    draw, dark, small = random.Random(number), number % 3 == 1, font(11)
    paper, ink, bar = ((30, 30, 34), (220, 220, 220), (50, 50, 60)) if dark else ((255,) * 3, (20,) * 3, (60, 90, 160))
    image = Image.new("RGB", (480, 320), paper)
    pen, left, y = ImageDraw.Draw(image), 8 if number % 3 == 2 else 120, 34
    pen.rectangle((0, 0, 480, 24), fill=bar)
    pen.text((8, 6), f"Window {number}", font=small, fill="white")
    for row in range(10) if left == 120 else ():
        pen.text((8, 34 + 20 * row), f"item {row}", font=small, fill=ink)
    place = draw.randrange(len(words) - 400)
    while y < 306:
        line = " ".join(words[place : place + draw.randint(3, 9)])
        place += 9
        while small.getlength(line) > 470 - left:
            line = line[:-4]
        pen.text((left, y), line, font=small, fill=ink)
        y += 16 if draw.random() < 0.85 else 32
    return image


def photos(folder: Path, count: int = 300) -> Pictures:
    """Photographs, by a fixed draw."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    return [Image.open(path).convert("RGB") for path in random.Random(0).sample(paths, count)]


def cifar(folder: Path, count: int = 400) -> Pictures:
    """The first test images."""
    table = pq.read_table(folder / "cifar10_test.parquet").slice(0, count).to_pylist()
    return [Image.open(io.BytesIO((row.get("image") or row["img"])["bytes"])).convert("RGB") for row in table]


def png(image: Image.Image) -> bytes:
    """PNG bytes."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """JPEG bytes."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def cropped(image: Image.Image, draw: random.Random) -> Image.Image:
    """95 % of each side, anywhere."""
    width, height = round(image.width * 0.95), round(image.height * 0.95)
    x, y = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
    return image.crop((x, y, x + width, y + height))


EDITS: dict[str, Callable[[Image.Image, random.Random], bytes]] = {
    "re-encoded": lambda image, _: jpeg(image, 60),
    "smaller": lambda image, _: jpeg(image.resize((image.width * 2 // 3, image.height * 2 // 3))),
    "larger": lambda image, _: png(image.resize((image.width * 2, image.height * 2))),
    "crop 5 %": lambda image, draw: jpeg(cropped(image, draw)),
    "brighter": lambda image, _: jpeg(image.point(lambda level: min(255, int(level * 1.2)))),
    "darker": lambda image, _: jpeg(image.point(lambda level: int(level * 0.85))),
    "blur": lambda image, _: jpeg(image.filter(ImageFilter.GaussianBlur(1))),
    "flip": lambda image, _: jpeg(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
}


def measured(name: str, pictures: Pictures) -> Iterator[str]:
    """Two rows of the table, without and with the closer look."""
    files = [png(picture) for picture in pictures]
    for edit in EDITS.values():
        files += [edit(picture, random.Random(number)) for number, picture in enumerate(pictures)]
    n, smalls = len(pictures), shrunk([reduced(data) for data in files])
    pairs = candidates(smalls, n)
    who = pairs % n
    false, kind = who[:, 0] != who[:, 1], pairs[:, 1] // n
    began = time.perf_counter()
    alike, looked = closer(files, smalls, pairs)
    cost = f"{1000 * (time.perf_counter() - began) / looked:.0f}" if looked else "-"
    share = plain(smalls[:n]).mean()
    for rule, near in (("hash", np.ones(len(pairs), dtype=bool)), ("closer", alike)):
        wrong = pairs[near & false]
        recalls = [f"{(near & ~false & (kind == number)).sum() / n:.3f}" for number in range(1, len(EDITS) + 1)]
        counts = f"{len(wrong)} | {len(np.unique(wrong))} of {n}"
        last = cost if rule == "closer" else ""
        yield f"| {name} | {rule} | {counts} | {' | '.join(recalls)} | {share:.2f} | {last} |"


def candidates(smalls: Small, n: int) -> np.ndarray:
    """(p, 2) what is near by hash, of two originals or of an original and its own copy."""
    pairs, bits = near_pairs(hashes_of(smalls), 16, flips=True)
    mine = (pairs[:, 0] < n) & ((pairs[:, 1] < n) | (pairs[:, 0] == pairs[:, 1] % n))
    pairs, bits = pairs[mine], bits[mine]
    near = bits <= 7
    near[~near] = overlap(smalls[pairs[~near, 0]], smalls[pairs[~near, 1]], smallest=SLIGHTLY) >= 0.82
    found: np.ndarray = pairs[near]
    return found


def closer(files: list[bytes], smalls: Small, pairs: np.ndarray) -> tuple[np.ndarray, int]:
    """(p,) which pairs stay after the closer look, and how many had to be looked at."""
    doubtful = np.flatnonzero(plain(smalls)[pairs].any(axis=1))
    seen = {
        row: views(Image.open(io.BytesIO(files[row])).convert("RGB")) for row in np.unique(pairs[doubtful]).tolist()
    }
    left, right = pairs[doubtful].T
    sides = [[seen[row] for row in side.tolist()] for side in (left, right)]
    alike = np.ones(len(pairs), dtype=bool)
    found = differences(*sides, (smalls[left], smalls[right]), flips=True, smallest=SLIGHTLY)
    alike[doubtful] = found <= DIFFERENT
    return alike, len(doubtful)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("photos", "cifar", "slices"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--quick", action="store_true", help="a few of each")
    given = parser.parse_args()
    some = {"count": 20} if given.quick else {}
    sets: dict[str, Callable[[], Pictures] | None] = {
        name: partial(make, **some)
        for name, make in {
            "shapes": shapes,
            "coloured": coloured,
            "dots": partial(coloured, dots=60),
            "icons": icons,
            "digits": digits,
            "screens": screens,
        }.items()
    }
    sets["slices"] = partial(slices, given.slices) if given.slices else None
    sets["photos"] = partial(photos, given.photos, **some) if given.photos else None
    sets["cifar"] = partial(cifar, given.cifar, **some) if given.cifar else None
    head = ["", "rule", "false pairs", "pictures in them", *EDITS, "plain", "ms a pair"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for name, make in sets.items():
        if make is None:
            print(f"| {name} | not measured |")
            continue
        for row in measured(name, make()):
            print(row, flush=True)


if __name__ == "__main__":
    main()
