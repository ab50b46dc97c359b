"""A worker by itself: it loads ahead over the end of a unit, answers each, and keeps what it has opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, ClassVar

import pytest

from augforge.engine.engines.orders import Answer, Failed, Order, Outcome, Report, Task
from augforge.engine.engines.worker import Worker
from augforge.engine.pixels import Pixels
from augforge.engine.work import Place, Setting, Unit
from augforge.progress import Progress
from augforge.recipe import SourceSpec
from tests.conftest import write_images
from tests.engine.engines.works import Doubling, DoublingMaker, parts_in, row, rows_of


@contextmanager
def serving(worker: Worker) -> Iterator[SimpleQueue[Answer]]:
    """The answers of a worker that serves in a thread."""
    thread = Thread(target=worker.serve)
    thread.start()
    yield SimpleQueue()
    worker.end()
    thread.join(20)
    assert not thread.is_alive()


def task(work: Doubling, folder: Path, token: str = "") -> Task:
    place = Place(Pixels([]), "cpu", Progress())
    return Task(work, Setting.of(place, work), parts_in(folder).target, token)


def test_a_unit_is_one_part_and_an_answer(tmp_path: Path) -> None:
    worker = Worker()
    with serving(worker) as answers:
        worker.tell(Order(1, task(Doubling(refused=frozenset({2})), tmp_path)), answers.put)
        report = answers.get(timeout=20)
        assert report.serial == 1 and isinstance(report.what, Report) and report.what.sees
        assert report.what.versions["numpy"] and report.what.device == "cpu"
        for number, items in enumerate([(0, 1, 2, 3), (2,)]):
            worker.tell(Order(1, Unit(number, items)), answers.put)
        one, other = (answers.get(timeout=20).what for _ in range(2))
    assert isinstance(one, Outcome) and isinstance(other, Outcome)
    assert (one.number, one.images, dict(one.refused.dropped)) == (0, 4, {"2": "refused"})
    assert other.part == "" and other.number == 1, "a part without rows was written"
    assert [path.name for path in parts_in(tmp_path).folder.glob("*.arrow")] == [one.part]
    assert rows_of(parts_in(tmp_path)) == [row(number) for number in (0, 1, 3)]


def test_it_says_that_it_does_not_see_the_folder(tmp_path: Path) -> None:
    worker = Worker()
    with serving(worker) as answers:
        worker.tell(Order(1, task(Doubling(), tmp_path, str(tmp_path / "nowhere"))), answers.put)
        report = answers.get(timeout=20).what
    assert isinstance(report, Report) and not report.sees


class Overlapping(Doubling):
    """The model waits until something of the next unit was loaded."""

    loaded: ClassVar[Event] = Event()

    def open(self, pixels: Pixels, device: str, progress: Progress) -> Any:
        return OverlappingMaker(self)


class OverlappingMaker(DoublingMaker):
    def load(self, batch: Any) -> Any:
        if 100 in batch:
            Overlapping.loaded.set()
        return super().load(batch)

    def make(self, loaded: Any) -> Any:
        if 100 not in loaded:
            assert Overlapping.loaded.wait(20), "the next unit is loaded only when this one is done"
        return super().make(loaded)


def test_the_next_unit_is_loaded_while_this_one_is_made(tmp_path: Path) -> None:
    worker = Worker()
    Overlapping.loaded.clear()
    worker.tell(Order(1, task(Overlapping(), tmp_path)), lambda answer: None)
    done: SimpleQueue[Answer] = SimpleQueue()
    for number, items in enumerate([(0,), (100,)]):
        worker.tell(Order(1, Unit(number, items)), done.put)
    with serving(worker):
        assert [done.get(timeout=30).what.number for _ in range(2)] == [0, 1]  # type: ignore[union-attr]


def test_units_of_a_work_that_is_over_are_not_made_as_if_of_this_one(tmp_path: Path) -> None:
    worker = Worker()
    with serving(worker) as answers:
        worker.tell(Order(2, task(Doubling(), tmp_path)), answers.put)
        worker.tell(Order(1, Unit(0, (1,))), answers.put)
        worker.tell(Order(2, Unit(0, (2,))), answers.put)
        found = [answers.get(timeout=20) for _ in range(3)]
    assert [(each.serial, type(each.what)) for each in found] == [(2, Report), (1, Failed), (2, Outcome)]
    assert rows_of(parts_in(tmp_path)) == [row(2)]


@pytest.mark.parametrize("wrong", [1, 3])
def test_after_an_error_it_goes_on_with_the_next_unit(tmp_path: Path, wrong: int) -> None:
    worker = Worker()
    with serving(worker) as answers:
        worker.tell(Order(1, task(Doubling(wrong=wrong), tmp_path)), answers.put)
        for number, items in enumerate([(0, 1, 2, 3), (4, 5)]):
            worker.tell(Order(1, Unit(number, items)), answers.put)
        found = [answers.get(timeout=20).what for _ in range(3)]
    assert [type(each) for each in found] == [Report, Failed, Outcome]
    assert rows_of(parts_in(tmp_path)) == [row(4), row(5)], "a unit is written whole or not at all"


def test_sources_stay_open_from_work_to_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from augforge.engine.engines import worker as module

    folder, opened = write_images(tmp_path / "set", {"cat": 2}), []
    real = module.open_source
    monkeypatch.setattr(
        module, "open_source", lambda *given, **options: opened.append(given) or real(*given, **options)
    )
    images = module.OpenImages()
    first, other = (SourceSpec("folder", str(folder)),), (SourceSpec("folder", str(folder / "cat")),)
    settings = [Setting(specs, {}, {}, "cpu") for specs in (first, first, other)]
    sources = [images.of(setting).sources for setting in settings]
    assert len(opened) == 2 and sources[0] is sources[1] is not sources[2]
