"""What can be measured of made images beside real ones, all on embeddings: numbers, not judgements."""

from augforge.algorithms.metrics.distances import frechet_distance, kernel_distance
from augforge.algorithms.metrics.neighbours import Manifolds, manifolds, nearest_distances
from augforge.algorithms.metrics.vendi import vendi_score

__all__ = ["Manifolds", "frechet_distance", "kernel_distance", "manifolds", "nearest_distances", "vendi_score"]
