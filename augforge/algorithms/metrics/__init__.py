"""What can be measured of made images beside real ones: numbers, not judgements."""

from augforge.algorithms.metrics.appearance import AppearanceReference, appearance
from augforge.algorithms.metrics.distances import frechet_distance, kernel_distance
from augforge.algorithms.metrics.grid import grid_ratio
from augforge.algorithms.metrics.levels import LevelMatch
from augforge.algorithms.metrics.neighbours import Manifolds, manifolds, nearest_distances
from augforge.algorithms.metrics.nights import NightReference
from augforge.algorithms.metrics.vendi import vendi_score

__all__ = [
    "AppearanceReference",
    "LevelMatch",
    "Manifolds",
    "NightReference",
    "appearance",
    "frechet_distance",
    "grid_ratio",
    "kernel_distance",
    "manifolds",
    "nearest_distances",
    "vendi_score",
]
