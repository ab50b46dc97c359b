"""Exports: the kept samples of a run in a format that others read, with provenance. `export` is the entry point."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augforge import __version__
from augforge.algorithms.selection.units import Run
from augforge.data.ids import key
from augforge.data.uniform import Uniform
from augforge.io import writer_of
from augforge.io.writing import About, Outlet, Row, Shard, Writer
from augforge.progress import Bar, Progress
from augforge.provenance.chain import refuse_overlap
from augforge.publish.about import RunFacts, facts_of
from augforge.publish.croissant import croissant
from augforge.publish.export_card import export_card
from augforge.publish.journal import Journal, claimed, refuse_other
from augforge.publish.marks import Marker
from augforge.publish.rows import Published

__all__ = ["Described", "Exported", "export", "uniform_of"]


@dataclass(frozen=True, slots=True)
class Described:
    """What only the publisher can know: the licence (an SPDX id or a URL), the address and the creator of the data."""

    licence: str = ""
    url: str = ""
    creator: str = ""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export did. `written` rows were written now, `reused` were there; `unmarked` images can carry no mark.

    `renamed` files are not called as in their source: another one was, or the name is not safe on every disk.
    """

    out: str
    format: str
    rows: int
    real: int
    synthetic: int
    marked: int
    unmarked: int
    signed: bool
    renamed: int
    files: int
    bytes: int
    written: int
    reused: int
    up_to_date: bool = False


