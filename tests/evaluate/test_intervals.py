"""Intervals and verdicts against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from augforge.evaluate.intervals import interval, paired, verdict


def test_the_interval_is_students_not_the_normal_one():
    found = interval([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    # one degree of freedom fewer than values: t(0.975, 2) = 4.302653; std 1
    assert found.high - found.mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert found.high - found.mean != pytest.approx(1.959964 / math.sqrt(3), rel=0.1)  # the known wrong variant
    assert found.low + found.high == pytest.approx(2 * found.mean)


def test_two_values_have_the_widest_interval():
    found = interval([0.0, 1.0])  # t(0.975, 1) = 12.7062, std sqrt(1/2)
    assert found.high - found.mean == pytest.approx(12.7062 / 2, rel=1e-4)


def test_one_value_has_no_interval():
    assert interval([0.5]).plain() == {"mean": 0.5, "low": None, "high": None, "seeds": [0.5]}


def test_what_both_arms_share_falls_out_of_the_paired_difference():
    base = np.array([0.1, 0.5, 0.9])
    found = paired(base + 0.02, base)
    assert found.mean == pytest.approx(0.02) and found.high - found.low == pytest.approx(0, abs=1e-12)
    unpaired = interval(base + 0.02)
    assert unpaired.high - unpaired.low > 1  # without the pairing nothing could be told


def gains(better: int, worse: int, same: int) -> np.ndarray:
    return np.array([1.0] * better + [-1.0] * worse + [0.0] * same)


@pytest.mark.parametrize(
    ("differences", "images", "expected"),
    [
        ([0.10, 0.11, 0.09], gains(10, 0, 90), "better"),
        ([-0.10, -0.11, -0.09], gains(0, 10, 90), "worse"),
        ([0.2, -0.1, 0.2], gains(10, 0, 90), "within noise"),  # the seeds disagree
        ([0.01, 0.01, 0.01], gains(1, 0, 99), "within noise"),  # all seeds agree about one lucky image
        ([0.3], gains(30, 0, 70), "within noise"),  # one seed tells nothing
        ([0.0, 0.0, 0.0], gains(0, 0, 100), "within noise"),
    ],
)
def test_verdicts(differences, images, expected):
    assert verdict(interval(differences), images) == expected
