"""With how many steps an unconditional model can fill in, from its configuration alone: no weights, no torch."""

from __future__ import annotations

from augforge.models.backends.sizes import SCHEDULER_FILE, part_config
from augforge.models.table import Model

USUAL = 1000
"""Steps of the training, where the model does not say."""


def trained_steps(model: Model, revision: str | None = None) -> int:
    """Steps of noise that a model was trained with."""
    return int(part_config(model, "scheduler", revision, SCHEDULER_FILE).get("num_train_timesteps", USUAL))


def most_steps(trained: int, most: int) -> int:
    """The largest number of steps up to `most` that divides those of the training."""
    return next(steps for steps in range(min(trained, most), 0, -1) if trained % steps == 0)


def why_not(steps: int, trained: int) -> str:
    """Why so many steps cannot be taken with a model of `trained` ones, "" if they can.

    The first one has to be the noisiest of the training, and all equally far apart.
    """
    if steps <= trained and trained % steps == 0:
        return ""
    return f"{steps} steps do not divide the {trained} that the model was trained with"
