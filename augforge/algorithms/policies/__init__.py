"""Policies of augmentation: which operations are drawn for an image, and how strong; those of torchvision's v2.

What is drawn is a list of [operation, magnitude], the magnitude signed and in the operation's own unit, so that a list
alone says how its image was made.

operations   each operation, of pixels and of what is annotated in them
spaces       the operations and magnitudes of each policy
draws        RandAugment, TrivialAugment, AutoAugment and AugMix
tables       the sub-policies that AutoAugment found
mixing       AugMix's mixture
"""

from augforge.algorithms.policies.draws import (
    draw_augmix,
    draw_autoaugment,
    draw_madaug,
    draw_randaugment,
    draw_trivialaugment,
    weakened,
)
from augforge.algorithms.policies.mixing import mixed
from augforge.algorithms.policies.operations import GEOMETRIC, Steps, applied, geometry_of
from augforge.algorithms.policies.tables import TABLES

__all__ = [
    "GEOMETRIC",
    "TABLES",
    "Steps",
    "applied",
    "draw_augmix",
    "draw_autoaugment",
    "draw_madaug",
    "draw_randaugment",
    "draw_trivialaugment",
    "geometry_of",
    "mixed",
    "weakened",
]
