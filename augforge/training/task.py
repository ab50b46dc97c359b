"""What one architecture brings to a training: networks, optimisers, a step, and what to show of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from augforge.models.directory import WEIGHTS

Batch = Mapping[str, Any]
"""What `batch` prepares on the CPU: tensors (b, …) by name, and plain values. The loop moves tensors to the device."""


@dataclass(frozen=True, slots=True)
class TrainingContext:
    """What every training task is given: the accelerator (device, precision, processes), the seed, the steps."""

    accelerator: Accelerator
    seed: int
    steps: int

    @property
    def device(self) -> torch.device:
        """Where the networks live."""
        device: torch.device = self.accelerator.device
        return device


@dataclass(frozen=True, slots=True)
class SampleGrid:
    """A sample sheet: rows of equally large pictures (h, w, 3) uint8, under one title a column."""

    titles: Sequence[str]
    rows: Sequence[Sequence[NDArray[np.uint8]]]


@dataclass(frozen=True, slots=True)
class Result:
    """What is saved: the weights that inference needs, and the plain facts that rebuild the network around them.

    `weights_file` is where in the model directory the weights lie, and `files` are others that lie beside them, for
    libraries that look for a layout of their own. `more_weights` are further files of weights, by where they lie, and
    `metadata` is what every one of them says in its header.
    """

    weights: Mapping[str, Tensor]
    facts: Mapping[str, Any] = field(default_factory=dict)
    weights_file: str = WEIGHTS
    files: Mapping[str, bytes] = field(default_factory=dict)
    more_weights: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


class TrainingTask(ABC):
    """One training. A subclass fills `nets` and `optimizers` in its constructor; the loop does the rest.

    All randomness of a step comes from the generator that `batch` is given, or from torch's own, which the loop
    seeds before every step: a resumed training repeats the interrupted one.
    """

    def __init__(self, context: TrainingContext) -> None:
        self.context = context
        self.nets: dict[str, nn.Module] = {}
        """Everything with parameters that learn: moved to the device, and saved in checkpoints, by the loop."""
        self.frozen: dict[str, nn.Module] = {}
        """What never learns (a teacher): moved to the device, not saved."""
        self.optimizers: dict[str, torch.optim.Optimizer] = {}

    @abstractmethod
    def batch(self, random: np.random.Generator) -> Batch:
        """The inputs of one step, from the training images. Called in another thread, ahead of the step."""

    def batch_at(self, step: int, random: np.random.Generator) -> Batch:
        """As `batch`, for a training whose steps are not all alike."""
        return self.batch(random)

    @abstractmethod
    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Learn from one batch, through `update`; the losses by name, detached, scalar."""

    @abstractmethod
    def sample_grid(self) -> SampleGrid:
        """The same few examples every time, in eval mode: what goes in, what comes out."""

    @abstractmethod
    def measure(self) -> dict[str, float]:
        """Figures over fixed examples that were held out where there are enough of them, in eval mode."""

    @abstractmethod
    def result(self) -> Result:
        """What a model directory needs to use the trained network."""

    def outputs(self) -> NDArray[np.float32] | None:
        """(n, h, w, 3) in [0, 1], what comes out for a few different inputs; the loop looks whether it collapsed.

        None for a task that makes no pictures.
        """
        return None

    def finished(self, measured: Sequence[Mapping[str, float]]) -> bool:
        """Whether what was measured so far says that more steps are of no use."""
        return False

    def lr_factor(self, step: int) -> float:
        """The factor of the learning rate: constant, then falling linearly to zero over the second half."""
        half = self.context.steps / 2
        return 1.0 if step < half else max(0.0, (self.context.steps - step) / (self.context.steps - half))

    def state_dict(self) -> dict[str, Any]:
        """What else a checkpoint has to hold, such as an image pool: nested dicts and lists of tensors and numbers."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027  # most have nothing to take back
        """Take back what `state_dict` gave."""

    def update(self, name: str, loss: Tensor) -> None:
        """One step of the optimiser called `name` down `loss`; gradients are averaged over the processes."""
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        accelerator = self.context.accelerator
        accelerator.backward(loss)
        if accelerator.num_processes > 1:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        parameter.grad = accelerator.reduce(parameter.grad, "mean")
        optimizer.step()
