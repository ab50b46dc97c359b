"""Processes that are handed units: everything is made once, nothing piles up, a death costs its own item."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest

from augforge.engine.engines.handing import AT_HAND
from augforge.engine.engines.local import Local
from augforge.engine.engines.processes import Processes
from augforge.engine.work import Refused
from augforge.errors import AugforgeError
from augforge.progress import Bar, Progress
from tests.engine.engines.works import Doubling, parts_in, place, row, rows_of


@pytest.fixture
def two() -> Iterator[Processes]:
    engine = Processes(2)
    yield engine
    engine.close()


class Telling(Progress):
    """Tells `heard` of every image that is done."""

    def __init__(self, heard: Any) -> None:
        self._heard = heard

    @contextmanager
    def bar(self, title: str, total: int, unit: str = "images") -> Iterator[Bar]:
        bar = Bar()
        bar.advance = self._heard  # type: ignore[method-assign]
        yield bar


def numbers(count: int) -> list[dict[str, Any]]:
    return [row(number) for number in range(count)]


def test_every_item_is_made_once_whatever_the_workers(tmp_path: Path) -> None:
    """The parts have the same names, too: they depend on the units alone."""
    names = []
    for workers in (1, 2, 3):
        parts, engine = parts_in(tmp_path / str(workers)), Processes(workers)
        refused = engine.run(Doubling(refused=frozenset({5})), range(30), 30, parts, place())
        engine.close()
        assert refused == Refused({"5": "refused"})
        assert rows_of(parts) == [each for each in numbers(30) if each["id"] != "5"]
        names.append({path.name for path in parts.folder.glob("*.arrow")})
        assert len(names[-1]) == 8, "one part a unit"
        assert not list(parts.folder.glob(".*.tmp")), "the token is left behind"
    assert names[0] == names[1] == names[2]


def test_the_rows_are_those_of_the_local_engine(tmp_path: Path, two: Processes) -> None:
    work = Doubling(refused=frozenset({1, 9}))
    local = Local().run(work, range(12), 12, parts_in(tmp_path / "here"), place())
    assert two.run(work, range(12), 12, parts_in(tmp_path / "there"), place()) == local
    assert rows_of(parts_in(tmp_path / "here")) == rows_of(parts_in(tmp_path / "there"))


def test_workers_stay_from_work_to_work(tmp_path: Path, two: Processes) -> None:
    found = []
    for name in ("first", "second"):
        parts = parts_in(tmp_path / name)
        two.run(Doubling(text="pid"), range(40), 40, parts, place())
        found.append({each["text"] for each in rows_of(parts)})
    assert found[0] | found[1] == found[0] and str(os.getpid()) not in found[0]


def test_what_is_under_way_does_not_grow_with_what_there_is_to_do(tmp_path: Path, two: Processes) -> None:
    handed, done, most = 0, 0, 0

    def items() -> Iterator[int]:
        nonlocal handed
        for number in range(240):
            handed += 1
            yield number

    def heard(images: int = 1) -> None:
        nonlocal done, most
        most = max(most, handed - done)
        done += images

    two.run(Doubling(), items(), 240, parts_in(tmp_path), place(Telling(heard)))
    assert done == 240 and most <= 4 * (2 * AT_HAND + 1)


def test_large_items_block_nobody(tmp_path: Path) -> None:
    """Units of 4 MB each: a process that is handed one while it still answers the other."""
    parts, engine = parts_in(tmp_path), Processes(1)
    items = [int("7" * 3_000) + number for number in range(6)]
    engine.run(Long(per_unit=1, per_batch=1, weight=4_000_000), items, 6, parts, place())
    engine.close()
    assert len(rows_of(parts)) == 6


class Long(Doubling):
    """Items are heavy on the way there, and the rows are small."""

    def __init__(self, weight: int, **options: Any) -> None:
        super().__init__(**options)
        object.__setattr__(self, "weight", weight)

    def units(self, items: Any) -> Any:
        heavy = (Heavy(number, b"x" * self.weight) for number, _ in enumerate(items))  # type: ignore[attr-defined]
        return super().units(heavy)


class Heavy(int):
    """A number with a weight."""

    def __new__(cls, number: int, weight: bytes = b"") -> Heavy:
        made = super().__new__(cls, number)
        made.weight = weight  # type: ignore[attr-defined]
        return made


def test_nothing_to_do_starts_nobody(tmp_path: Path) -> None:
    engine = Processes(2)
    assert engine.run(Doubling(bad="death"), [], 0, parts_in(tmp_path), place()) == Refused()


def test_each_has_one_thread(tmp_path: Path, two: Processes) -> None:
    two.run(Doubling(text="threads"), range(8), 8, parts_in(tmp_path), place())
    assert {each["text"] for each in rows_of(parts_in(tmp_path))} == {"1"}


@pytest.mark.parametrize("deadly_while", ["load", "make"])
def test_what_ends_its_worker_costs_its_own_row(tmp_path: Path, two: Processes, deadly_while: str) -> None:
    parts, work = parts_in(tmp_path), Doubling(deadly=frozenset({5}), deadly_while=deadly_while)
    two.run(work, range(16), 16, parts, place())
    assert rows_of(parts) == [
        row(number, "it ends the worker (signal 9)" if number == 5 else "") for number in range(16)
    ]


@pytest.mark.parametrize(
    ("work", "error", "said"),
    [
        (Doubling(wrong=6), RuntimeError, "KeyError: 'a defect'"),
        (Doubling(unwelcome=6), AugforgeError, "not so"),
        (Doubling(bad="error"), AugforgeError, "the model has no weights"),
        (Doubling(bad="defect"), RuntimeError, r"KeyError: 'layer.0'"),
        (Doubling(bad="death"), AugforgeError, r"a worker ended while it got ready \(signal 9\)"),
    ],
)
def test_what_goes_wrong_in_a_process_is_raised_here(
    tmp_path: Path, two: Processes, work: Doubling, error: type[Exception], said: str
) -> None:
    parts = parts_in(tmp_path)
    with pytest.raises(error, match=said) as caught:
        two.run(work, range(40), 40, parts, place())
    if isinstance(caught.value, AugforgeError):
        assert caught.value.hint
    assert len(rows_of(parts)) < 40 and not {"6"} & {each["id"] for each in rows_of(parts)}
    assert not two._driver.crew.workers, "they still run"


def test_an_error_in_this_process_ends_the_others_and_they_can_be_used_again(tmp_path: Path, two: Processes) -> None:
    def full(images: int = 1) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        two.run(Doubling(), range(50), 50, parts_in(tmp_path), place(Telling(full)))
    two.run(Doubling(), range(50), 50, parts_in(tmp_path), place())
    assert {each["id"] for each in rows_of(parts_in(tmp_path))} == {str(number) for number in range(50)}


def test_a_slow_unit_is_given_to_another(tmp_path: Path, two: Processes) -> None:
    """Who has number 0 first sleeps for a minute; the second who has it does not."""
    work = Doubling(slow=frozenset({0}), seconds=60, once=str(tmp_path / "slept"))
    began = time.monotonic()
    two.run(work, range(40), 40, parts_in(tmp_path), place())
    assert time.monotonic() - began < 30 and rows_of(parts_in(tmp_path)) == numbers(40)


@pytest.mark.slow
def test_twelve_kills_at_random_instants_change_nothing(tmp_path: Path, two: Processes) -> None:
    """Each a while after something was made, so that there is somebody to be killed."""
    parts, random, killed = parts_in(tmp_path), np.random.default_rng(7), []
    work, ended = Doubling(slow=frozenset(range(1_600)), seconds=0.1), Event()

    def made() -> int:
        return len(list(parts.folder.glob("*.arrow")))

    def kill() -> None:
        before = 0
        while len(killed) < 12 and not ended.wait(random.uniform(0.1, 0.8)):
            running = [process.running for process in list(two._driver.crew._processes.values())]
            if made() > before and running:
                before, victim = made(), running[random.integers(len(running))]
                victim.kill()
                killed.append(victim.pid)

    killer = Thread(target=kill)
    killer.start()
    two.run(work, range(1_600), 1_600, parts, place())
    ended.set()
    killer.join()
    assert len(killed) == 12, "the run was over before all were killed"
    parts.reload()
    assert rows_of(parts) == numbers(1_600)


SCRIPT = """
import sys
from pathlib import Path
from augforge.engine.engines.processes import Processes
from tests.engine.engines.works import Doubling, parts_in, place
engine = Processes(2)
try:
    engine.run(Doubling(slow=frozenset(range(10**6)), seconds=0.02, text="pid"), range(10**6), 10**6,
               parts_in(Path(sys.argv[1])), place())
