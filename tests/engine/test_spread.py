"""Processes that are handed a little at a time: everything is answered once, nothing piles up, and a death is told."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from augforge.engine.spread import AHEAD, spread
from augforge.errors import AugforgeError

ECHO = "tests.operators"


@pytest.mark.parametrize("processes", [1, 3])
def test_every_item_is_answered_once(processes: int) -> None:
    answers: list[int] = []
    spread(ECHO, 100, processes, iter([[1, 2, 3], [4], [5, 6]]), answers.append)
    assert sorted(answers) == [202, 204, 206, 208, 210, 212]


def test_what_is_under_way_does_not_grow_with_what_there_is_to_do() -> None:
    handed, saved, most = 0, 0, 0

    def units():
        nonlocal handed
        for number in range(60):
            handed += 4
            yield [number] * 4

    def save(answer: int) -> None:
        nonlocal saved, most
        most = max(most, handed - saved)
        saved += 1

    spread(ECHO, 0, 2, units(), save)
    assert saved == 240 and most <= 2 * AHEAD * 4


def test_large_items_block_nobody() -> None:
    """Two units of 4 MB each: a process that is handed one while it still answers the other."""
    answers: list[bytes] = []
    spread(ECHO, b"", 1, iter([[b"x" * 4_000_000]] * 6), answers.append)
    assert [len(answer) for answer in answers] == [8_000_000] * 6


def test_nothing_to_do_ends_at_once() -> None:
    spread(ECHO, 0, 2, iter([]), lambda answer: pytest.fail("answered"))


def test_each_has_one_thread() -> None:
    answers: list[str] = []
    spread(ECHO, 0, 1, iter([["threads"]]), answers.append)
    assert answers == ["1"]


@pytest.mark.parametrize(
    ("item", "error", "said"),
    [
        ("die", AugforgeError, "ended .exit -9"),
        ("fail", RuntimeError, "KeyError: 'a defect'"),
        ("refuse", AugforgeError, "not so"),
    ],
)
def test_what_goes_wrong_in_a_process_is_raised_here(item: str, error: type[Exception], said: str) -> None:
    saved: list[int] = []
    with pytest.raises(error, match=said):
        spread(ECHO, 0, 2, iter([[1], [2], [item], [3]]), saved.append)
    assert len(saved) <= 3


def test_an_error_of_who_saves_ends_the_processes() -> None:
    def full(answer: int) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        spread(ECHO, 0, 2, iter([[number] for number in range(50)]), full)


def test_the_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    """Killed at once, so that it can tell nobody."""
    script = f"""
import os, signal
from pathlib import Path
from augforge.engine.spread import spread

def save(answer):
    Path({str(tmp_path / "workers")!r}).open("a").write(f"{{answer}} ")
    if len(Path({str(tmp_path / "workers")!r}).read_text().split()) == 4:
        os.kill(os.getpid(), signal.SIGKILL)

spread("tests.operators", 0, 2, (["pid"] for _ in iter(int, 1)), save)
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == -signal.SIGKILL
    workers = {int(pid) for pid in (tmp_path / "workers").read_text().split()}
    assert workers
    for _ in range(200):
        if not any(Path(f"/proc/{pid}").exists() for pid in workers):
            return
        time.sleep(0.05)
    pytest.fail("a process is left over")
