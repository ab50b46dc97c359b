"""More than one device: the plan's batches divided among processes, each with the model on a device of its own.

`accelerate launch` starts the processes and gives each its device; they write parts of their own into the same
folder, so nothing is sent between them. Ids, draws and batches are those of the plan, whoever makes them.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from augforge.errors import AugforgeError

if TYPE_CHECKING:
    from augforge.engine.generate import Batch
    from augforge.recipe import SourceSpec
    from augforge.stage import Generator


LOOK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Task:
    """What every process is given; it makes the batches whose turn is its own."""

    stage: Generator
    batches: Sequence[Batch]
    folder: Path
    sources: Sequence[SourceSpec]
    device: str


def make_in_processes(task: Task, processes: int, look: Callable[[], None]) -> None:
    """Make all batches of `task` in as many processes as asked for, and wait for them, calling `look` now and then.

    Raises:
        AugforgeError: a process failed; what the others committed is kept.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "task"
        path.write_bytes(pickle.dumps(task))
        command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(processes)]
        command += [
            "--num_machines",
            "1",
            "--mixed_precision",
            "no",
            "--dynamo_backend",
            "no",
            "--main_process_port",
            "0",
        ]
        command += ["--cpu"] if task.device == "cpu" else ["--multi_gpu"]
        with subprocess.Popen([*command, "-m", "augforge.engine.workers", str(path)]) as running:
            while running.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    running.wait(LOOK_SECONDS)
                look()
    if running.returncode:
        raise AugforgeError(
            f"a process that made images failed (exit {running.returncode})",
            "what was committed is kept: its message is above; run the same command to go on",
        )


def work(path: Path) -> None:
    """One process: take every n-th batch, on the device that accelerate gave."""
    from accelerate import PartialState

    from augforge.engine.generate import MADE, make_batches
    from augforge.engine.ingest import Pixels
    from augforge.formats import open_source
    from augforge.progress import Progress
    from augforge.store import Parts

    task: Task = pickle.loads(path.read_bytes())  # written by `make_in_processes` a moment ago
    state = PartialState(cpu=task.device == "cpu")
    mine = task.batches[state.process_index :: state.num_processes]
    if state.device.type == "cuda":
        import torch

        torch.cuda.set_device(state.device)
    parts = Parts(task.folder, MADE, "id", lambda text: print(text, file=sys.stderr))
    pixels = Pixels([open_source(spec.kind, spec.value, **spec.options) for spec in task.sources], task.sources)
    make_batches(task.stage, mine, parts, pixels, task.device, Progress())
    state.wait_for_everyone()
    state.destroy_process_group()


if __name__ == "__main__":
    work(Path(sys.argv[1]))