finally:
    engine.close()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_processes_end_with_the_one_that_started_them(tmp_path: Path, how: signal.Signals) -> None:
    """Killed at once, so that it can tell nobody; or by Ctrl-C, which every process of the terminal is sent."""
    running = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], start_new_session=True, stderr=subprocess.DEVNULL
    )
    try:
        parts, until = parts_in(tmp_path), time.monotonic() + 120
        while len({each["text"] for each in rows_of(parts)}) < 2:
            assert running.poll() is None and time.monotonic() < until, "it ended too early, or a process makes nothing"
            time.sleep(0.1)
        workers = {int(each["text"]) for each in rows_of(parts)}
        (os.killpg if how == signal.SIGINT else os.kill)(running.pid, how)
        assert running.wait(60) != 0
    finally:
        running.kill()
    for _ in range(200):
        if not any(Path(f"/proc/{pid}").exists() for pid in workers):
            return
        time.sleep(0.05)
    pytest.fail("a process is left over")


class Unreadable(Doubling):
    """A work that every worker fails to read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("no number",)


def test_a_work_that_workers_cannot_read_ends_the_run(tmp_path: Path, two: Processes) -> None:
    with pytest.raises(AugforgeError, match=r"a worker ended while it got ready \(exit 1\)"):
        two.run(Unreadable(), range(3), 3, parts_in(tmp_path), place())


def test_a_process_imports_what_this_one_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A work of the user's own module, found by the path of this process alone."""
    (tmp_path / "lib").mkdir()
    text = "from tests.engine.engines.works import Doubling\n\n\nclass Own(Doubling):\n    pass\n"
    (tmp_path / "lib" / "module_of_the_user.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "lib")
    own = importlib.import_module("module_of_the_user").Own()
    parts, engine = parts_in(tmp_path / "parts"), Processes(1)
    engine.run(own, range(3), 3, parts, place())
    engine.close()
    assert rows_of(parts) == numbers(3)
