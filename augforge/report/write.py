"""Write a report: gather, fit it into its size, render, and say what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augforge.data.files import check_target, write_atomically
from augforge.errors import StoreError
from augforge.optional import require
from augforge.progress import Progress
from augforge.report.collect import Findings, collect
from augforge.report.columns import as_json, details, overview, samples
from augforge.report.page import picture_blocks, render
from augforge.report.thumbnails import Thumbnails, make_thumbnails

MEGABYTES = 40.0
MEGABYTE = 1_000_000
TITLE = "augforge report"
HEAD = 4096
"""In so many bytes at the start of a report its title stands."""
PER_ROW = 16
"""Bytes that the places of a picture and of its mask may take in the data of a row."""
LEAST_PICTURES = 0.25
"""The share of the room that pictures have at least; else the provenance of the samples without one is left out."""
FOR_PROVENANCE = 0.1
"""The share of what is free that provenance has then."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the file and its size in bytes, the figures; of `samples` how many have a picture in the file,
    are withheld, and have their provenance in it."""

    path: str
    size: int
    samples: int
    pictures: int
    flagged: int
    unjudged: int
    traced: int
    figures: tuple[str, ...] = ()


def write_report(
    folder: Path,
    out: Path | None = None,
    *,
    png: Path | None = None,
    megabytes: float = MEGABYTES,
    umap: bool = False,
    progress: Progress | None = None,
) -> Written:
    """Write the report of the run in `folder` as one HTML file.

    Args:
        folder: a run folder; nothing in it is changed but for the report itself.
        out: the file; DIR/report.html if None.
        png: a folder for the figures as PNG, if they are wanted.
        megabytes: how large the file may be, in millions of bytes.
        umap: show the embeddings by UMAP, too, beside their principal components; it needs umap-learn.
        progress: told how far it is.

    Raises:
        StoreError: no run folder, a damaged file in it, `megabytes` is less than the data alone need, or the file
            cannot be written.
        AugforgeError: a package is not installed.
    """
    require("jinja2", "matplotlib", who="the report")
    for target, is_folder in ((out, False), (png, True)):
        if target is not None:
            check_target(target, is_folder)
    progress = progress or Progress()
    if umap:
        require("umap", who="a map by UMAP")
        progress.say("placing the images by UMAP, which takes from half a minute to a few")
    findings = collect(folder, umap)
    path = place_of(folder, out)
    room = int(megabytes * MEGABYTE)
    blocks, thumbnails, traced = _fitted(findings, room, progress)
    content = render(f"{findings.name}: {TITLE}", blocks).encode()
    _save(path, content)
    figures = _figures(findings, png) if png else ()
    return Written(
        path=str(path),
        size=len(content),
        samples=len(findings.rows),
        pictures=len(thumbnails.pictures),
        flagged=int(findings.flagged.sum()),
        unjudged=int(findings.unjudged.sum()),
        traced=traced,
        figures=figures,
    )


def place_of(folder: Path, out: Path | None) -> Path:
    """The file that the report of the run in `folder` is written to."""
    return out or folder / "report.html"


def check_free(path: Path, replace: bool) -> None:
    """StoreError where `path` is a file that is no report of ours, unless it may be replaced."""
    if replace or not path.is_file():
        return
    with path.open("rb") as file:
        if TITLE.encode() not in file.read(HEAD):
            raise StoreError(f"{path} is there, and is no report", "give another --out, or --replace to write over it")


def _fitted(findings: Findings, room: int, progress: Progress) -> tuple[dict[str, Any], Thumbnails, int]:
    """The data of the page, within `room` bytes; the thumbnails in it; of how many samples it has the provenance."""
    told, columns, traces = overview(findings), samples(findings), details(findings)
    empty = {"overview": told, "samples": columns, "details": {"groups": []}}
    least = len(render("", empty).encode()) + PER_ROW * len(findings.rows) + 2048
    free = room - least - len(as_json(traces).encode())
    whole = free >= LEAST_PICTURES * room
    if not whole:
        free = int((room - least) * (1 - FOR_PROVENANCE))
    if free < 0:
        raise StoreError(
            f"the data of {len(findings.rows):,} samples take {least / MEGABYTE:.1f} MB without any picture",
            f"give --megabytes {least / MEGABYTE / 0.7:.0f} or more",
        )
    thumbnails = make_thumbnails(findings, free, progress)
    traced = len(findings.rows)
    if not whole:
        shown = _affordable(findings, sorted(thumbnails.pictures), room - least - thumbnails.size)
        traces, traced = details(findings, shown), len(shown)
    return {**_with_pictures(told, columns, thumbnails), "details": traces}, thumbnails, traced


def _affordable(findings: Findings, rows: list[int], room: int) -> list[int]:
    """As many of `rows` as have a provenance that fits into `room` bytes."""
    while rows and len(as_json(details(findings, rows)).encode()) > room:
        rows = rows[: len(rows) * 3 // 4]
    return rows


def _with_pictures(told: dict[str, Any], columns: dict[str, Any], thumbnails: Thumbnails) -> dict[str, Any]:
    pictured, pictures = picture_blocks(thumbnails.pictures, "picture")
    masked, masks = picture_blocks(thumbnails.masks, "mask")
    drawn, shapes = picture_blocks(thumbnails.shapes, "shape")
    beside, strips = picture_blocks(thumbnails.strips, "strip")
    reasons = {str(row): reason for row, reason in thumbnails.missing.items()}
    shown = {"pictured": pictured, "masked": masked, "drawn": drawn, "beside": beside, "missing": reasons}
    return {"overview": told, "samples": {**columns, **shown}, **pictures, **masks, **shapes, **strips}


def _save(path: Path, content: bytes) -> None:
    try:
        write_atomically(path, content)
    except OSError as error:  # its folder cannot be made
        raise StoreError(f"{path} cannot be written: {error.strerror}", "choose another place for it") from error


def _figures(findings: Findings, folder: Path) -> tuple[str, ...]:
    from augforge.report.figures import figures

    written = []
    for name, content in figures(findings).items():
        _save(folder / f"{name}.png", content)
        written.append(str(folder / f"{name}.png"))
    return tuple(written)
