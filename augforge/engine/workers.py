"""More than one device: the plan's batches divided among processes, each with the model on a device of its own.

Each process finds its place and its device through accelerate; they write parts of their own into the same folder, so
nothing is sent between them. Ids, sampled parameters and batches are those of the plan, whoever makes them.
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
from augforge.optional import require

if TYPE_CHECKING:
    from augforge.engine.runners.generate import Batch
    from augforge.models import Model
    from augforge.recipe import SourceSpec
    from augforge.stages.generator import Generator


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


def generate_in_processes(task: Task, processes: int, look: Callable[[], None]) -> None:
    """Generate all batches of `task` in as many processes as asked for, and wait for them, calling `look` now and then.

    Raises:
        AugforgeError: a process failed; what the others committed is kept.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "task"
        path.write_bytes(pickle.dumps(task))
        launch("augforge.engine.runners.generate_worker", path, processes, task.device, look)


def launch(module: str, task: Path, processes: int, device: str, look: Callable[[], None]) -> None:
    """Run `python -m module task` in several processes that find each other; wait, calling `look` now and then.

    torch starts them, as `accelerate launch` would on GPUs (on a CPU that starts a single one unless MPI is there);
    in each, accelerate finds its place and its device.

    Raises:
        AugforgeError: a process failed; what the others committed is kept.
    """
    require("torch", "accelerate")
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
