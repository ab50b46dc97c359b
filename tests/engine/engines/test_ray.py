"""Ray: the same parts as by processes, whatever happens to workers, machines, the head and the driver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from augforge.engine.engines.choose import engine_of
from augforge.engine.engines.processes import Processes
from augforge.engine.run import run
from augforge.engine.work import Refused
from augforge.errors import AugforgeError
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.conftest import trap, write_images
from tests.engine.engines.works import Doubling, parts_in, place, row, rows_of
from tests.faults.cluster_kills import MARK, marked

pytest.importorskip("ray")

from augforge.engine.engines.ray import Ray

ROOT = Path(__file__).parents[3]
STORE = 80 << 20
LOST = "it ends the worker (it was killed, or crashed)"


def until(true: Callable[[], Any], seconds: float, what: str) -> None:
    """Wait for something, but not for ever."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.1)


class Machines:
    """A cluster on this machine: a head without a CPU, and raylets with one each."""

    def __init__(self, count: int) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False}
        self.cluster = Cluster(initialize_head=True, head_node_args=head)
        self.nodes = [self.add() for _ in range(count)]

    def add(self) -> Any:
        return self.cluster.add_node(num_cpus=1, object_store_memory=STORE)

    def engine(self, **options: Any) -> Ray:
        return Ray(address=self.cluster.address, **options)

    def end(self) -> None:
        with suppress(Exception):  # a node that was killed cannot be ended again
            self.cluster.shutdown()


@pytest.fixture
def two() -> Iterator[Machines]:
    """Two machines of one CPU each, and the end of all that they started."""
    mark = uuid.uuid4().hex
    os.environ[MARK] = mark
    machines = Machines(2)
    yield machines
    import ray

    ray.shutdown()
    machines.end()
    del os.environ[MARK]
    for pid in set(marked(mark)) - {os.getpid()}:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.forks  # ray starts its servers so
