"""kill -9 at random instants of any command, and what its resumed result must be equal to.

A warm process that has imported everything is forked for each run, so that an instant is one of the work and not of
the ten seconds of imports before it.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

HEAVY = (
    "accelerate",
    "datasets",
    "diffusers",
    "faiss",
    "matplotlib.pyplot",
    "open_clip",
    "safetensors.torch",
    "timm",
    "transformers",
)
OURS = (
    "engine.run",
    "engine.runners.train",
    "models.image_text",
    "models.vision",
    "models.backends.unclip",
    "cli.render.base",
    "training.classifier",
    "training.loop",
    "training.show",
)
KILLS_A_RESULT = 2


@dataclass(frozen=True)
class Command:
    """A command line without `--out`, and the files below its folder that must come out the same."""

    name: str
    arguments: Sequence[str]
    patterns: Sequence[str] = ("samples.parquet", "recipe.*", "certificates.json", "README.md", "dataset/*")


MODEL = ("model.safetensors", "model.json", "losses.png", "samples.png")
"""What of a trained model must come out the same; its card has the seconds in it."""


@dataclass
class Tally:
    """How often a command was killed at work, how often it had ended before its instant, and what differed then."""

    command: str
    seconds: float
    kills: int = 0
    missed: int = 0
    results: int = 0
    mismatches: tuple[str, ...] = ()


def warm_up() -> None:
    """Import what a run imports; nothing is run, so that no thread is there to be lost in a fork."""
    from importlib import import_module

    for name in (*HEAVY, *(f"augforge.{name}" for name in OURS)):
        import_module(name)


def torture(command: Command, folder: Path, kills: int, seed: int = 0) -> Tally:
    """Kill `command` `kills` times at work, at random instants of its length, resume it, and compare.

    Where it had ended before its instant, that is no kill, and later instants are taken of the length that it had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted, seconds = _uninterrupted(command, folder / "whole")
    tally, instants = Tally(command.name, seconds), random.Random(f"{seed} {command.name}")
    while tally.kills < kills:
        out = folder / "killed"
        for _ in range(min(KILLS_A_RESULT, kills - tally.kills)):
            lasted = _kill_at(instants.uniform(0, seconds), command, out)
            if lasted is not None:
                seconds = min(seconds, lasted)
                tally.missed += 1
                break  # it is done: there is nothing to kill in this folder any more
            tally.kills += 1
        if code := _wait(_start(command, out)):
            tally.mismatches += (f"after kill {tally.kills} it ended with exit code {code}",)
        tally.mismatches += tuple(_differences(digests(out, command), wanted, tally.kills))
        tally.results += 1
        shutil.rmtree(out)
    return tally


def _uninterrupted(command: Command, out: Path) -> tuple[dict[str, str], float]:
    """The digests of its result, and the seconds that it took: of the second run, as the first one warms the disk."""
    for attempt in (0, 1):
        shutil.rmtree(out, ignore_errors=True)
        started = time.monotonic()
        assert _wait(_start(command, out)) == 0, f"{command.name} fails by itself"
        if attempt:
            return digests(out, command), time.monotonic() - started
    raise AssertionError


def digests(out: Path, command: Command) -> dict[str, str]:
    """SHA-256 of each file of a result, and how many rows its ledger has, all of different ids."""
    files = sorted(path for pattern in command.patterns for path in out.glob(pattern) if path.is_file())
    found = {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    if (out / "samples.parquet").is_file():
        ids = pq.read_table(out / "samples.parquet", columns=["id"]).column("id").to_pylist()
        found["rows"] = f"{len(ids)}, {len(set(ids))} of them different"
    return found


def _differences(found: Mapping[str, str], wanted: Mapping[str, str], kill: int) -> list[str]:
    names = sorted(found.keys() | wanted.keys())
    return [f"after kill {kill}: {name} differs" for name in names if found.get(name) != wanted.get(name)]


def _kill_at(delay: float, command: Command, out: Path) -> float | None:
    """Start the command and kill it after `delay` seconds; if it ended before, the seconds that it took."""
    started, pid = time.monotonic(), _start(command, out)
    while (left := delay - (time.monotonic() - started)) > 0:
        time.sleep(min(0.01, left))
        if os.waitpid(pid, os.WNOHANG)[0]:
            return time.monotonic() - started
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return None if os.WIFSIGNALED(status) else time.monotonic() - started


def _start(command: Command, out: Path) -> int:
    return forked(lambda: _call([*command.arguments, "--out", str(out)]), out.with_suffix(".log"))


def forked(work: Callable[[], None], log: Path) -> int:
    """The id of a child that does `work`, saying what it says to the file `log`, and ends with its exit code."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        work()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _call(arguments: Sequence[str]) -> None:
    """Run the command line, committing every batch, so that a kill finds more than a beginning and an end."""
    from augforge.cli.app import main
    from augforge.data import parts

    parts.FLUSH_SECONDS = 0.0
    sys.argv = ["augforge", *arguments]
    main()


def once(command: Command, out: Path) -> Path:
    """Run a command to its end in a child; its folder."""
    assert _wait(_start(command, out)) == 0, f"{command.name} fails by itself"
    return out


def _wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
