"""Thumbnails: of which samples, how they are made, and how many fit."""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

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
from augforge.report.colours import palette
from augforge.report.columns import as_json
from augforge.report.pictures import Pictures
from augforge.report.shapes import shapes
from augforge.report.strips import strip

COPIES = 400
"""Of the nearest pairs so many have a thumbnail before all others."""
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

    `shapes` has what is to be drawn over a picture, as JSON, and `strips` the other pictures that go with it: their
    `names`, and base64 WebP of them beside each other.
    """

    pictures: dict[int, str] = field(default_factory=dict)
    masks: dict[int, str] = field(default_factory=dict)
    shapes: dict[int, str] = field(default_factory=dict)
    strips: dict[int, str] = field(default_factory=dict)
    missing: dict[int, str] = field(default_factory=dict)
    size: int = 0


class Shown(NamedTuple):
    """What is shown of an image: base64 WebP of it and its mask, and JSON; "" for what it has not."""

    picture: str
    mask: str
    shapes: str
    strip: str


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


def _add(made: Thumbnails, place: int, one: Shown | str, budget: int) -> bool:
    """Take one in; False if it does not fit any more."""
    if isinstance(one, str):
        made.missing[place] = one
        return True
    size = sum(len(as_json(text).encode()) + 3 for text in one)  # quotes and commas
    if made.size + size > budget:
        return False
    for kept, text in zip((made.pictures, made.masks, made.shapes, made.strips), one, strict=True):
        if text:
            kept[place] = text
    made.size += size
    return True


def in_order(findings: Findings) -> Iterator[int]:
    """The rows in the order in which they get a thumbnail; any beginning of it is a fair sample.

    The rows of each stratum (the stage that made them, the class, whether and by what they were dropped) are in the
    order of a hash of their ids, and the strata take turns; parents come just before the first of their children, and
    an image just before the first that went as its near-duplicate, or is nearest to it. First of all come those whose
    label is likely wrong, those with a heat map, and the most similar of the nearest pairs, which somebody has to look
    at. Withheld rows are left out.
    """
    ids = findings.rows.column("id").to_pylist()
    parents, places = findings.rows.column("parents").to_pylist(), {identity: row for row, identity in enumerate(ids)}
    hidden, seen, twins = findings.hidden, set(), _twins(findings)
    for row in (*_doubtful(findings), *_by_turns(findings, ids)):
        before = [places[parent] for parent in parents[row] or () if parent in places]
        for one in (*before, *([twins[row]] if row in twins else []), row):
            if one not in seen and not hidden[one]:
                seen.add(one)
                yield one


def _twins(findings: Findings) -> dict[int, int]:
    """The row that each near-duplicate nearly is, and that each generated image is nearest to."""
    return {**dict(findings.pairs), **{copy.row: copy.other for copy in findings.copies}}


def _doubtful(findings: Findings) -> list[int]:
    """The rows that somebody has to look at."""
    likely = [copy.row for copy in findings.copies[:COPIES]]
    return [*(row for row, _ in findings.mislabelled), *(heat.row for heat in findings.heat), *likely]


def _by_turns(findings: Findings, ids: Sequence[str]) -> list[int]:
    columns = [findings.rows.column(name).to_pylist() for name in ("stage", "label", "dropped_by")]
    strata: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    hashes = [unit("thumbnail", identity) for identity in ids]
    for row in sorted(np.flatnonzero(~findings.hidden).tolist(), key=lambda row: (hashes[row], ids[row])):
        strata[tuple(column[row] for column in columns)].append(row)
    turns = [(turn, hashes[row], ids[row], row) for rows in strata.values() for turn, row in enumerate(rows)]
    return [row for *_, row in sorted(turns)]


def _thumbnail(pictures: Pictures, row: dict[str, Any], side: int) -> Shown | str:
    """What is shown of an image, or why there is no picture."""
    try:
        picture = _small(decode(pictures.image(row), side), side)
        names = list(parse_pictures(row["pictures"]))
        mask = _mask(images.decode_condition(pictures.beside(row, MASK)), picture.size) if MASK in names else ""
        others = {name: pictures.beside(row, name) for name in names if name != MASK}
        strip_of = _strip(others, min(picture.height, side)) if others else ""
    except BadImage as error:
        return error.message
    drawn = shapes(row["annotations"], (row["height"], row["width"]))
    return Shown(_webp(picture, lossless=max(picture.size) <= SMALL), mask, drawn, strip_of)


def _small(image: Image.Image, side: int) -> Image.Image:
    image = image.copy()
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image


def _strip(others: Mapping[str, bytes], side: int) -> str:
    picture = strip(others, side)
    return as_json({"names": ", ".join(others), "picture": _webp(picture, lossless=side <= SMALL)})


def _mask(mask: NDArray[np.uint8], size: tuple[int, int]) -> str:
    """A label map in colours, label 0 transparent; a picture as it is."""
    if mask.ndim == 3:
        return _webp(Image.fromarray(mask).resize(size, Image.Resampling.LANCZOS), lossless=False)
    labels = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    return _webp(Image.fromarray(palette()[labels]), lossless=True)


def _webp(image: Image.Image, lossless: bool) -> str:
    out = io.BytesIO()
    image.save(out, "WEBP", quality=QUALITY, lossless=lossless, method=4)
    return base64.b64encode(out.getvalue()).decode("ascii")
