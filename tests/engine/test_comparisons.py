"""Pictures compared by engines: the same answers whoever computes them, in whatever batches, whatever ends a worker."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augforge.algorithms.duplicates.closer import views
from augforge.algorithms.duplicates.crops import overlap
from augforge.data.store import Store
from augforge.engine.engines.local import Local
from augforge.engine.engines.processes import Processes
from augforge.engine.ingest import open_sources, read_sources
from augforge.engine.pixels import Pixels
from augforge.engine.rows import look_at
from augforge.engine.run import run
from augforge.engine.runners import closer_look
from augforge.engine.runners import comparisons as module
from augforge.engine.runners.candidates import Hashing, look_parts
from augforge.engine.runners.closer_look import CloserLook, Pair
from augforge.engine.runners.comparisons import ByDigest, Comparisons
from augforge.engine.runners.overlaps import smalls_of
from augforge.engine.work import Engine, Made, Maker, Place
from augforge.progress import Progress
from augforge.recipe import Recipe, SourceSpec
from augforge.stages.filters.duplicates import Duplicates
from tests.algorithms.duplicates.drawings import KINDS, drawing
from tests.algorithms.duplicates.pictures import jpeg, png

COUNT = 14
ALL = [(a, b) for a in range(COUNT) for b in range(a)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawings, the last two of which are copies of the first two."""
    source = tmp_path_factory.mktemp("drawings")
    for number in range(COUNT):
        kind = source / KINDS[number % 3]
        kind.mkdir(exist_ok=True)
        copy = number >= COUNT - 2
        image = drawing(number - COUNT + 2 if copy else number)
        (kind / f"{number:02}.{'jpg' if copy else 'png'}").write_bytes(jpeg(image, 70) if copy else png(image))
    return source


@pytest.fixture(scope="module")
def two() -> Iterator[Processes]:
    engine = Processes(2)
    yield engine
    engine.close()


class Compared:
    """The pictures of a folder, hashed and shrunk in a run folder, and what compares them."""

    def __init__(self, source: Path, out: Path, engine: Engine) -> None:
        specs = (SourceSpec("folder", str(source)),)
        sources = open_sources(Recipe("r", 0, specs, (Duplicates(),)))
        self.store = Store(out)
        ledger, _ = read_sources(sources, self.store, Progress())
        pixels = Pixels(sources, specs)
        self.looks = look_parts(self.store)
        look_at(Hashing(), ledger, ledger.visible(), self.looks, Place(pixels, "cpu", Progress()))
        self.digests = ledger.column("digest", ledger.visible())
        images = ByDigest((ledger, pixels))
        self.comparisons = Comparisons(self.store, self.looks, images, engine, flips=True)

    def sides(self, pairs: Sequence[tuple[int, int]] = ALL) -> tuple[list[str], list[str]]:
        """The digests of pairs of pictures."""
        return [self.digests[a] for a, _ in pairs], [self.digests[b] for _, b in pairs]

    def differences(self, pairs: Sequence[tuple[int, int]] = ALL) -> list[float]:
        """How much they differ."""
        return self.comparisons.differences(*self.sides(pairs), 29).tolist()

    def stored(self) -> dict[str, float]:
        """What is stored of pairs."""
        parts = self.store.parts("closer-2", module.SEEN, by="pair")
        names = sorted(parts.keys())
        return dict(zip(names, parts.numbers(names, "difference").tolist(), strict=True))


