"""Writing a model directory: weights, sample grid, loss curves and card, `model.json` last."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augforge.data.files import seal, write_atomically
from augforge.errors import ModelError
from augforge.models.directory import CHECKPOINT, FORMAT, RECORD, WEIGHTS, WEIGHTS_FILE
from augforge.training import show

if TYPE_CHECKING:
    from augforge.training.loop import History
    from augforge.training.task import TrainingTask


def write_model(
    folder: Path, record: Mapping[str, Any], training_task: TrainingTask, history: History, seconds: float | None
) -> None:
    """Write everything that a finished training leaves, `model.json` last; the checkpoint goes."""
    from safetensors.torch import save

    result = training_task.result()
    if not all(bool(tensor.isfinite().all()) for tensor in result.weights.values()):
        raise ModelError("the training diverged in its last steps: weights are no numbers", "try a smaller --rate")
    whole = {
        "format": FORMAT,
        **record,
        "facts": dict(result.facts),
        "measured": {k: v for k, v in history.measured[-1].items() if k != "step"},
        "history": {"losses": history.losses, "measured": history.measured},
    }
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in result.weights.items()}
    content = save(weights)
    whole["weights"] = hashlib.sha256(content).hexdigest()
    if result.weights_file != WEIGHTS:
        whole[WEIGHTS_FILE] = result.weights_file
    for name, data in {result.weights_file: content, **result.files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / name, data)
    write_atomically(folder / "samples.png", show.grid_png(training_task.sample_grid()))
    write_atomically(folder / "losses.png", show.curves_png(history.losses, history.measured))
    write_atomically(folder / "README.md", show.card(whole, folder.name, seconds).encode())
    write_atomically(folder / RECORD, seal(whole))
    (folder / CHECKPOINT).unlink(missing_ok=True)
