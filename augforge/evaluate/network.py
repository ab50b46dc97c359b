"""Networks on pixels: a small residual network from scratch, or any of timm's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from augforge.data import images
from augforge.data.ids import key, seed_of
from augforge.data.ledger import Indices, Ledger
from augforge.data.sample import Sample
from augforge.errors import AugforgeError, BadImage
from augforge.evaluate.arms import Arm
from augforge.evaluate.classical import OPERATIONS, Operation
from augforge.evaluate.goals import Goal
from augforge.evaluate.heldout import HeldOut
from augforge.evaluate.learners import Answers, Batches, Learner, Schedule, TrainingData, fit
from augforge.evaluate.settings import RESNET, TIMM, Settings
from augforge.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor, nn

    from augforge.evaluate.tasks.base import Bench

STEPS, RATE, FINE_TUNING = 1500, 2e-3, 3e-4
WIDTHS = (16, 32, 64, 128)
AT_ONCE = 256
Seen = NDArray[np.uint8]


def small_resnet(classes: int) -> nn.Module:
    """A residual network (He et al., CVPR 2016) for pictures of 32 to 96 px, four blocks of 16 to 128 channels.

    It is timm's with a first layer of 3x3 in place of 7x7, and no pooling after it. About 0.3 million parameters.
    """
    from timm.models.resnet import BasicBlock, ResNet
    from torch.nn import Conv2d, Identity

    net: nn.Module = ResNet(BasicBlock, (1, 1, 1, 1), num_classes=classes, channels=WIDTHS, stem_width=WIDTHS[0])
    net.conv1, net.maxpool = Conv2d(3, 64, 3, stride=2, padding=1, bias=False), Identity()
    return net


def squares(samples: Iterable[Sample], count: int, pixels: Any, size: int, progress: Progress) -> Seen:
    """(count, size, size, 3) the pictures of samples: the shorter side fits, the longer is cut at both ends.

    Raises:
        AugforgeError: one cannot be read.
    """
    found = np.empty((count, size, size, 3), dtype=np.uint8)
    with progress.bar("decode", count) as bar:
        for place, sample in enumerate(samples):
            try:
                picture = images.decode(pixels.bytes_of(sample))
            except BadImage as error:
                raise AugforgeError(
                    f"image {sample.id} cannot be read any more: {error.message}", "run again"
                ) from error
            found[place] = np.asarray(ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC))
            bar.advance()
    return found


def begun(
    settings: Settings, classes: int, seed: int, device: str
) -> tuple[nn.Module, Sequence[float], Sequence[float]]:
    """The network of a seed, and the mean and deviation of each channel that it wants taken away."""
    import torch

    if settings.learner.startswith(TIMM):
        from augforge.models.classifier import begin_timm, timm_view

        name = settings.learner.removeprefix(TIMM)
        net, _ = begin_timm(name, classes, settings.size, settings.weights, seed)
        view = timm_view(net, settings.size)
        return net.to(device), view.mean, view.std
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(key("evaluate", seed, "initial weights")))
        return small_resnet(classes).to(device), (0.5,) * 3, (0.25,) * 3


def outputs(net: nn.Module, views: Views, seen: Seen) -> NDArray[np.float32]:
    """(n, d) what a trained network gives for images (n, s, s, 3), as they are."""
    import torch

    parts = []
    with torch.inference_mode():
        for start in range(0, len(seen), AT_ONCE):
            batch = torch.from_numpy(seen[start : start + AT_ONCE]).permute(0, 3, 1, 2)
            parts.append(net(views.numbers(batch)).float().cpu().numpy())
    return np.concatenate(parts)


class NetworkLearner(Learner):
    """Trains a network on squares of `size` px, all of them in memory as bytes.

    Every arm's images are shifted by up to an eighth of their side and, with `flip`, half of them mirrored; those of
    the classical arm go through RandAugment or `darken` before.
    """

    def __init__(self, bench: Bench, goal: Goal, device: str) -> None:
        self._ledger, self._pixels, self._settings = bench.ledger, bench.opened, bench.settings
        self._goal, self._device, self._progress = goal, device, bench.progress
        self._rows = np.zeros(0, dtype=np.int64)
        self._seen: Seen = np.zeros((0, 0, 0, 3), dtype=np.uint8)
        self._held_out: dict[str, Seen] = {}

    def prepare(self, arms: Sequence[Arm], held_out: Sequence[HeldOut]) -> None:
        """Decode everything once."""
        self._rows = np.unique(np.concatenate([arm.rows for arm in arms]))
        self._seen = self._read(self._ledger, self._rows, self._pixels)
        for some in held_out:
            self._held_out[some.source] = self._read(some.ledger, some.rows, some.pixels)

    def _read(self, ledger: Ledger, rows: Indices, pixels: Any) -> Seen:
        return squares(ledger.samples(rows), len(rows), pixels, self._settings.size, self._progress)

    def predict(self, arm: Arm, seed: int, held_out: Sequence[HeldOut]) -> list[Answers]:
        """Train and answer; see the base class."""
        net, mean, std = begun(self._settings, len(self._ledger.classes), seed, self._device)
        places = np.searchsorted(self._rows, arm.rows)
        batches = Batches.of(self._settings, arm.name, (self._ledger, arm.rows))
        operation = OPERATIONS[self._settings.classical] if arm.classical else None
        views = Views(self._seen[places], mean, std, self._settings.flip, operation, self._device)
        data = TrainingData(self._goal.targets(self._ledger, arm.rows), arm.weights, batches, self._goal)
        rate = self._settings.rate or (RATE if self._settings.learner == RESNET else FINE_TUNING)
        fit(net, data, views.drawn, self._settings, seed, Schedule(self._settings.steps or STEPS, rate))
        return [self._goal.answers(outputs(net, views, self._held_out[some.source])) for some in held_out]


class Views:
    """What a network sees of images (n, s, s, 3): normalised tensors (b, 3, s, s), drawn anew for every batch.

    `operation` is what the classical arm does to them, None of others.
    """

    def __init__(
        self,
        seen: Seen,
        mean: Sequence[float],
        std: Sequence[float],
        flip: bool,
        operation: Operation | None,
        device: str,
    ) -> None:
        self._seen, self._mean, self._std = seen, mean, std
        self._flip, self._operation, self._device = flip, operation, device

    def drawn(self, rows: NDArray[np.int64], random: np.random.Generator) -> Tensor:
        """Shifted, perhaps mirrored, after the operation of the classical arm."""
        import torch

        batch = torch.from_numpy(self._seen[rows]).permute(0, 3, 1, 2)
        if self._operation is not None:
            seeds = random.integers(1 << 62, size=len(rows)).tolist()
            batch = torch.stack([self._operation(picture, seed) for picture, seed in zip(batch, seeds, strict=True)])
        return self.numbers(shifted(batch, random, self._flip))

    def numbers(self, batch: Tensor) -> Tensor:
        """uint8 (b, 3, s, s) as normalised floats on the device."""
        import torch

        mean, std = (torch.tensor(values, device=self._device).view(1, 3, 1, 1) for values in (self._mean, self._std))
        return (batch.to(self._device).float().div(255) - mean) / std


def shifted(batch: Tensor, random: np.random.Generator, flip: bool) -> Tensor:
    """(b, 3, s, s) each moved by up to s/8 px in both directions, its border mirrored, and half of them flipped."""
    import torch
    from torch.nn.functional import pad

    count, _, side, _ = batch.shape
    most = side // 8
    wide = pad(batch.float(), (most,) * 4, mode="reflect").to(batch.dtype)
    down, across = random.integers(2 * most + 1, size=(2, count, 1))
    rows = torch.from_numpy(down + np.arange(side))
    columns = torch.from_numpy(across + np.arange(side))
    mirrored = torch.from_numpy(random.random((count, 1)) < (0.5 if flip else 0.0))
    columns = torch.where(mirrored, columns.flip(1), columns)
    moved = wide[torch.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2).contiguous()
