"""With how many steps an unconditional model can fill in, from its configuration alone: no weights, no torch."""

from __future__ import annotations

from augforge.models.backends.sizes import SCHEDULER_FILE, part_config
from augforge.models.table import Model

USUAL = 1000
"""Steps of the training, where a model does not say."""


def trained_steps(model: Model, revision: str | None = None) -> int | None:
    """Steps of noise that a model was trained with; None of one that is not on this machine yet."""
    config = part_config(model, "scheduler", revision, SCHEDULER_FILE)
    return int(config.get("num_train_timesteps", USUAL)) if config else None


def most_steps(trained: int, most: int) -> int:
    """The largest number of steps up to `most` that divides those of the training."""
    return next(steps for steps in range(min(trained, most), 0, -1) if trained % steps == 0)


def why_not(steps: int, trained: int | None) -> str:
    """Why so many steps cannot be taken with a model of `trained` ones, "" if they can, or if that is not known.

    The first one has to be the noisiest of the training, and all equally far apart.
    """
    if trained is None or (steps <= trained and trained % steps == 0):
        return ""
    return f"{steps} steps do not divide the {trained} that the model was trained with"
