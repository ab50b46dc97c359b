"""What each policy draws for an image."""

from __future__ import annotations

from typing import Any

import numpy as np

from augforge.algorithms.policies.operations import GEOMETRIC
from augforge.algorithms.policies.spaces import (
    AUGMIX,
    AUTOAUGMENT,
    MADAUG,
    RANDAUGMENT,
    TRIVIALAUGMENT,
    Space,
    magnitude_at,
)
from augforge.algorithms.policies.tables import TABLES

Step = list[Any]
"""[operation, magnitude], as JSON has it."""
Size = tuple[int, int]
"""Height and width in px."""
LEVELS = 10
"""Of AutoAugment and AugMix."""


def draw_randaugment(random: np.random.Generator, size: Size, count: int = 2, level: float = 0.3) -> list[Step]:
    """`count` operations, each equally likely, all at one `level` of [0, 1]; torchvision's 9 of 31 bins is 0.3."""
    return [_step(random, RANDAUGMENT, _one_of(random, list(RANDAUGMENT)), level, size) for _ in range(count)]


def draw_trivialaugment(random: np.random.Generator, size: Size, bins: int = 31) -> list[Step]:
    """One operation at one of `bins` levels, all equally likely."""
    name = _one_of(random, list(TRIVIALAUGMENT))
    return [_step(random, TRIVIALAUGMENT, name, int(random.integers(bins)) / (bins - 1), size)]


def draw_autoaugment(random: np.random.Generator, size: Size, policy: str = "imagenet") -> list[Step]:
    """One of the pairs of a policy (imagenet, cifar10, svhn), each of its operations with its own probability."""
    pair = TABLES[policy][int(random.integers(len(TABLES[policy])))]
    steps: list[Step] = []
    for name, probability, level in pair:
        step = _step(random, AUTOAUGMENT, name, (level or 0) / (LEVELS - 1), size)
        if random.random() < probability:
            steps.append(step)
    return steps


def draw_madaug(random: np.random.Generator, size: Size, count: int, most: float) -> tuple[list[Step], float]:
    """`count` operations, each equally likely and at a level of its own up to `most`, and their difficulty.

    The difficulty, in [0, 1], is the mean level; what has no levels counts as 1, and nothing at all as 0.
    """
    steps: list[Step] = []
    levels: list[float] = []
    for _ in range(count):
        name, level = _one_of(random, list(MADAUG)), float(random.uniform(0, most))
        steps.append(_step(random, MADAUG, name, level, size))
        levels.append(0.0 if name == "Identity" else level if MADAUG[name] else 1.0)
    return steps, float(np.mean(levels)) if levels else 0.0


def draw_augmix(
    random: np.random.Generator, size: Size, severity: int, chains: tuple[int, int], moves: bool = True
) -> dict[str, Any]:
    """Chains of operations, and the weights with which their images are mixed with the image itself.

    Args:
        random: where all randomness comes from.
        size: height and width of the image.
        severity: the level of an operation is one of the `severity` lowest of ten; 0 draws no operations.
        chains: how many chains, and how many operations in each; 0 draws one to three of them for each chain.
        moves: whether operations may be geometric.
    """
    space: Space = {name: each for name, each in AUGMIX.items() if moves or name not in GEOMETRIC}
    width, depth = chains
    kept = float(random.beta(1.0, 1.0))
    weights = (1 - kept) * random.dirichlet(np.ones(width))
    drawn = [_chain(random, space, depth or int(random.integers(1, 4)), severity, size) for _ in range(width)]
    return {"kept": kept, "weights": [float(weight) for weight in weights], "chains": drawn}


def weakened(steps: list[Step], severity: float, random: np.random.Generator) -> list[Step]:
    """The operations at a share `severity` in [0, 1] of their magnitudes; those that have none in that share of cases.

    1 leaves them as they are, 0 leaves nothing.
    """
    if severity == 1:
        return steps
    chances = random.random(len(steps))
    found = []
    for (name, magnitude), chance in zip(steps, chances, strict=True):
        if name not in ("AutoContrast", "Equalize", "Invert"):
            found += [[name, _weaker(name, magnitude, severity)]] if severity else []
        elif chance < severity:
            found.append([name, magnitude])
    return found


def _weaker(name: str, magnitude: float, severity: float) -> float:
    if name == "Posterize":
        return round(8 - (8 - magnitude) * severity)
    if name == "Solarize":
        return 1 - (1 - magnitude) * severity
    return magnitude * severity


def _chain(random: np.random.Generator, space: Space, depth: int, severity: int, size: Size) -> list[Step]:
    if not severity:
        return []
    names = [_one_of(random, list(space)) for _ in range(depth)]
    return [_step(random, space, name, int(random.integers(severity)) / (LEVELS - 1), size) for name in names]


def _one_of(random: np.random.Generator, names: list[str]) -> str:
    return names[int(random.integers(len(names)))]


def _step(random: np.random.Generator, space: Space, name: str, level: float, size: Size) -> Step:
    return [name, magnitude_at(space, name, level, size, bool(random.random() < 0.5))]
