"""Parts of a selection computed by engines: the answers of `map`, to the last bit, in their order, whatever happens."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from augforge.algorithms.duplicates.close import close_pairs
from augforge.algorithms.selection import certify, facility_location
from augforge.algorithms.selection.by_rows import pool_of
from augforge.algorithms.selection.distributed import Plan, distributed
from augforge.algorithms.selection.units import Represented, Run
from augforge.data.store import Store
from augforge.data.vector_rows import VectorRows
from augforge.data.vectors import Vectors, write_vectors
from augforge.engine.calls import Caller, answered, packed, unpacked
from augforge.engine.engines.local import Local
from augforge.engine.engines.processes import Processes
from augforge.engine.engines.slurm import Slurm
from augforge.engine.work import Engine
from augforge.errors import AugforgeError
from tests.algorithms.selection.test_neighbours import mixture
from tests.engine.engines.works import place

ROWS = 17_000


@pytest.fixture(scope="module")
def two() -> Iterator[Processes]:
    engine = Processes(2)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> VectorRows:
    """(17000, 8) of a mixture, as they are stored."""
    stored = Vectors(tmp_path_factory.mktemp("vectors"))
    names = [f"{number:064x}" for number in range(ROWS)]
    write_vectors(stored.folder, "float32", names, mixture(ROWS, 8))
    stored.reload()
    return stored.by_rows()


def keys() -> NDArray[np.uint64]:
    return np.random.default_rng(0).integers(0, 2**64, size=ROWS, dtype=np.uint64)


def caller(engine: Engine, folder: Path) -> Caller:
    return Caller(Store(folder), engine, place(), "select")


def in_another_order(function: Callable[[Any], Any], units: Iterable[Any]) -> Iterator[Any]:
    """Wrong: answers as they come, not in the order of the units."""
    return reversed([function(unit) for unit in units])


def selected(vectors: VectorRows, run: Run) -> list[Any]:
    """What is chosen and certified of vectors, and what is near among them."""
    found = facility_location(vectors, 40, method="distributed", keys=keys(), run=run)
    certificate = certify(vectors, found, keys=keys(), pairs=2_000_000, run=run)
    pool = pool_of(vectors, np.arange(ROWS), "cosine", 1.0, keys())
    by_cell = distributed(pool, 400, Plan("cell", 8, 20, 64 << 20), run)
    near = np.concatenate(list(close_pairs(pool, 0.995, cells=2, run=run)))
    return [found.indices.tolist(), found.weights.tolist(), certificate.facts(), by_cell.chosen.tolist(), near.tolist()]


def test_processes_choose_certify_and_find_what_this_process_does(
    vectors: VectorRows, tmp_path: Path, two: Processes
) -> None:
    """The wrong variant shows that it matters whose answer is whose."""
    usual = selected(vectors, map)
    assert usual[-1], "some are near"
    assert selected(vectors, caller(two, tmp_path)) == usual
    assert not list(tmp_path.glob("parts/*/*.arrow")), "answers that were read are not kept"
    with suppress(IndexError, ValueError):  # an answer to one does not even fit another
        assert selected(vectors, in_another_order) != usual


def doubled(number: int) -> NDArray[np.int64]:
    return np.array([2 * number, os.getpid()])


def deadly(once: str, number: int) -> NDArray[np.int64]:
    """Ends its process at 3; only once if there is a file to mark it."""
    if number == 3 and not (once and Path(once).exists()):
        if once:
            Path(once).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return doubled(number)


def test_a_killed_worker_costs_nothing_and_one_that_always_dies_is_told(tmp_path: Path, two: Processes) -> None:
    run = caller(two, tmp_path)
    found = [answer[0] for answer in run(partial(deadly, str(tmp_path / "once")), range(8))]
    assert found == [2 * number for number in range(8)] and (tmp_path / "once").exists()
    with pytest.raises(AugforgeError, match="it ends the worker"):
        list(run(partial(deadly, ""), range(8)))


def test_what_was_answered_before_a_stop_is_not_computed_again(tmp_path: Path, two: Processes) -> None:
    run = caller(two, tmp_path)
    answers = run(doubled, range(6))
    first = next(answers)[1]
    answers.close()
    other = Processes(2)
    again = list(caller(other, tmp_path)(doubled, range(6)))
    other.close()
    assert first in {answer[1] for answer in again}, "it is the answer of the process before"
    assert [answer[0] for answer in again] == [2 * number for number in range(6)]


def test_here_where_others_could_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two: Processes) -> None:
    """Tasks of an array have no answers of each other; one part alone is not worth the way."""
    for name, value in (("ID", "0"), ("MIN", "0"), ("COUNT", "2")):
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    for engine, count in ((Local(), 4), (Slurm(), 4), (two, 1)):
        assert {answer[1] for answer in caller(engine, tmp_path)(doubled, range(count))} == {os.getpid()}


@dataclass(frozen=True, slots=True)
class Odd:
    code: Any


def test_answers_come_back_as_they_are() -> None:
    one = Represented(0.1 + 0.2, np.array([1.5, -0.0]), np.zeros(0))
    back = unpacked(packed(one), Represented)
    assert isinstance(back.objective, float) and back.objective == one.objective
    assert back.covered.tobytes() == one.covered.tobytes() and back.sizes.shape == (0,)
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    assert unpacked(packed(array), None).tobytes() == array.tobytes()
    assert answered(doubled) is None and answered(partial(deadly, "")) is None
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        packed(Odd(np.array([print], dtype=object)))
