"""Scenes drawn for the tests, as pictures with label maps, and the smallest loop that trains on them."""

from __future__ import annotations

import io

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image

from augforge.data.sample import Sample
from augforge.training.images import TrainingImages
from augforge.training.task import TrainingContext, TrainingTask

COLOURS = np.array([(40, 70, 160), (220, 60, 50), (70, 190, 80), (235, 215, 60)])


def draw_mask(random: np.random.Generator, size: int) -> np.ndarray:
    """Two half planes (0 and 3), a disc (1) and a box (2), each anywhere."""
    y, x = np.mgrid[:size, :size] / size
    angle = random.uniform(0, 2 * np.pi)
    mask = np.where(np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5) > random.uniform(-0.2, 0.2), 3, 0)
    mask[np.hypot(x - random.uniform(0.2, 0.8), y - random.uniform(0.2, 0.8)) < random.uniform(0.12, 0.25)] = 1
    left, top = random.uniform(0, 0.6, 2)
    mask[(x > left) & (x < left + 0.3) & (y > top) & (y < top + 0.3)] = 2
    return mask.astype(np.uint8)


def paint(mask: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Every class in its colour, with stripes of its own direction and a little noise."""
    y, x = np.mgrid[: len(mask), : mask.shape[1]]
    stripes = np.select([mask == 0, mask == 1, mask == 2], [np.sin(x), np.sin(y), np.sin((x + y) / 1.5)], 0.0)
    noise = random.normal(0, 6, (*mask.shape, 3))
    return np.clip(COLOURS[mask] + 20 * stripes[..., None] + noise, 0, 255).astype(np.uint8)


def tinted(mask: np.ndarray, tint: int, random: np.random.Generator) -> np.ndarray:
    """The same scene in another light: a style that the label map does not tell."""
    return np.clip(paint(mask, random) * (0.4 + 0.6 * tint), 0, 255).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


class Drawn(TrainingImages):
    """Images that were drawn rather than read."""

    def __init__(self, pairs: list[tuple[np.ndarray, np.ndarray]], labels: list[str | None] | None = None) -> None:
        labels = labels or [None] * len(pairs)
        super().__init__([Sample(id=str(i), label=label) for i, label in enumerate(labels)], lambda _: b"")
        self.pairs = pairs

    def image(self, index: int) -> np.ndarray:
        return self.pairs[index][0]

    def mask(self, index: int) -> np.ndarray:
        return self.pairs[index][1]

    def part(self, indices: range) -> Drawn:
        """Some of them."""
        return Drawn([self.pairs[i] for i in indices], [self.samples[i].label for i in indices])


def scenes(count: int, size: int = 64, seed: int = 0) -> Drawn:
    random = np.random.default_rng(seed)
    masks = [draw_mask(random, size) for _ in range(count)]
    return Drawn([(paint(mask, random), mask) for mask in masks], ["day" if i % 2 else "night" for i in range(count)])


def context(steps: int, seed: int = 0) -> TrainingContext:
    return TrainingContext(Accelerator(cpu=True), seed, steps)


def train(training_task: TrainingTask, start: int, stop: int) -> list[dict[str, float]]:
    """Steps `start` to `stop` as the loop takes them; the losses of each."""
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in training_task.optimizers.items()}
    history = []
    for step in range(start, stop):
        torch.manual_seed(training_task.context.seed * 1_000_003 + step)
        for name, optimizer in training_task.optimizers.items():
            optimizer.param_groups[0]["lr"] = rates[name] * training_task.lr_factor(step)
        losses = training_task.step(training_task.batch(np.random.default_rng((training_task.context.seed, step))))
        history.append({name: float(loss) for name, loss in losses.items()})
    for name, optimizer in training_task.optimizers.items():
        optimizer.param_groups[0]["lr"] = rates[name]
    return history
