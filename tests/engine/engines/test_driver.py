"""The driver with a crew that is a script: whatever happens to workers, every item has one row, and it ends."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.engine.engines.driver import PATIENCE, Driver
from augforge.engine.engines.handing import AT_HAND
from augforge.engine.engines.orders import versions
from augforge.engine.work import Refused
from augforge.errors import AugforgeError, ModelError
from augforge.progress import Bar, Progress
from tests.engine.engines.fake import FakeCrew
from tests.engine.engines.works import Doubling, parts_in, place, row, rows_of

LOST = "it ends the worker (signal 9)"


class Heard(Progress):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.done = 0
        self.notes: list[str] = []

    @contextmanager
    def bar(self, title: str, total: int, unit: str = "images") -> Iterator[Bar]:
        bar = Bar()
        bar.advance = self._more  # type: ignore[method-assign]
        bar.note = self.notes.append  # type: ignore[method-assign]
        yield bar

    def _more(self, count: int = 1) -> None:
        self.done += count

    def say(self, text: str) -> None:
        self.said.append(text)


def driven(
    crew: FakeCrew, folder: Path, count: int = 40, most: int = 8, mixed: bool = False, **options: Any
) -> tuple[list[dict[str, Any]], Driver, Heard]:
    """The rows of `count` numbers that a crew makes."""
    driver, heard = Driver(crew, mixed, crew.clock), Heard()
    refused = driver.run(Doubling(**options), range(count), count, parts_in(folder), place(heard), most)
    assert refused == Refused() and heard.done == count
    assert crew.most_at_hand <= AT_HAND
    return rows_of(parts_in(folder)), driver, heard


def numbers(count: int, lost: frozenset[int] = frozenset()) -> list[dict[str, Any]]:
    return [row(number, LOST if number in lost else "") for number in range(count)]


def test_units_are_handed_out_in_the_order_of_the_plan(tmp_path: Path) -> None:
    crew = FakeCrew(room=3)
    assert driven(crew, tmp_path)[0] == numbers(40)
    assert [items[0] for _, items in crew.handed] == list(range(0, 40, 4))
    assert {worker for worker, _ in crew.handed} == {0, 1, 2}


def test_what_a_dead_worker_had_is_made_by_another(tmp_path: Path) -> None:
    crew = FakeCrew(room=2, kills=[4, 6, 8])
    rows, _, heard = driven(crew, tmp_path)
    assert rows == numbers(40) and heard.notes[-1] == "2 workers" and "1 worker" in heard.notes


def test_the_guilty_item_is_found_among_many(tmp_path: Path) -> None:
    """16 items in one unit: three deaths, then one for each half that has it, then two more of its own."""
    crew = FakeCrew(room=2, deadly=[11])
    rows, _, _ = driven(crew, tmp_path, per_unit=16)
    assert rows == numbers(40, frozenset({11}))
    with_it = [len(items) for _, items in crew.handed if 11 in items]
    assert with_it == [16, 16, 16, 8, 4, 2, 1, 1, 1]


def test_a_neighbour_of_the_guilty_one_is_not_lost(tmp_path: Path) -> None:
    """Each unit is one item: whoever is at hand of a worker that dies is suspect, and made alone."""
    crew = FakeCrew(room=1, deadly=[0, 2, 5])
    rows, _, _ = driven(crew, tmp_path, count=8, per_unit=1)
    assert rows == numbers(8, frozenset({0, 2, 5}))


def test_workers_that_are_switched_off_count_against_nobody(tmp_path: Path) -> None:
    crew = FakeCrew(room=1, kills=range(3, 60, 3), innocent=True, paces=[2])
    assert driven(crew, tmp_path, count=8, per_unit=1)[0] == numbers(8)


def test_who_comes_late_is_used(tmp_path: Path) -> None:
    crew = FakeCrew(room=1, late=[(5, 2)])
    assert driven(crew, tmp_path, count=200)[0] == numbers(200)
    assert {worker for worker, _ in crew.handed} == {0, 1, 2}


def test_near_the_end_the_oldest_unit_is_given_to_another_and_counted_once(tmp_path: Path) -> None:
    crew = FakeCrew(room=3, paces=[1, 1, 60])
    rows, driver, _ = driven(crew, tmp_path, count=80)
    twice = [items for items, count in Counter(items for _, items in crew.handed).items() if count > 1]
    assert rows == numbers(80) and crew.tick < 60 and twice and driver.twice == 0


def test_both_answers_to_a_unit_count_once(tmp_path: Path) -> None:
    """The slow worker answers what was made by another while there is still work."""
    crew = FakeCrew(room=2, paces=[1, 9])
    rows, driver, _ = driven(crew, tmp_path, count=80)
    assert rows == numbers(80)
    crew.paces = [1]
    second = parts_in(tmp_path / "second")
    driver.run(Doubling(), range(200), 200, second, place(), 8)
    assert rows_of(second) == numbers(200), "late answers of the work before are taken for its own"


def test_a_work_that_nobody_can_open_is_one_error(tmp_path: Path) -> None:
    crew = FakeCrew(room=3, bad=dict.fromkeys(range(9), ModelError("no weights", "get them")))
    with pytest.raises(AugforgeError, match="no weights") as caught:
        driven(crew, tmp_path)
    assert caught.value.hint == "get them" and crew.closed == 1 and not crew.handed


def test_one_that_cannot_open_it_is_left_out_where_others_can(tmp_path: Path) -> None:
    crew = FakeCrew(room=2, bad={1: ModelError("no weights")}, paces=[1, 3])
    rows, _, heard = driven(crew, tmp_path)
    assert rows == numbers(40) and {worker for worker, _ in crew.handed} == {0}
    assert heard.said == ["double: a worker is not used: no weights"]


def test_it_does_not_wait_for_ever_where_nobody_comes(tmp_path: Path) -> None:
    crew = FakeCrew(room=0)
    with pytest.raises(AugforgeError, match="no worker came in 10 minutes"):
        driven(crew, tmp_path)
    assert PATIENCE <= crew.tick < PATIENCE + 10


def test_it_ends_where_the_last_worker_is_not_replaced(tmp_path: Path) -> None:
    crew = FakeCrew(room=2, kills=[3, 4], replaced=False)
    with pytest.raises(AugforgeError, match="no worker came"):
        driven(crew, tmp_path)


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ({"sees": False}, "w1 does not see .*doubled"),
        ({"versions": {**versions(), "torch": "1.0"}}, "w1 has torch 1.0, and here it is"),
        ({"versions": {**versions(), "Python": "2.7"}}, "w1 has Python 2.7, and here it is"),
        ({"device": "cuda", "facts": {"device-name": "H200"}}, "w1 computes on H200, and w0 on cpu"),
    ],
)
def test_what_differs_is_refused_in_a_sentence_before_anything_is_made(
    tmp_path: Path, report: dict[str, Any], said: str
) -> None:
    with pytest.raises(AugforgeError, match=said) as caught:
        driven(FakeCrew(room=2, report={1: report}), tmp_path)
    assert caught.value.hint and not rows_of(parts_in(tmp_path))


def test_devices_may_be_mixed_if_one_insists(tmp_path: Path) -> None:
    crew = FakeCrew(room=2, report={1: {"device": "cuda"}})
    assert driven(crew, tmp_path, mixed=True)[0] == numbers(40)


def test_one_that_differs_and_comes_late_is_left_out(tmp_path: Path) -> None:
    crew = FakeCrew(room=1, late=[(8, 1)], report={1: {"sees": False}})
    rows, _, heard = driven(crew, tmp_path, count=200)
    assert rows == numbers(200) and {worker for worker, _ in crew.handed} == {0}
    assert len(heard.said) == 1 and "does not see" in heard.said[0]


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 90),
    per_unit=st.integers(1, 9),
    room=st.integers(1, 4),
    late=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 3)), max_size=2),
    kills=st.lists(st.integers(1, 60), max_size=12),
    deadly=st.lists(st.integers(0, 89), max_size=3),
    paces=st.lists(st.integers(1, 12), min_size=1, max_size=4),
)
def test_whatever_happens_every_item_has_one_row_and_it_ends(
    count: int, per_unit: int, room: int, late: Any, kills: Any, deadly: Any, paces: Any
) -> None:
    """Deaths that nobody is to blame for: only the deadly items are lost, whoever dies beside them, and when."""
    crew = FakeCrew(room=room, late=late, kills=frozenset(kills), innocent=True, deadly=frozenset(deadly), paces=paces)
    with tempfile.TemporaryDirectory() as folder:
        rows, _, _ = driven(crew, Path(folder), count=count, per_unit=per_unit)
    assert rows == numbers(count, frozenset(deadly) & frozenset(range(count)))


@settings(max_examples=20, deadline=None)
@given(kills=st.lists(st.integers(1, 80), max_size=40), paces=st.lists(st.integers(1, 5), min_size=1, max_size=3))
def test_deaths_by_chance_make_no_row_twice_and_none_vanish(kills: Any, paces: Any) -> None:
    """Even where so many die that an item is given up, as if it were to blame."""
    crew = FakeCrew(room=2, kills=frozenset(kills), paces=paces)
    with tempfile.TemporaryDirectory() as folder:
        try:
            rows, _, _ = driven(crew, Path(folder), count=24, per_unit=3)
        except AugforgeError as error:
            assert "a worker ended while it got ready" in error.message and len(kills) >= 3
            return
    assert [each["id"] for each in rows] == [str(number) for number in range(24)]
    assert {each["text"] for each in rows} <= {"", LOST}
