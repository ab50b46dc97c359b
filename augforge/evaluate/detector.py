"""Networks that find things and draw boxes around them: a small FCOS, or torchvision's SSDlite, from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.metrics.detection import Found
from augforge.data.ids import key, seed_of
from augforge.errors import SourceError, did_you_mean
from augforge.evaluate.arms import Arm
from augforge.evaluate.heldout import HeldOut
from augforge.evaluate.learners import Answers, Batches, Learner, Schedule, descend
from augforge.evaluate.scenes import Moves, Scene, count_boxes, read_scene
from augforge.evaluate.settings import FCOS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from augforge.evaluate.tasks.base import Bench

STEPS, RATE = 1500, 1e-3
AT_ONCE = 32


class Detector(Learner):
    """Trains on images as squares of `size` px; answers with the boxes of each image, in its own px.

    Args:
        bench: what is evaluated.
        names: (c,) the classes.
        device: a torch device.
    """

    def __init__(self, bench: Bench, names: Sequence[str], device: str) -> None:
        self._bench, self._settings, self._device, self._names = bench, bench.settings, device, names
        self._scenes: dict[int, Scene] = {}
        self._held_out: dict[str, list[Scene]] = {}

    def prepare(self, arms: Sequence[Arm], held_out: Sequence[HeldOut]) -> None:
        """Decode everything once."""
        rows = np.unique(np.concatenate([arm.rows for arm in arms]))
        bench, size = self._bench, self._settings.size
        with bench.progress.bar("decode", len(rows)) as bar:
            for row, sample in zip(rows.tolist(), bench.ledger.samples(rows), strict=True):
                self._scenes[row] = read_scene(sample, bench.opened, size, self._names)
                bar.advance()
        for some in held_out:
            self._refuse_strangers(some)
            scenes = (read_scene(one, some.pixels, size, self._names) for one in some.ledger.samples(some.rows))
            self._held_out[some.source] = list(scenes)

    def _refuse_strangers(self, test: HeldOut) -> None:
        """SourceError where a test image has a thing of a class that no real image of the run has."""
        for name in count_boxes(test.ledger.samples(test.rows)):
            if name not in self._names:
                raise SourceError(
                    f"{test.source} has boxes of the class {name!r}, which no real image of the run has",
                    did_you_mean(name, list(self._names)),
                )

    def predict(self, arm: Arm, seed: int, held_out: Sequence[HeldOut]) -> list[Answers]:
        """Train, and answer with (n,) arrays of boxes (k, 6); see the base class and `Found`."""
        net, settings = self._begin(seed), self._settings
        moves = Moves(settings.size, flip=settings.flip, classical=arm.classical)

        def loss_of(places: NDArray[np.int64], random: np.random.Generator) -> Tensor:
            scenes = [self._scenes[row] for row in arm.rows[places].tolist()]
            drawn = [moves.drawn(one, int(random.integers(1 << 62))) for one in scenes]
            return weighted_loss(net, [self._given(*one) for one in drawn], arm.weights[places])

        batches = Batches.of(settings, arm.name, (self._bench.ledger, arm.rows))
        schedule = Schedule(settings.steps or STEPS, settings.rate or RATE)
        descend(net, loss_of, batches, seed, schedule)
        return [self._found(net, self._held_out[some.source]) for some in held_out]

    def _begin(self, seed: int) -> nn.Module:
        """The network of a seed, before its training."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(key("evaluate", seed, "initial weights")))
            return detection_network(self._settings.learner, len(self._names), self._settings.size).to(self._device)

    def _given(self, picture: Tensor, target: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """A picture in [0, 1] and its boxes, on the device."""
        return picture.to(self._device).float() / 255, {name: t.to(self._device) for name, t in target.items()}

    def _found(self, net: nn.Module, scenes: Sequence[Scene]) -> Answers:
        """(n,) the boxes of each image."""
        import torch

        answers = np.empty(len(scenes), dtype=object)
        with torch.inference_mode():
            for start in range(0, len(scenes), AT_ONCE):
                some = scenes[start : start + AT_ONCE]
                pictures = [torch.from_numpy(one.pixels.copy()).permute(2, 0, 1) for one in some]
                said = net([picture.to(self._device).float() / 255 for picture in pictures])
                for place, (scene, one) in enumerate(zip(some, said, strict=True), start):
                    answers[place] = _boxes_of(one, scene)
        return answers


def weighted_loss(
    net: nn.Module, drawn: Sequence[tuple[Tensor, dict[str, Tensor]]], weights: NDArray[np.float64]
) -> Tensor:
    """The sum of a detector's losses, the mean over the batch; image by image where their weights (b,) differ."""
    if (weights == 1).all():
        return _losses(net, drawn)
    each = [_losses(net, [one]) * float(weight) for one, weight in zip(drawn, weights, strict=True)]
    return sum(each[1:], each[0]) / len(each)


def _losses(net: nn.Module, drawn: Sequence[tuple[Tensor, dict[str, Tensor]]]) -> Tensor:
    losses = list(net([picture for picture, _ in drawn], [target for _, target in drawn]).values())
    total: Tensor = sum(losses[1:], losses[0])
    return total


def _boxes_of(said: dict[str, Any], scene: Scene) -> Found:
    """(k, 6) what a detector said of a scene, in px of the image; classes count from 0."""
    scale = np.array([scene.width, scene.height] * 2) / len(scene.pixels)
    boxes, scores, names = (said[name].cpu().numpy() for name in ("boxes", "scores", "labels"))
    found: Found = np.concatenate([boxes * scale, scores[:, None], names[:, None] - 1], axis=1).astype(np.float32)
    return found


def detection_network(name: str, classes: int, size: int) -> nn.Module:
    """`fcos` (ours, 0.9 million parameters) or `ssdlite` (torchvision's at 320 px, 3.4 million), with new weights."""
    if name == FCOS:
        from augforge.models.networks.detector import small_detector

        return small_detector(classes, size)
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    net: nn.Module = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes + 1)
    return net
