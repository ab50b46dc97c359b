"""More than one device: the plan's batches divided among processes, each with the model on a device of its own.

Each process finds its place and its device through accelerate; they write parts of their own into the same folder, so
nothing is sent between them. Ids, draws and batches are those of the plan, whoever makes them.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from augforge.errors import AugforgeError

if TYPE_CHECKING:
    from augforge.engine.generate import Batch
    from augforge.models import Model
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
    trained: Mapping[str, Model]


def make_in_processes(task: Task, processes: int, look: Callable[[], None]) -> None:
    """Make all batches of `task` in as many processes as asked for, and wait for them, calling `look` now and then.

    Raises:
        AugforgeError: a process failed; what the others committed is kept.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "task"
        path.write_bytes(pickle.dumps(task))
        launch("augforge.engine.workers", path, processes, task.device, look)


def launch(module: str, task: Path, processes: int, device: str, look: Callable[[], None]) -> None:
    """Run `python -m module task` in several processes that find each other; wait, calling `look` now and then.

    torch starts them, as `accelerate launch` would on GPUs (on a CPU that starts a single one unless MPI is there);
    in each, accelerate finds its place and its device.

    Raises:
        AugforgeError: a process failed; what the others committed is kept.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    quiet = {
        "ACCELERATE_USE_CPU": str(device == "cpu").lower(),
        "PYTHONWARNINGS": "ignore:.*sys.modules:RuntimeWarning",
    }
    with subprocess.Popen([*command, "-m", module, str(task)], env={**os.environ, **quiet}) as running:
        while running.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                running.wait(LOOK_SECONDS)
            look()
    if running.returncode:
        raise AugforgeError(
            f"a process of {processes} failed (exit {running.returncode})",
            "what was committed is kept: its message is above; run the same command to go on",
        )


def work(path: Path) -> None:
    """One process: take every n-th batch, on the device that accelerate gave.

    Nobody waits for the others here: NCCL refuses two processes on one card, and gives up on one that is slow.
    """
    from accelerate import PartialState

    from augforge.engine.generate import MADE, make_batches
    from augforge.engine.ingest import Pixels
    from augforge.formats import open_source
    from augforge.models import trained_models
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
    with trained_models(task.trained):
        make_batches(task.stage, mine, parts, pixels, task.device, Progress())
    state.destroy_process_group()


if __name__ == "__main__":
    work(Path(sys.argv[1]))