@pytest.fixture(scope="module")
def usual(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """How much all pairs differ, as this process says."""
    found = Compared(folder, tmp_path_factory.mktemp("local"), Local()).differences()
    assert len(found) == len(ALL) and 2 <= sum(value < 0.265 for value in found) < len(found)
    return found


def test_processes_say_what_this_process_says(folder: Path, tmp_path: Path, two: Processes, usual: list[float]) -> None:
    compared = Compared(folder, tmp_path, two)
    assert compared.differences() == usual
    assert compared.differences(ALL[::-1]) == usual[::-1]
    assert sorted(compared.stored().values()) == sorted(usual)


def test_each_picture_is_decoded_once_for_all_its_pairs(
    folder: Path, tmp_path: Path, usual: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of many batches; as long as the views of all fit in what is held."""
    decoded = []
    monkeypatch.setattr(closer_look, "views", lambda image: decoded.append(1) or views(image))
    assert Compared(folder, tmp_path / "held", Local()).differences() == usual
    assert len(decoded) < 2 * COUNT  # two threads may decode one at once, which is no matter
    held = len(decoded)
    monkeypatch.setattr(closer_look, "HELD", 0)
    assert Compared(folder, tmp_path / "none", Local()).differences() == usual
    assert len(decoded) - held == 2 * len(ALL)


def test_overlaps_in_blocks_are_those_of_each_pair(
    folder: Path, tmp_path: Path, two: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the very bound of one of them, too."""
    monkeypatch.setattr("augforge.engine.runners.overlaps.BLOCK", 8)
    monkeypatch.setattr(module, "BLOCK", 8)
    here, there = Compared(folder, tmp_path / "here", Local()), Compared(folder, tmp_path / "there", two)
    left, right = here.sides()
    values = overlap(smalls_of(here.looks, left), smalls_of(here.looks, right), smallest=29)
    bound = float(np.sort(values)[len(values) // 2])
    for compared in (here, there):
        found = compared.comparisons.overlapping(left, right, bound, 29)
        assert found.tolist() == (values >= bound).tolist()
        twice = compared.comparisons.overlapping(left + right, right + left, bound, 29)
        assert twice.tolist() == 2 * found.tolist(), "neither order nor repetition matters"
    assert len(list((tmp_path / "there" / "parts" / "overlap-1").glob("*.arrow"))) > 1
    assert not here.comparisons.overlapping([], [], bound, 29).size


@dataclass(frozen=True)
class ByCompany(CloserLook):
    """Wrong: what is said of a pair depends on the other ones of its batch."""

    def open(self, pixels: Pixels, device: str, progress: Progress) -> Maker:
        maker = super().open(pixels, device, progress)
        alone = maker.load

        def load(batch: Sequence[Pair]) -> Made:
            rows = alone(batch).rows
            most = max(row["difference"] for row in rows)
            return Made([{**row, "difference": row["difference"] / most} for row in rows])

        maker.load = load  # type: ignore[method-assign]
        return maker


@pytest.mark.parametrize("work", [CloserLook, ByCompany])
def test_the_batches_change_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: type[CloserLook]
) -> None:
    found = []
    for size in (3, 32):
        with monkeypatch.context() as patch:
            patch.setattr(module, "CloserLook", lambda *given, size=size: work(*given, per_batch=size))
            found.append(Compared(folder, tmp_path / str(size), Local()).differences())
    assert (found[0] == found[1]) == (work is CloserLook)


@dataclass(frozen=True)
class Deadly(CloserLook):
    """Ends its worker at one pair; only once if there is a file to mark it."""

    at: str = ""
    once: str = ""

    def open(self, pixels: Pixels, device: str, progress: Progress) -> Maker:
        maker = super().open(pixels, device, progress)
        alive = maker.load

        def load(batch: Sequence[Pair]) -> Made:
            if any(pair.name == self.at for pair in batch) and not (self.once and Path(self.once).exists()):
                if self.once:
                    Path(self.once).touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return alive(batch)

        maker.load = load  # type: ignore[method-assign]
        return maker


def deadly(compared: Compared, pair: tuple[int, int], once: str) -> Any:
    """What makes such work."""
    (left,), (right,) = compared.sides([pair])
    return lambda flips, smallest: Deadly(
        flips, smallest, per_unit=16, at=CloserLook(flips, smallest).name(left, right), once=once
    )


def test_a_killed_worker_changes_nothing(
    folder: Path, tmp_path: Path, two: Processes, usual: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = Compared(folder, tmp_path / "run", two)
    monkeypatch.setattr(module, "CloserLook", deadly(compared, ALL[20], str(tmp_path / "once")))
    assert compared.differences() == usual and (tmp_path / "once").exists()


def test_a_pair_that_ends_every_worker_is_no_evidence(
    folder: Path, tmp_path: Path, two: Processes, usual: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = Compared(folder, tmp_path / "run", two)
    monkeypatch.setattr(module, "CloserLook", deadly(compared, ALL[20], ""))
    expected = [np.inf if pair == ALL[20] else value for pair, value in zip(ALL, usual, strict=True)]
    assert compared.differences() == expected
    assert len(compared.stored()) == len(ALL) - 1, "and is looked at again another time"


def test_it_goes_on_with_what_is_stored(
    folder: Path, tmp_path: Path, two: Processes, usual: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half was seen before; then nothing is asked of anyone, in the same process or another one."""
    first = Compared(folder, tmp_path, Local())
    assert first.differences(ALL[::2]) == usual[::2] and len(first.stored()) == len(ALL[::2])
    assert Compared(folder, tmp_path, two).differences() == usual

    def never(*_: object, **__: object) -> None:
        raise AssertionError("looked again")

    again = Compared(folder, tmp_path, Local())
    monkeypatch.setattr(Local, "run", never)
    assert again.differences() == usual


def test_what_can_no_longer_be_read_is_no_evidence(folder: Path, tmp_path: Path, two: Processes) -> None:
    source = tmp_path / "source" / "a"
    source.mkdir(parents=True)
    for number in range(3):
        (source / f"{number}.png").write_bytes(png(drawing(number)))
    compared = Compared(source.parent, tmp_path / "run", two)
    (source / "1.png").write_bytes(png(drawing(9)))
    found = compared.differences([(0, 1), (0, 2), (1, 2)])
    assert np.isinf([found[0], found[2]]).all() and np.isfinite(found[1])
    assert len(compared.stored()) == 1


@pytest.mark.parametrize("against", [False, True])
def test_whole_runs_are_equal(folder: Path, tmp_path: Path, two: Processes, against: bool) -> None:
    """References lie in another source than the samples: workers read both."""
    others = tmp_path / "others"
    others.mkdir()
    for number in range(4):
        (others / f"{number}.jpg").write_bytes(jpeg(drawing(number), 60))
    stage = Duplicates(on="all", against=str(others) if against else None)
    recipe = Recipe("r", 0, (SourceSpec("folder", str(folder)),), (stage,))
    results = []
    for name, engine in (("here", Local()), ("there", two)):
        run(recipe, tmp_path / name, engine=engine)
        results.append((tmp_path / name / "samples.parquet").read_bytes())
    assert results[0] == results[1]
    assert len(Compared(folder, tmp_path / "there", Local()).stored()) > 0
