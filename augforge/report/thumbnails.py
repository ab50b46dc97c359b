"""Thumbnails: of which samples, how they are made, and how many fit."""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augforge.data import images
from augforge.data.ids import unit
from augforge.data.pictures import MASK, parse_pictures
from augforge.data.preprocessing import decode
from augforge.errors import BadImage
from augforge.progress import Progress
from augforge.report.collect import Findings
from augforge.report.columns import as_json
from augforge.report.pictures import Pictures
from augforge.report.shapes import shapes

MOST = 4_000
"""Thumbnails of one report; more would make it slow to write, and nobody looks at so many."""
SIDES = (256, 224, 192, 160, 128)
"""Sides of a thumbnail, in px. Of few images they are large; all of one report have the same."""
ALL_BYTES = 22_000_000
BYTES_A_PIXEL = 0.34
"""About what thumbnails of photographs take of a file, as text (measured at 96 to 160 px: 0.30 to 0.37)."""
CHUNK = 128
THREADS = 2
QUALITY = 76
SMALL = 48
"""An image of at most this many px a side is kept without loss: it takes no more room, and every pixel counts."""


@dataclass(slots=True)
class Thumbnails:
    """Base64 WebP by ledger row: `pictures`, `masks`, and why a row that was looked at has none.

    `shapes` has what is to be drawn over a picture, as JSON.
    """

    pictures: dict[int, str] = field(default_factory=dict)
    masks: dict[int, str] = field(default_factory=dict)
    shapes: dict[int, str] = field(default_factory=dict)
    missing: dict[int, str] = field(default_factory=dict)
    size: int = 0


def make_thumbnails(findings: Findings, budget: int, progress: Progress | None = None) -> Thumbnails:
    """Thumbnails of at most `budget` bytes in all, of the samples of `in_order`, as many as fit.

    An image that is withheld is never read.
    """
    made = Thumbnails()
    pictures = Pictures(findings.folder, findings.recipe)
    rows = findings.rows.select(["id", "kept", "ref", "digest", "pictures", "annotations", "width", "height"])
    order = list(islice(in_order(findings), MOST))
    side = side_for(len(order))
    with (progress or Progress()).bar("thumbnails", len(order)) as bar, ThreadPoolExecutor(THREADS) as threads:
        for start in range(0, len(order), CHUNK):
            part = order[start : start + CHUNK]
            asked = rows.take(part).to_pylist()
            for place, one in zip(part, threads.map(lambda row: _thumbnail(pictures, row, side), asked), strict=True):
                if not _add(made, place, one, budget):
                    return made
            bar.advance(len(part))
    return made


def side_for(count: int) -> int:
    """The side of each of `count` thumbnails in px: the largest with which all of them take about `ALL_BYTES`."""
    return next((side for side in SIDES if count * side * side * BYTES_A_PIXEL <= ALL_BYTES), SIDES[-1])


def _add(made: Thumbnails, place: int, one: tuple[str, str, str] | str, budget: int) -> bool:
    """Take one in; False if it does not fit any more."""
    if isinstance(one, str):
        made.missing[place] = one
        return True
    picture, mask, drawn = one
    size = len(picture) + len(mask) + len(as_json(drawn).encode()) + 9  # quotes and commas
    if made.size + size > budget:
        return False
    made.pictures[place] = picture
    if mask:
        made.masks[place] = mask
    if drawn:
        made.shapes[place] = drawn
    made.size += size
    return True


def in_order(findings: Findings) -> Iterator[int]:
    """The rows in the order in which they get a thumbnail; any beginning of it is a fair sample.

    The rows of each stratum (the stage that made them, the class, whether and by what they were dropped) are in the
    order of a hash of their ids, and the strata take turns; parents come just before the first of their children, and
    an image just before the first that went as its near-duplicate. Withheld rows are left out.
    """
    ids = findings.rows.column("id").to_pylist()
    parents, places = findings.rows.column("parents").to_pylist(), {identity: row for row, identity in enumerate(ids)}
    hidden, seen, twins = findings.hidden, set(), dict(findings.pairs)
    for row in _by_turns(findings, ids):
        before = [places[parent] for parent in parents[row] or () if parent in places]
        for one in (*before, *([twins[row]] if row in twins else []), row):
            if one not in seen and not hidden[one]:
                seen.add(one)
                yield one


def _by_turns(findings: Findings, ids: Sequence[str]) -> list[int]:
    columns = [findings.rows.column(name).to_pylist() for name in ("stage", "label", "dropped_by")]
    strata: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    hashes = [unit("thumbnail", identity) for identity in ids]
    for row in sorted(np.flatnonzero(~findings.hidden).tolist(), key=lambda row: (hashes[row], ids[row])):
        strata[tuple(column[row] for column in columns)].append(row)
    turns = [(turn, hashes[row], ids[row], row) for rows in strata.values() for turn, row in enumerate(rows)]
    return [row for *_, row in sorted(turns)]


def _thumbnail(pictures: Pictures, row: dict[str, Any], side: int) -> tuple[str, str, str] | str:
    """Picture, mask and what is drawn over them ("" if it has none), or why there is no picture."""
    try:
        picture = _small(decode(pictures.image(row), side), side)
        mask = _mask(images.decode_condition(pictures.beside(row, MASK)), picture.size) if _has_mask(row) else ""
    except BadImage as error:
        return error.message
    drawn = shapes(row["annotations"], (row["height"], row["width"]))
    return _webp(picture, lossless=max(picture.size) <= SMALL), mask, drawn


def _small(image: Image.Image, side: int) -> Image.Image:
    image = image.copy()
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image


def _has_mask(row: Mapping[str, Any]) -> bool:
    return MASK in parse_pictures(row["pictures"])


def _mask(mask: NDArray[np.uint8], size: tuple[int, int]) -> str:
    """A label map in colours, label 0 transparent; a picture as it is."""
    if mask.ndim == 3:
        return _webp(Image.fromarray(mask).resize(size, Image.Resampling.LANCZOS), lossless=False)
    labels = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    return _webp(Image.fromarray(palette()[labels]), lossless=True)


def palette() -> NDArray[np.uint8]:
    """(256, 4) a colour for each label, far from those of its neighbours; label 0 is transparent."""
    hues = (np.arange(256) * 137.508 % 360 / 360 * 255).astype(np.uint8)  # the golden angle
    bright = np.where(np.arange(256) % 2, 255, 190).astype(np.uint8)
    hsv = np.stack([hues, np.full(256, 210, np.uint8), bright], axis=-1)[None]
    rgb = np.asarray(Image.fromarray(hsv, mode="HSV").convert("RGB"))[0]
    colours = np.concatenate([rgb, np.full((256, 1), 255, np.uint8)], axis=1)
    colours[0] = 0
    return colours


def _webp(image: Image.Image, lossless: bool) -> str:
    out = io.BytesIO()
    image.save(out, "WEBP", quality=QUALITY, lossless=lossless, method=4)
    return base64.b64encode(out.getvalue()).decode("ascii")