def export(
    folder: Path,
    to: str,
    out: Path,
    *,
    marker: Marker | None = None,
    private: bool = False,
    uniform: Uniform | None = None,
    described: Described | None = None,
    replace: bool = True,
    dry_run: bool = False,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Exported:
    """Write the kept samples of the run in `folder` into the folder `out`, resuming from what is there.

    Args:
        folder: a run folder.
        to: folder, parquet, webdataset, coco, hf, fiftyone or label-studio.
        out: the folder to write; new, empty, or of an earlier export.
        marker: marks synthetic images; None leaves all bytes as they are. Bytes of real images are never touched.
        private: keep names of files and folders out of all that is written; digests stay.
        uniform: one mode and size for all images, decoded as the stages saw them; None leaves bytes as they are.
        described: what only the publisher knows.
        replace: write over an export of another run or in another format; what it wrote goes when this one is complete.
        dry_run: write nothing, and return what would be written.
        progress: told how far it is; silent by default.
        workers: threads that hash, decode and encode images; signatures are made one after the other.

    Raises:
        StoreError: `folder` is no finished run or is damaged, or `out` cannot be written or holds something else.
        SourceError: there is no such format.
        SignError: an image cannot be signed.
    """
    progress, described = progress or Progress(), described or Described()
    refuse_overlap(out, [folder])
    kind = writer_of(to)
    published = Published(folder, kind, marker, private, uniform)
    facts = facts_of(folder, published.ledger, private)
    about = published.about(facts.name)
    if not replace:
        refuse_other(out, to, facts.name)
    if dry_run:
        return _planned(out, to, about, facts)
    writer = kind(about)
    shards = published.shards(about, writer)
    keys = {shard.name: published.key_of(shard, about, to) for shard in shards}
    whole = key("export", to, __version__, keys, facts.plain(), [described.licence, described.url, described.creator])
    with claimed(out):
        journal = Journal(out, whole)
        if (manifest := journal.finished()) is not None:
            return _exported(out, manifest, 0, up_to_date=True)
        journal.begin(keys)
        with progress.bar("export", len(published.table)) as bar, _several(workers, marker) as run:
            exporter = _Exporter(published, writer, journal, Outlet(out), run)
            for shard in shards:
                exporter.write(shard, keys[shard.name], bar)
        writer.finish(shards, journal.lines, exporter.outlet)
        exporter.describe(to, facts, described)
        marks, signed = exporter.marks, bool(marker and marker.signer)
        manifest = _manifest(to, about, facts, marks, {"private-sources": private, "renamed": published.renamed})
        manifest |= {"signed": signed and marks["marked"] > 0}
        return _exported(out, journal.end(exporter.outlet, manifest), exporter.written)


def uniform_of(mode: str | None, size: int | None) -> Uniform | None:
    """One mode and size for all images; RGB if only a size is given, None if neither is. RecipeError as `Uniform`."""
    return None if mode is None and size is None else Uniform(mode or "RGB", size)


@contextmanager
def _several(workers: int | None, marker: Marker | None) -> Iterator[Run]:
    """What calls a function of several images, in their order: in threads, as libraries of images let others run."""
    if (workers or 1) < 2 or (marker is not None and marker.signer is not None):
        yield map
        return
    with ThreadPoolExecutor(workers) as pool:
        yield pool.map


class _Exporter:
    """Writes what is `published`, with the format's writer, into an outlet, and notes in the journal what is done."""

    def __init__(self, published: Published, writer: Writer, journal: Journal, outlet: Outlet, run: Run) -> None:
        self.published, self.writer, self.journal, self.outlet, self._run = published, writer, journal, outlet, run
        self.marks = {"marked": 0, "unmarked": 0}
        self.written = 0

    def write(self, shard: Shard, shard_key: str, bar: Bar) -> None:
        """Write a shard unless it is done."""
        record = self.journal.done(shard, shard_key)
        counts = {"marked": 0, "unmarked": 0}
        if record is None:
            before = set(self.outlet.files)
            lines = self.writer.write(shard, _counted(self.published.rows(shard, self._run), bar, counts), self.outlet)
            files = {name: facts for name, facts in self.outlet.files.items() if name not in before}
            self.journal.note(shard, shard_key, files, lines, counts)
            self.written += shard.rows
        else:
            counts = record["marks"]
            self.outlet.files |= {name: (facts[0], facts[1]) for name, facts in record["files"].items()}
            bar.advance(shard.rows)
        for name in self.marks:
            self.marks[name] += counts[name]

    def describe(self, to: str, facts: RunFacts, described: Described) -> None:
        """Write the card, the certificates that it speaks of, and the Croissant metadata beside the data."""
        about = self.writer.about
        if facts.card.certificates:
            self.outlet.put("certificates.json", json.dumps(facts.card.certificates, indent=1).encode())
        card = export_card(to, about, self.writer, facts, described, self.published.private)
        self.outlet.put("README.md", card.encode())
        metadata = croissant(to, about, self.writer, facts, described, dict(self.outlet.files))
        self.outlet.put("croissant.json", json.dumps(metadata, indent=2, ensure_ascii=False).encode())


def _counted(rows: Iterator[Row], bar: Bar, counts: dict[str, int]) -> Iterator[Row]:
    """The rows, each counted once it is written."""
    for row in rows:
        yield row
        bar.advance()
        if row.marked is not None:
            counts["marked" if row.marked else "unmarked"] += 1


def _manifest(
    to: str, about: About, facts: RunFacts, marks: Mapping[str, int], more: Mapping[str, Any]
) -> dict[str, Any]:
    """What the manifest says before it lists the files."""
    return {
        "augforge": __version__,
        "name": facts.name,
        "format": to,
        "classes": list(about.classes),
        "splits": dict(about.splits),
        "rows": sum(about.splits.values()),
        "real": facts.real,
        "synthetic": facts.synthetic,
        "images": about.shape or "as they were",
        **marks,
        **more,
    }


def _planned(out: Path, to: str, about: About, facts: RunFacts) -> Exported:
    """What an export would be; nothing is known of its files before they are written."""
    rows = sum(about.splits.values())
    return Exported(
        out=str(out),
        format=to,
        rows=rows,
        real=facts.real,
        synthetic=facts.synthetic,
        marked=0,
        unmarked=0,
        signed=False,
        files=0,
        bytes=0,
        written=0,
        reused=0,
        renamed=0,
    )


def _exported(out: Path, manifest: Mapping[str, Any], written: int, up_to_date: bool = False) -> Exported:
    files = manifest["files"].values()
    names = ("format", "rows", "real", "synthetic", "marked", "unmarked", "signed", "renamed")
    return Exported(
        out=str(out),
        **{name: manifest[name] for name in names},
        files=len(files),
        bytes=sum(facts["bytes"] for facts in files),
        written=written,
        reused=manifest["rows"] - written,
        up_to_date=up_to_date,
    )
