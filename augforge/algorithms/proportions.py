"""Intervals of a proportion, and how many to look at for a narrow one."""

from __future__ import annotations

import math

NORMAL = 1.959963984540054
"""Standard deviations of a normal distribution to either side that hold 95 %."""
Ends = tuple[float, float]


def wilson(successes: int, n: int, z: float = NORMAL) -> Ends:
    """The score interval of a proportion of n; (0, 1) of none. Wilson, 1927, *Probable inference*.

    It holds all p with |successes / n - p| <= z * sqrt(p (1 - p) / n). Both ends are in [0, 1].
    """
    if n == 0:
        return 0.0, 1.0
    share, spread = successes / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = _half_width(share, n, z)
    return middle - half if successes else 0.0, middle + half if successes < n else 1.0


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Ends:
    """The exact interval of a proportion of n; (0, 1) of none. Clopper and Pearson, 1934.

    So many successes or more have probability (1 - level) / 2 at its lower end, so many or fewer at its upper end. Its
    coverage is never below `level`.
    """
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = float(beta.ppf(tail, successes, n - successes + 1)) if successes else 0.0
    high = float(beta.ppf(1 - tail, successes + 1, n - successes)) if successes < n else 1.0
    return low, high


def needed(share: float, half: float, z: float = NORMAL) -> int:
    """The least n of which Wilson's interval of a proportion `share` is no wider than +- `half`, in (0, 0.5).

    It is the larger root of half^2 (n + z^2)^2 = z^2 (share (1 - share) n + z^2 / 4), rounded up.
    """
    spread = share * (1 - share)
    a, b, c = half**2, z**2 * (2 * half**2 - spread), z**4 * (half**2 - 0.25)
    return math.ceil((-b + math.sqrt(b * b - 4 * a * c)) / (2 * a) - 1e-9)


def _half_width(share: float, n: int, z: float) -> float:
    return z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
