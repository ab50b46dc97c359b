"""Run sections one after the other, each as processes of its own with a time limit; none takes another with it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import write_json

from gpu.table import SKIPPED, Section

ROOT = Path(__file__).parents[2]
TAIL = 40
"""Lines of what a section said that are kept where it failed."""
GRACE = 5.0
"""Seconds between asking a section to end and ending it."""
SHARE = 0.85
"""Of its time limit, what a section is told to plan with."""
DONE = ("ok", "skipped")


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how: the results' folder, the device, toy sizes or real ones, and the seconds of everything."""

    out: Path
    device: str
    smoke: bool
    seconds: float
    resume: bool = False


def run_sections(sections: Sequence[Section], setting: Setting) -> list[dict[str, Any]]:
    """Run them in order; the record of each, which lies in `out/NAME.json` as soon as it has ended.

    A section that ends early leaves its time to those after it, in proportion to their own.
    """
    setting.out.mkdir(parents=True, exist_ok=True)
    deadline, records = time.monotonic() + setting.seconds, []
    for place, section in enumerate(sections):
        record = _done(section, setting) if setting.resume else None
        if record is None:
            left = max(0.0, deadline - time.monotonic())
            limit = left * section.seconds / sum(other.seconds for other in sections[place:])
            record = run_section(section, setting, limit)
        print(f"== {section.name}: {record['status']}, {record['seconds']:.0f} s", flush=True)
        records.append(record)
    return records


def _done(section: Section, setting: Setting) -> dict[str, Any] | None:
    """The record of an earlier run of the same kind, if it ended well."""
    record = read_record(setting.out, section)
    wanted = {"device": setting.device, "smoke": setting.smoke}
    same = record is not None and record["status"] in DONE and all(record[name] == wanted[name] for name in wanted)
    return record if same else None


def read_record(out: Path, section: Section) -> dict[str, Any] | None:
    """The record of a section, None where there is none. Of one that was cut off, what it had measured."""
    with suppress(OSError, ValueError):
        return dict(json.loads((out / f"{section.name}.json").read_text("utf-8")))
    with suppress(OSError, ValueError):
        figures = json.loads(_figures_file(out, section).read_text("utf-8"))
        return {"section": section.name, "status": "cut off", "seconds": 0.0, "figures": figures}
    return None


def run_section(section: Section, setting: Setting, limit: float) -> dict[str, Any]:
    """Run one section for at most `limit` seconds and write its record, whatever becomes of it."""
    partial = _figures_file(setting.out, section)
    for old in (partial, setting.out / f"{section.name}.json", *(setting.out / name for name in section.files)):
        old.unlink(missing_ok=True)
    command = filled(section, setting, limit)
    print(f"== {section.name}: at most {limit:.0f} s\n$ {section.smoke if setting.smoke else section.full}", flush=True)
    started = time.monotonic()
    status, tail = execute(command, limit, setting.device)
    seconds = time.monotonic() - started
    figures = json.loads(partial.read_text("utf-8")) if partial.exists() else None
    record = {
        "section": section.name,
        "status": status,
        "seconds": round(seconds, 1),
        "limit": round(limit, 1),
        "device": setting.device,
        "smoke": setting.smoke,
        "figures": figures,
        "tail": [] if status == "ok" else tail,
    }
    write_json(setting.out / f"{section.name}.json", record)
    partial.unlink(missing_ok=True)
    return record


def _figures_file(out: Path, section: Section) -> Path:
    return out / f"{section.name}.part.json"


def filled(section: Section, setting: Setting, limit: float) -> list[str]:
    """The words of the section's command, its places filled in."""
    places = {
        "python": sys.executable,
        "device": setting.device,
        "seconds": f"{limit * SHARE:.1f}",
        "json": str(_figures_file(setting.out.absolute(), section)),
        "out": str(setting.out.absolute()),
    }
    return [word.format(**places) for word in shlex.split(section.smoke if setting.smoke else section.full)]


def execute(command: Sequence[str], limit: float, device: str) -> tuple[str, list[str]]:
    """Run a command for at most `limit` seconds, showing what it says: "ok", "failed", "skipped" or "timeout".

    Also the last lines of what it said. Nothing that it started outlives it, but for what left its process group.
    """
    if limit <= 0:
        return "timeout", ["no time was left"]
    tail: deque[str] = deque(maxlen=TAIL)
    try:
        process = _start(command, device)
    except OSError as error:
        return "failed", [str(error)]
    with _ended(process):
        reader = threading.Thread(target=_follow, args=(process, tail.append), daemon=True)
        reader.start()
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
    reader.join(GRACE)
    if code is None:
        return "timeout", list(tail)
    return {0: "ok", SKIPPED: "skipped"}.get(code, "failed"), list(tail)


def _start(command: Sequence[str], device: str) -> subprocess.Popen[str]:
    """The command in a process group of its own, finding this augforge first, and nothing on the network."""
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    settings = {"PYTHONPATH": paths, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1", "AUGFORGE_TEST_DEVICE": device}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def _follow(process: subprocess.Popen[str], keep: Callable[[str], None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        keep(line.rstrip("\n"))


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Afterwards nothing of the process's group runs: it is asked to end, and ended where it does not."""
    try:
        yield
    finally:
        if process.poll() is None:
            _signal(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[str], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
