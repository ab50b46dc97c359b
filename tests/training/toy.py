"""A course small enough to follow by hand: a 1x1 convolution learns to invert pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from augforge.models.tensors import eval_mode, to_picture
from augforge.training.loop import context_for
from augforge.training.task import Batch, Result, SampleGrid, TrainingContext, TrainingTask


class Inverting(TrainingTask):
    """Learns y = -x; remembers a running sum, which a checkpoint has to hold."""

    def __init__(self, context: TrainingContext, rate: float = 0.05, collapse: bool = False) -> None:
        super().__init__(context)
        self.nets = {"net": nn.Sequential(nn.Conv2d(3, 3, 1), nn.Dropout(0.1))}
        self.optimizers = {"net": torch.optim.Adam(self.nets["net"].parameters(), lr=rate)}
        self.total, self.seen = 0.0, []
        self._collapse = collapse

    def batch(self, random: np.random.Generator) -> Batch:
        return {"x": torch.from_numpy(random.uniform(-1, 1, (2, 3, 4, 4)).astype(np.float32))}

    def step(self, batch: Batch) -> dict[str, Tensor]:
        made = self.nets["net"](batch["x"]) + 0.01 * torch.randn_like(batch["x"])
        loss = (made + batch["x"]).abs().mean()
        self.update("net", loss)
        self.total += float(loss.detach())
        return {"loss": loss.detach()}

    def _fixed(self) -> Tensor:
        inputs = torch.linspace(-1, 1, 3 * 16 * 3).reshape(3, 3, 4, 4)
        with eval_mode(self.nets["net"]):
            return self.nets["net"](inputs.to(self.context.device)).float().cpu()

    def sample_grid(self) -> SampleGrid:
        return SampleGrid(["out"], [[to_picture(picture)] for picture in self._fixed()])

    def measure(self) -> dict[str, float]:
        return {"level": float(self._fixed().mean())}

    def outputs(self) -> np.ndarray[Any, Any]:
        made = self._fixed().permute(0, 2, 3, 1).numpy() / 2 + 0.5
        return np.zeros_like(made) if self._collapse else made

    def result(self) -> Result:
        return Result(self.nets["net"].state_dict(), {"architecture": "toy"})

    def state_dict(self) -> dict[str, Any]:
        return {"total": self.total, "nested": [torch.ones(2), {"a": None}]}

    def load_state_dict(self, state: Any) -> None:
        self.total = state["total"]


def toy(steps: int = 40, seed: int = 1, **options: Any) -> Inverting:
    return Inverting(context_for(Accelerator(cpu=True), seed, steps), **options)
