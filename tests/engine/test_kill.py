"""kill -9 at any instant: the resumed command ends with what an uninterrupted one has, to the byte."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def tortured(folder: Path, kills: int, *names: str) -> list[str]:
    """The mismatches, from a fresh process: one that has run things has threads, which a fork would lose."""
    code = f"""
from pathlib import Path
from tests.faults.commands import commands
from tests.faults.killing import torture, warm_up
warm_up()
for command in commands(Path({str(folder)!r}), export=not {names!r}):
    if command.name in {names!r} or not {names!r}:
        tally = torture(command, Path({str(folder)!r}) / command.name, {kills})
        print("RESULT", tally.command, tally.kills, tally.missed, tally.results, *tally.mismatches, sep="|")
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split("|") for line in done.stdout.splitlines() if line.startswith("RESULT")]
    assert all(int(kills_) == kills for _, _, kills_, *_ in lines) and len(lines) == (len(names) or 6)
    return [mismatch for _, name, _, _, _, *found in lines for mismatch in (f"{name}: {m}" for m in found)]


def test_a_killed_run_goes_on(tmp_path):
    assert tortured(tmp_path, 2, "recipe of all four") == []


@pytest.mark.slow
def test_every_command_killed_again_and_again_goes_on(tmp_path):
    assert tortured(tmp_path, 10) == []


def test_a_result_that_differs_is_noticed(tmp_path):
    """The comparison can fail: another file, a changed one, a lost one."""
    from tests.faults.killing import Command, digests

    command = Command("x", (), ("*.txt",))
    for name, texts in {"a": "12", "b": "13", "c": "1"}.items():
        (tmp_path / name).mkdir()
        for number, text in enumerate(texts):
            (tmp_path / name / f"{number}.txt").write_text(text)
    same, changed, lost = (digests(tmp_path / name, command) for name in "abc")
    assert same != changed and same != lost and same == digests(tmp_path / "a", command)
