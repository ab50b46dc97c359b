"""Several processes that train one model together, each on a device of its own.

Each process finds its place and its device through accelerate.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from augforge.errors import AugforgeError
from augforge.optional import require

LOOK_SECONDS = 10.0


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
        "PYTHONSAFEPATH": "1",  # no code of the present folder, in them or in what starts them
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
