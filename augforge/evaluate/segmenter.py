"""Networks that give every pixel a class: a small U-Net, or torchvision's LR-ASPP on MobileNetV3, from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.metrics.overlap import VOID, confusion
from augforge.data.ids import key, seed_of
from augforge.data.sample import Sample
from augforge.errors import SourceError
from augforge.evaluate.arms import Arm
from augforge.evaluate.heldout import HeldOut
from augforge.evaluate.label_maps import Crops, LabelMap, Pixels, mask_of, numbers_of, read
from augforge.evaluate.learners import Answers, Batches, Learner, Schedule, descend
from augforge.evaluate.losses import sizes_for
from augforge.evaluate.settings import UNET

if TYPE_CHECKING:
    from torch import Tensor, nn

    from augforge.evaluate.tasks.base import Bench

STEPS, RATE = 800, 2e-3
MEAN, STD = 0.5, 0.25


class Segmenter(Learner):
    """Trains on squares of `size` px of images whose shorter side is as long; judges whole images.

    Args:
        bench: what is evaluated.
        sizes: the real pixels of each value of a mask that is a class, for balanced-softmax; others do not count.
        device: a torch device.
    """

    def __init__(self, bench: Bench, sizes: Mapping[int, int], device: str) -> None:
        self._bench, self._settings, self._device = bench, bench.settings, device
        self._classes, self._table = len(sizes), numbers_of(sorted(sizes))
        counts = sizes_for(self._settings.loss, {str(value): sizes[value] for value in sorted(sizes)})
        self._shift = None if counts is None else counts.log()[None, :, None, None].to(device)
        self._maps: dict[int, LabelMap] = {}
        self._held_out: dict[str, list[tuple[LabelMap, Pixels]]] = {}

    def prepare(self, arms: Sequence[Arm], held_out: Sequence[HeldOut]) -> None:
        """Decode everything once."""
        rows = np.unique(np.concatenate([arm.rows for arm in arms]))
        bench, size = self._bench, self._settings.size
        with bench.progress.bar("decode", len(rows)) as bar:
            for row, sample in zip(rows.tolist(), bench.ledger.samples(rows), strict=True):
                labels = self._table[mask_of(sample, bench.opened)]
                self._maps[row] = read(sample, bench.opened, size, labels)
                bar.advance()
        for some in held_out:
            self._held_out[some.source] = [self._truth(some, sample) for sample in some.ledger.samples(some.rows)]

    def _truth(self, test: HeldOut, sample: Sample) -> tuple[LabelMap, Pixels]:
        """A test image as it is seen, and its labels at their own size; SourceError where one is no class of ours."""
        mask = mask_of(sample, test.pixels)
        labels = self._table[mask]
        strangers = np.setdiff1d(mask[labels == VOID], [self._settings.ignore_index])
        if len(strangers):
            raise SourceError(
                f"{test.source}: the mask of {sample.source or sample.id} has the value {strangers[0]}, which no "
                "real image of the run has",
                "if it means that a pixel does not count, say --ignore-index",
            )
        return read(sample, test.pixels, self._settings.size, labels), labels

    def predict(self, arm: Arm, seed: int, held_out: Sequence[HeldOut]) -> list[Answers]:
        """Train, and answer with confusion counts (n, c, c); see the base class."""
        import torch
        from torch.nn.functional import cross_entropy

        net = self._begin(seed)
        crops = Crops(self._maps, self._settings.size, flip=self._settings.flip, classical=arm.classical)
        weights = torch.from_numpy(arm.weights).float().to(self._device)

        def loss_of(places: NDArray[np.int64], random: np.random.Generator) -> Tensor:
            pictures, labels = crops.drawn(arm.rows[places].tolist(), random)
            labels, logits = labels.to(self._device), self._logits(net, pictures)
            if self._shift is not None:
                logits = logits + self._shift  # Balanced Softmax (Ren et al., NeurIPS 2020), of pixels
            each = cross_entropy(logits, labels, ignore_index=VOID, reduction="none")
            counted = (labels != VOID).sum().clamp(min=1)
            return (each * weights[places][:, None, None]).sum() / counted

        batches = Batches.of(self._settings, arm.name, (self._bench.ledger, arm.rows))
        schedule = Schedule(self._settings.steps or STEPS, self._settings.rate or RATE)
        descend(net, loss_of, batches, seed, schedule)
        return [self._judged(net, self._held_out[some.source]) for some in held_out]

    def _begin(self, seed: int) -> nn.Module:
        """The network of a seed, before its training."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(key("evaluate", seed, "initial weights")))
            return segmentation_network(self._settings.learner, self._classes).to(self._device)

    def _logits(self, net: nn.Module, pictures: Tensor) -> Tensor:
        """(b, c, h, w) of uint8 (b, 3, h, w)."""
        found = net((pictures.to(self._device).float() / 255 - MEAN) / STD)
        logits: Tensor = found["out"] if isinstance(found, dict) else found
        return logits.float()

    def _judged(self, net: nn.Module, images: Sequence[tuple[LabelMap, Pixels]]) -> Answers:
        """(n, c, c) confusion counts, at the size of each mask as it is stored."""
        import torch
        from torch.nn.functional import interpolate

        counts = []
        with torch.inference_mode():
            for seen, truth in images:
                picture = torch.from_numpy(seen.image.copy()).permute(2, 0, 1)[None]
                logits = interpolate(self._logits(net, picture), truth.shape, mode="bilinear", align_corners=False)
                said = logits.argmax(dim=1)[0].cpu().numpy().astype(np.uint8)
                counts.append(confusion(truth, said, self._classes))
        return np.stack(counts)


def segmentation_network(name: str, classes: int) -> nn.Module:
    """`unet` (ours, 0.5 million parameters) or `lraspp` (torchvision's, 3.2 million), with new weights."""
    if name == UNET:
        from augforge.models.networks.unet import UNet

        return UNet(classes)
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    net: nn.Module = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes)
    return net
