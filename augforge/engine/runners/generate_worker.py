"""One process of several that make the images of a generator; `generate_in_processes` starts it."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from augforge.data.store import Parts
from augforge.engine.ingest import Pixels
from augforge.engine.runners.generate import GENERATED, generate_batches
from augforge.engine.workers import Task
from augforge.io import open_source
from augforge.models import trained_models
from augforge.progress import Progress


def work(path: Path) -> None:
    """One process: take every n-th batch, on the device that accelerate gave.

    It does not wait for the others: NCCL refuses two processes on one card, and gives up on one that is slow.
    """
    from accelerate import PartialState

    task: Task = pickle.loads(path.read_bytes())  # written by `generate_in_processes` a moment ago
    state = PartialState(cpu=task.device == "cpu")
    mine = task.batches[state.process_index :: state.num_processes]
    if state.device.type == "cuda":
        import torch

        torch.cuda.set_device(state.device)
    parts = Parts(task.folder, GENERATED, "id", lambda text: print(text, file=sys.stderr))
    pixels = Pixels([open_source(spec.kind, spec.value, **spec.options) for spec in task.sources], task.sources)
    with trained_models(task.trained):
        generate_batches(task.stage, mine, parts, pixels, task.device, Progress())
    state.destroy_process_group()


if __name__ == "__main__":
    work(Path(sys.argv[1]))
