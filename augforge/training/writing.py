"""Writing a model directory: weights, sample grid, loss curves and card, `model.json` last."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augforge.data.files import seal, write_atomically
from augforge.errors import ModelError
from augforge.models.directory import CHECKPOINT, FORMAT, MORE_WEIGHTS, RECORD, WEIGHTS, WEIGHTS_FILE
from augforge.training import show

if TYPE_CHECKING:
    from augforge.training.loop import History
    from augforge.training.task import Result, TrainingTask


def write_model(
    folder: Path, record: Mapping[str, Any], training_task: TrainingTask, history: History, seconds: float | None
) -> None:
    """Write everything that a finished training leaves, `model.json` last; the checkpoint goes."""
    result = training_task.result()
    contents = _weights(result)
    whole = {
        "format": FORMAT,
        **record,
        "facts": dict(result.facts),
        "measured": {k: v for k, v in history.measured[-1].items() if k != "step"},
        "history": {"losses": history.losses, "measured": history.measured},
    }
    digests = {file: hashlib.sha256(content).hexdigest() for file, content in contents.items()}
    whole["weights"] = digests.pop(result.weights_file)
    if result.weights_file != WEIGHTS:
        whole[WEIGHTS_FILE] = result.weights_file
    if digests:
        whole[MORE_WEIGHTS] = digests
    for name, data in {**contents, **result.files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / name, data)
    write_atomically(folder / "samples.png", show.grid_png(training_task.sample_grid()))
    write_atomically(folder / "losses.png", show.curves_png(history.losses, history.measured))
    write_atomically(folder / "README.md", show.card(whole, folder.name, seconds).encode())
    write_atomically(folder / RECORD, seal(whole))
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _weights(result: Result) -> dict[str, bytes]:
    """The files of weights, by where they lie; ModelError where a weight is no number."""
    from safetensors.torch import save

    weights = {result.weights_file: result.weights, **result.more_weights}
    if not all(bool(tensor.isfinite().all()) for tensors in weights.values() for tensor in tensors.values()):
        raise ModelError("the training diverged in its last steps: weights are no numbers", "try a smaller --rate")
    header = dict(result.metadata) or None
    return {
        file: save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, metadata=header)
        for file, tensors in weights.items()
    }
