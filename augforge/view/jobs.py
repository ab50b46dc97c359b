"""Run the recipe again in the background, one run at a time, and say how far it is."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock, Thread
from typing import IO, Any, Literal

from augforge.engine.status import status
from augforge.errors import AugforgeError
from augforge.view.refusals import conflict

State = Literal["none", "running", "done", "failed", "stopped"]
PROGRAM = (sys.executable, "-P", "-m", "augforge")
"""Without the present folder among those that modules are looked for in: it may be that of a run from elsewhere."""
TAIL = 4000
"""Bytes of what a failed run said that are shown."""
GRACE = 20.0
"""Seconds that a run has to stop by itself; what it has committed is kept in any case."""


NONE: dict[str, Any] = {
    "state": "none",
    "command": "",
    "started": None,
    "ended": None,
    "stages": [],
    "step": None,
    "message": "",
    "summary": None,
}
"""What is said before there was any run."""


@dataclass(slots=True)
class _Job:
    command: list[str]
    process: subprocess.Popen[bytes]
    out: IO[bytes]
    told: IO[bytes]
    started: float
    ended: float | None = None
    stopped: bool = False
    summary: dict[str, Any] | None = None
    message: str = ""


class Jobs:
    """The background runs of a server by `program`. `after` is called when one has ended well."""

    def __init__(self, folder: Path, after: Callable[[], None], program: Sequence[str] = PROGRAM) -> None:
        self._folder, self._after, self._program = folder, after, program
        self._lock = Lock()
        self._job: _Job | None = None

    def start(self, recipe: Path, options: Sequence[str] = ()) -> None:
        """Begin to run a recipe into the folder.

        Raises:
            Refusal: a run is under way.
        """
        words = ["run", str(recipe), "--out", str(self._folder), "--json", *options]
        with self._lock:
            if self._job is not None and self._job.ended is None:
                raise conflict("a run is under way already", "wait for it, or stop it")
            out, told = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - `_watch` closes them
            process = subprocess.Popen(
                [*self._program, *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=told,
                start_new_session=True,
            )
            self._job = _Job(["augforge", *words], process, out, told, time.time())
            Thread(target=self._watch, args=(self._job,), daemon=True).start()

    def stop(self) -> None:
        """End the run, as Ctrl-C would; what it has made is kept."""
        with self._lock:
            job = self._job
            if job is None or job.ended is not None:
                return
            job.stopped = True
        with suppress(ProcessLookupError):
            job.process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            job.process.wait(GRACE)
        if job.process.poll() is None:
            job.process.kill()

    def plain(self) -> dict[str, Any]:
        """How far the last one is, as JSON."""
        job = self._job
        if job is None:
            return dict(NONE)
        state = _state(job)
        stages, step = self._far() if state == "running" else ([], None)
        return {
            "state": state,
            "command": shlex.join(job.command),
            "started": job.started,
            "ended": job.ended,
            "stages": stages,
            "step": step,
            "message": job.message,
            "summary": job.summary,
        }

    def _far(self) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        """The stages, and what the run is about now; nothing before it has said anything."""
        try:
            found = status(self._folder)
        except AugforgeError:
            return [], None
        return [asdict(stage) for stage in found.stages], None if found.step is None else asdict(found.step)

    def _watch(self, job: _Job) -> None:
        """Wait for the end of a run, and take in what it says."""
        job.process.wait()
        job.out.seek(0)
        with suppress(ValueError):
            job.summary = json.loads(job.out.read())
        job.told.seek(0)
        job.message = job.told.read()[-TAIL:].decode(errors="replace").strip() if job.process.returncode else ""
        job.out.close()
        job.told.close()
        try:
            if not job.process.returncode:
                self._after()
        except AugforgeError as error:
            job.message = f"the run ended well, and cannot be opened: {error.message}"
        finally:
            job.ended = time.time()


def _state(job: _Job) -> State:
    if job.ended is None:
        return "running"
    if not job.process.returncode:
        return "done"
    return "stopped" if job.stopped else "failed"