def test_ray_on_this_machine_makes_the_parts_that_processes_make(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The small test: refused and deadly items, an error that is told, nothing of Ray's own on the terminal, and no
    code of the present folder."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(trap(tmp_path / "present"))
    engine, others = Ray(workers=2), Processes(2)
    work = Doubling(refused=frozenset({5}))
    names = []
    for name, one in (("ray", engine), ("processes", others)):
        parts = parts_in(tmp_path / name)
        assert one.run(work, range(30), 30, parts, place()) == Refused({"5": "refused"})
        names.append({path.name for path in parts.folder.glob("*.arrow")})
    assert names[0] == names[1] and len(names[0]) == 8
    parts = parts_in(tmp_path / "deadly")
    assert engine.run(Doubling(deadly=frozenset({5})), range(8), 8, parts, place()) == Refused()
    assert rows_of(parts) == [row(number, LOST if number == 5 else "") for number in range(8)]
    with pytest.raises(AugforgeError, match="the model has no weights"):
        engine.run(Doubling(bad="error"), range(8), 8, parts_in(tmp_path / "bad"), place())
    others.close()
    engine.close()
    told = capfd.readouterr()
    assert "raylet" not in told.out + told.err and "Worker" not in told.out


def test_an_address_where_nothing_is_is_an_error_of_the_user(tmp_path: Path) -> None:
    engine = Ray(address="127.0.0.1:1")
    with pytest.raises(AugforgeError, match=r"there is no Ray at 127\.0\.0\.1:1") as caught:
        engine.run(Doubling(), range(8), 8, parts_in(tmp_path), place())
    assert "ray start --head" in caught.value.hint


def recipe(source: Path) -> Recipe:
    """An operator, a model, and what looks at pixels, vectors and all images together."""
    model = {"model": "builtin-unclip", "per-class": 5, "batch": 4, "steps": 2}
    stages = [
        build_stage("generate", "weather", {"per-class": 8, "kind": "fog", "processes": 1}),
        build_stage("generate", "augmented-conditioning", model),
        build_stage("filter", "quality", {}),
        build_stage("filter", "clip", {"any-class": True, "keep": 0.9}),
        build_stage("filter", "duplicates", {}),
        build_stage("select", "facility-location", {"share": 0.5}),
    ]
    return Recipe("equal", 3, (SourceSpec("folder", str(source)),), tuple(stages))


def result(folder: Path) -> dict[str, bytes]:
    """The bytes of the ledger, with ids, parameters, digests, scores and reasons, and of the dataset."""
    files = [folder / "samples.parquet", *(folder / "dataset").rglob("*")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files if path.is_file()}


@pytest.mark.slow
def test_a_recipe_comes_to_the_same_bytes_by_every_engine(tmp_path: Path, two: Machines) -> None:
    source = write_images(tmp_path / "set", {"cat": 12, "dog": 9})
    run(recipe(source), tmp_path / "local", device="cpu")
    expected = result(tmp_path / "local")
    assert len(expected) > 3
    engines = {"processes": engine_of("processes", 2)}
    engines |= {f"ray {count}": two.engine(workers=count) for count in (1, 2)}
    for name, engine in engines.items():
        summary = run(recipe(source), tmp_path / name, device="cpu", engine=engine)
        assert summary.kept < 26 and len(summary.reasons) == 3, "nothing was dropped, so nothing was tried"
        assert result(tmp_path / name) == expected, name
    two.add()
    two.add()
    run(recipe(source), tmp_path / "ray 4", device="cpu", engine=two.engine(workers=4))
    assert result(tmp_path / "ray 4") == expected


@pytest.mark.slow
def test_a_machine_that_is_lost_costs_nothing_and_one_that_comes_late_is_used(tmp_path: Path, two: Machines) -> None:
    parts, work = parts_in(tmp_path), Doubling(slow=frozenset(range(200)), seconds=0.6, text="pid")

    engine, refused = two.engine(), []
    thread = Thread(target=lambda: refused.append(engine.run(work, range(200), 200, parts, place())))
    thread.start()  # machines can only be added in the main thread
    until(lambda: len(list(parts.folder.glob("*.arrow"))) > 6, 60, "nothing is made")
    two.cluster.remove_node(two.nodes[0], allow_graceful=False)
    two.add()
    thread.join()
    engine.close()
    assert refused == [Refused()]
    rows = rows_of(parts)
    assert [int(each["id"]) for each in rows] == list(range(200)), "a row is missing, or there twice"
    assert len({each["text"] for each in rows}) == 3, "the machine that came late was not used"


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced(tmp_path: Path, two: Machines) -> None:
    parts, work = parts_in(tmp_path), Doubling(slow=frozenset(range(80)), seconds=0.2, text="pid")

    def disturb() -> None:
        until(lambda: rows_of(parts), 60, "nothing is made")
        os.kill(int(rows_of(parts)[0]["text"]), signal.SIGKILL)

    thread = Thread(target=disturb)
    thread.start()
    engine = two.engine()
    assert engine.run(work, range(80), 80, parts, place()) == Refused()
    thread.join()
    engine.close()
    assert [int(each["id"]) for each in rows_of(parts)] == list(range(80))
    assert len({each["text"] for each in rows_of(parts)}) == 3


@pytest.mark.slow
def test_a_unit_on_a_machine_that_is_slow_is_given_to_another(tmp_path: Path, two: Machines) -> None:
    work = Doubling(slow=frozenset({0}), seconds=300, once=str(tmp_path / "slept"))
    engine, began = two.engine(), time.monotonic()
    engine.run(work, range(40), 40, parts_in(tmp_path), place())
    engine.close()
    assert time.monotonic() - began < 90 and rows_of(parts_in(tmp_path)) == [row(number) for number in range(40)]


@pytest.mark.slow
def test_a_model_that_loads_nowhere_is_one_error_and_not_a_hang(tmp_path: Path, two: Machines) -> None:
    engine = two.engine()
    with pytest.raises(AugforgeError, match="a worker ended while it got ready"):
        engine.run(Doubling(bad="death"), range(40), 40, parts_in(tmp_path), place())
    engine.close()


SCRIPT = """
import sys
from pathlib import Path
from augforge.engine.engines.ray import Ray
from augforge.errors import AugforgeError
from tests.engine.engines.works import Doubling, parts_in, place
engine = Ray(workers=2, address=sys.argv[2] or None)
count = int(sys.argv[3])
try:
    engine.run(Doubling(slow=frozenset(range(count)), seconds=0.1), range(count), count,
               parts_in(Path(sys.argv[1])), place())
except AugforgeError as error:
    sys.exit(error.message)
finally:
    engine.close()
"""


def started(folder: Path, address: str, count: int, mark: str) -> subprocess.Popen[str]:
    """A driver in a session of its own, as one has in a terminal."""
    given = {**os.environ, MARK: mark, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT, str(folder), address, str(count)]
    return subprocess.Popen(command, env=given, start_new_session=True, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_process_stays_of_a_driver_that_is_killed_or_stopped(tmp_path: Path, how: signal.Signals) -> None:
    mark, parts = uuid.uuid4().hex, parts_in(tmp_path)
    running = started(tmp_path, "", 10**6, mark)
    until(lambda: len(rows_of(parts)) > 20, 90, "nothing is made")
    assert len(marked(mark)) > 3
    (os.killpg if how == signal.SIGINT else os.kill)(running.pid, how)
    running.communicate(timeout=60)
    assert running.returncode != 0
    until(lambda: not marked(mark), 60, f"{len(marked(mark))} processes are left over")
    before = rows_of(parts)
    assert [int(each["id"]) for each in before] == sorted({int(each["id"]) for each in before})


@pytest.mark.slow
def test_a_head_that_is_lost_is_told_in_a_sentence_and_what_was_made_is_kept(tmp_path: Path, two: Machines) -> None:
    mark, parts = uuid.uuid4().hex, parts_in(tmp_path)
    running = started(tmp_path, two.cluster.address, 10**6, mark)
    until(lambda: len(rows_of(parts)) > 20, 90, "nothing is made")
    two.cluster.head_node.kill_gcs_server()
    _, said = running.communicate(timeout=90)
    assert running.returncode == 1 and "the head of the Ray cluster does not answer any more" in said, said[-2000:]
    assert len(rows_of(parts)) > 20
