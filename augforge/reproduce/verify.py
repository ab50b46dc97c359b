"""Check a run folder: every digest, every invariant, and some synthetic rows made again from provenance alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from augforge.data import images
from augforge.data.mirror import RECORD
from augforge.data.record import LEDGER, no_run
from augforge.data.sample import Sample, is_evaluation
from augforge.data.store import Store
from augforge.engine.calls import Caller
from augforge.engine.engines.local import Local
from augforge.engine.pixels import Pixels
from augforge.engine.work import Engine, Place
from augforge.errors import AugforgeError, BadImage, SourceError
from augforge.io.dataset import Dataset
from augforge.models.devices import check_device
from augforge.progress import Progress
from augforge.provenance.chain import circle, said
from augforge.provenance.lock import NAME, chosen, read_lock, result_of
from augforge.reproduce.integrity import check_files, checked_files
from augforge.reproduce.remake import Archive, Remade, remake, why_not_reproducible

MOST = 20
"""Findings of one kind that are named one by one."""
_TOGETHER = 256
"""Rows whose images are read together."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong: where, and what."""

    where: str
    what: str


@dataclass
class Verdict:
    """What a check found: `findings`, and how many files, rows and remade images were looked at."""

    folder: str
    findings: list[Finding] = field(default_factory=list)
    files: int = 0
    rows: int = 0
    remade: int = 0
    equal: int = 0
    farthest: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(
    folder: Path,
    sample: int = 0,
    *,
    device: str = "auto",
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> Verdict:
    """Check the run folder `folder`, and remake `sample` of its synthetic images, chosen by a hash of their ids.

    Files and images are read and hashed by `engine`, by default in this process; it is closed at the end.

    Raises:
        StoreError, SourceError: it is no finished run folder, or too damaged to be opened.
    """
    check_device(device)
    if not any((folder / name).exists() for name in (LEDGER, RECORD)):
        raise no_run(folder)
    progress, verdict = progress or Progress(), Verdict(str(folder))
    with closing(engine or Local()) as engine, TemporaryDirectory() as answers:
        run = Caller(Store(Path(answers)), engine, Place(Pixels([]), "cpu", progress), "verify")
        _check(folder, sample, verdict, Checking(device, progress, run))
    return verdict


@dataclass(frozen=True, slots=True)
class Checking:
    """How it is checked: where images are made again, who is told, and what reads files and images."""

    device: str
    progress: Progress
    run: Caller

    @property
    def shown(self) -> Progress:
        """Who shows how far it is, unless an engine does."""
        return Progress() if self.run.elsewhere else self.progress


def _check(folder: Path, sample: int, verdict: Verdict, how: Checking) -> None:
    verdict.findings += [*_files(folder, verdict, how), *_circle(folder)]
    try:
        archive = Archive(folder)
    except SourceError:
        if (folder / "samples.parquet").is_file() and verdict.findings:
            return  # what is wrong is said already
        raise
    verdict.findings += _ledger(archive)
    verdict.findings += _counts(archive, folder)
    verdict.findings += _dataset(archive, folder, verdict, how)
    verdict.findings += _remakes(archive, sample, verdict, how)


def _files(folder: Path, verdict: Verdict, how: Checking) -> Iterator[Finding]:
    """Files that are missing or not those that were written, and files that were set aside."""
    yield from (Finding(problem.path, problem.what) for problem in check_files(folder, how.shown, how.run))
    verdict.files = len(checked_files(folder))
    for path in sorted(folder.rglob("*.damaged")):
        yield Finding(str(path.relative_to(folder)), "was found damaged and set aside")


def _circle(folder: Path) -> Iterator[Finding]:
    """Whether the runs that this one was made from go in a circle."""
    if found := circle(folder):
        yield Finding("recipe.yaml", f"its sources go in a circle: {said(found)}")


def _ledger(archive: Archive) -> Iterator[Finding]:
    """What must hold of the ledger by itself."""
    ledger = archive.ledger
    ids = ledger.column("id")
    if len(set(ids)) != len(ids):
        yield Finding("samples.parquet", f"{len(ids) - len(set(ids))} ids come twice")
    without = int((~ledger.kept & np.array([not reason for reason in ledger.dropped], dtype=bool)).sum())
    if without:
        yield Finding("samples.parquet", f"{without} dropped samples have no reason")
    with_one = int((ledger.kept & np.array([bool(reason) for reason in ledger.dropped], dtype=bool)).sum())
    if with_one:
        yield Finding("samples.parquet", f"{with_one} kept samples have a reason to be dropped")
    known, orphans = set(ids), 0
    for parents in ledger.column("parents"):
        orphans += any(parent not in known for parent in parents)
    if orphans:
        yield Finding("samples.parquet", f"{orphans} samples have parents that are not in the ledger")
    if leaked := _leaked(archive):
        yield Finding("samples.parquet", f"{leaked} kept samples were made of images of an evaluation split")


def _leaked(archive: Archive) -> int:
    """How many kept samples outside evaluation splits have a parent in one."""
    ledger = archive.ledger
    splits = dict(zip(ledger.column("id"), map(is_evaluation, ledger.column("split")), strict=True))
    kept = ledger.visible("synthetic")
    rows = zip(ledger.column("split", kept), ledger.column("parents", kept), strict=True)
    return sum(not is_evaluation(split) and any(splits.get(parent) for parent in parents) for split, parents in rows)


def _counts(archive: Archive, folder: Path) -> Iterator[Finding]:
    """Whether the ledger is the one that run.json and recipe.lock tell of."""
    ledger, summary = archive.ledger, Store(folder).state().get("summary")
    if summary is not None:
        counts = {
            "kept": int(ledger.kept.sum()),
            "dropped": int((~ledger.kept).sum()),
            "classes": ledger.class_counts(),
        }
        for name, value in counts.items():
            if summary.get(name) != value:
                yield Finding("run.json", f"{name}: it says {summary.get(name)}, the ledger {value}")
    try:
        locked = read_lock(folder / NAME)["result"]
    except AugforgeError as error:
        yield Finding(NAME, error.message)
        return
    for name, now in result_of(ledger).items():
        if locked.get(name) != now:
            yield Finding(NAME, f"{name}: the ledger says otherwise")


def _dataset(archive: Archive, folder: Path, verdict: Verdict, how: Checking) -> Iterator[Finding]:
    """Whether the dataset holds exactly the kept samples, each with the bytes, label and split of the ledger."""
    where, ledger = str(folder / "dataset"), archive.ledger
    kept = {sample.id: sample for sample in ledger.samples(ledger.visible())}
    rows, found = _rows(where, kept, verdict)
    there = {row.id for row in rows}
    found += [*_wrong_images(where, rows, how)]
    found += [Finding(f"dataset, row {identity}", "is missing") for identity in kept if identity not in there]
    yield from found[:MOST]
    if len(found) > MOST:
        yield Finding("dataset", f"… {len(found) - MOST:,} more")


def _rows(where: str, kept: Mapping[str, Sample], verdict: Verdict) -> tuple[list[_Row], list[Finding]]:
    """The rows of the dataset that stand for kept samples, each once; and what is wrong beside their images."""
    rows: dict[str, _Row] = {}
    found: list[Finding] = []
    for entry in Dataset(where).entries():
        identity = str((entry.carried or {}).get("id"))
        verdict.rows += 1
        sample = kept.get(identity)
        if sample is None or identity in rows:
            what = "the ledger does not keep it" if sample is None else "it comes twice"
            found.append(Finding(f"dataset, row {identity}", what))
            continue
        rows[identity] = _Row(entry.locator, identity, sample.digest, dict(sample.pictures))
        if entry.label != sample.label:
            what = f"its label is {entry.label!r}, the ledger says {sample.label!r}"
            found.append(Finding(f"dataset, row {identity}", what))
    return list(rows.values()), found


def _wrong_images(where: str, rows: Sequence[_Row], how: Checking) -> Iterator[Finding]:
    """Images of rows that are not those of the ledger."""
    some = [rows[start : start + _TOGETHER] for start in range(0, len(rows), _TOGETHER)]
    with how.shown.bar("rows", len(rows)) as bar:
        for asked, problems in zip(some, how.run(partial(problems_of_rows, _Images(where)), some), strict=True):
            named = zip(asked, problems.tolist(), strict=True)
            yield from (Finding(f"dataset, row {row.id}", what) for row, what in named if what)
            bar.advance(len(asked))


class _Row(NamedTuple):
    """A row of the dataset, and the digests that its image and pictures have in the ledger."""

    locator: str
    id: str
    digest: str
    pictures: dict[str, str]


def problems_of_rows(images: _Images, rows: Sequence[_Row]) -> NDArray[np.str_]:
    """(n,) what is wrong with the images of rows of a dataset; "" where nothing is."""
    return np.array([_problem_of_row(images.dataset, row) for row in rows], dtype=np.str_)


class _Images:
    """The dataset of a run folder, opened when it is read, in each process once."""

    def __init__(self, where: str) -> None:
        self.where = where

    @cached_property
    def dataset(self) -> Dataset:
        return Dataset(self.where)

    def __reduce__(self) -> tuple[type[_Images], tuple[str]]:
        return _Images, (self.where,)


def _problem_of_row(dataset: Dataset, row: _Row) -> str:
    try:
        if images.digest(dataset.read(row.locator)) != row.digest:
            return "its image has another digest than the ledger says"
        for name, digest in row.pictures.items():
            if images.digest(dataset.read_picture(row.locator, name)) != digest:
                return f"its {name} has another digest than the ledger says"
    except BadImage as error:
        return error.message
    return ""


def _remakes(archive: Archive, count: int, verdict: Verdict, how: Checking) -> Iterator[Finding]:
    """Whether some synthetic images come out again as they are."""
    candidates = chosen(archive.ledger, archive.ledger.visible("synthetic"), count)
    samples = [sample for sample in candidates if sample.generation_config is not None]
    hindered = {sample.id: reason for sample in samples if (reason := why_not_reproducible(archive, sample))}
    for identity, reason in hindered.items():
        yield Finding(f"image {identity}", f"cannot be made again: {reason}")
    samples = [sample for sample in samples if sample.id not in hindered]
    if not samples:
        return
    with how.progress.bar("remake", len(samples)) as bar:
        for made in remake(archive, samples, how.device):
            yield from _compared(made, verdict)
            bar.advance()


def _compared(made: Remade, verdict: Verdict) -> Iterator[Finding]:
    """Count an image that was made again, and say what is wrong with it."""
    verdict.remade += 1
    verdict.equal += made.equal
    verdict.farthest = max(verdict.farthest, made.apart)
    if problem := _problem(made):
        yield Finding(f"image {made.sample.id}", problem)


def _problem(made: Remade) -> str:
    """What is wrong with an image that was made again; "" where it is within 1/255."""
    if made.apart <= 1:
        same = made.pictures.keys() == made.sample.pictures.keys() and (made.apart > 0 or made.equal)
        return "" if same else "made again from its provenance it has another mask, or other annotations"
    return f"made again from its provenance it differs by up to {made.apart:g}/255"
