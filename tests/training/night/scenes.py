"""Toy streets by day and by night, pictures out of arrays, and a loop of ten lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from augforge.data.ids import rng
from augforge.data.images import encode_png
from augforge.data.sample import Sample
from augforge.training.images import TrainingImages
from augforge.training.task import TrainingContext, TrainingTask


def scene(random: np.random.Generator, night: bool, size: int = 72) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Sky, road and houses; at night everything is dark and blue, and some windows are lit."""
    rows = np.linspace(0, 1, size)[:, None, None]
    picture = np.array([0.55, 0.72, 0.95]) * (1 - 0.25 * rows) * np.ones((size, size, 1))
    road = int(size * random.uniform(0.65, 0.8))
    picture[road:] = random.uniform(0.35, 0.5)
    lit = np.zeros((size, size), bool)
    left = 0
    while left < size - 8:
        width, height = int(random.integers(12, 24)), int(random.integers(20, 45))
        top = max(2, road - height)
        picture[top:road, left : left + width] = random.uniform(0.3, 0.9, 3)
        for y in range(top + 4, road - 7, 9):
            for x in range(left + 3, min(left + width, size) - 5, 8):
                picture[y : y + 4, x : x + 4] = random.uniform(0.75, 1.0) if random.random() < 0.5 else 0.15
                lit[y : y + 4, x : x + 4] = random.random() < 0.3
        left += width + int(random.integers(3, 12))
    if night:
        picture = picture * np.array([0.2, 0.22, 0.32])
        picture[lit] = [0.9, 0.75, 0.35]
    noisy = picture + random.normal(0, 0.01, picture.shape)
    return (noisy.clip(0, 1) * 255).round().astype(np.uint8)


def pictures_of(arrays: list[np.ndarray[Any, np.dtype[np.uint8]]]) -> TrainingImages:
    """Samples with these pixels."""
    from PIL import Image

    encoded = {f"{number:020d}": encode_png(Image.fromarray(array)) for number, array in enumerate(arrays)}
    samples = [Sample(id=name, label=None, digest=name) for name in encoded]
    return TrainingImages(samples, lambda sample: encoded[sample.id])


def days(count: int, seed: int = 0) -> TrainingImages:
    random = np.random.default_rng(seed)
    return pictures_of([scene(random, night=False) for _ in range(count)])


def nights(count: int, seed: int = 1) -> TrainingImages:
    random = np.random.default_rng(seed)
    return pictures_of([scene(random, night=True) for _ in range(count)])


def context(steps: int, seed: int = 0) -> TrainingContext:
    torch.manual_seed(seed)
    return TrainingContext(Accelerator(cpu=True), seed, steps)


def run(training_task: TrainingTask, start: int = 0, stop: int | None = None) -> list[dict[str, float]]:
    """Steps `start` to `stop`, each seeded by its number, at the course's pace."""
    losses = []
    for net in training_task.frozen.values():
        net.eval().requires_grad_(False)
    for step in range(start, training_task.context.steps if stop is None else stop):
        torch.manual_seed(training_task.context.seed * 1000 + step)
        for optimizer in training_task.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * training_task.lr_factor(step)
        for net in training_task.nets.values():
            net.train()
        found = training_task.step(training_task.batch(rng(training_task.context.seed, f"batch-{step}")))
        losses.append({name: float(value) for name, value in found.items()})
    return losses
