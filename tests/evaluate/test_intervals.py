"""Intervals and verdicts against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.cli.render.evaluation import ends, points
from augforge.evaluate.intervals import interval, paired, verdict, widened


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
    assert verdict(widened(interval(differences), images)) == expected


def test_the_interval_of_a_difference_is_the_wider_of_the_two():
    alike = interval([0.01, 0.01, 0.01])  # trainings that all end alike, over one lucky image of a hundred
    assert alike.high - alike.low == pytest.approx(0, abs=1e-12)
    found = widened(alike, gains(1, 0, 99))
    assert found.high - found.mean == pytest.approx(1.959964 * math.sqrt(0.01 * 0.99) / 10)
    assert found.low < 0 < found.high
    scattered = interval([0.2, -0.1, 0.2])
    assert widened(scattered, gains(10, 0, 90)).high == pytest.approx(scattered.high)
    assert widened(interval([0.3]), gains(30, 0, 70)).low is None


shares = st.floats(-1, 1, allow_nan=False)


@given(st.lists(shares, min_size=1, max_size=6), st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0]), max_size=60))
def test_within_noise_is_said_just_where_the_printed_interval_holds_0(differences, changes):
    found = widened(interval(differences), np.array(changes or [0.0]))
    said = verdict(found)
    printed = ends({"low": found.low, "high": found.high})
    if len(differences) == 1:
        assert printed == "" and said == "within noise"
        return
    low, high = map(float, printed.strip("[]").split(", "))
    assert (low <= 0 <= high) == (said == "within noise")
    assert (said == "better") == (low > 0) and (said == "worse") == (high < 0)


def test_the_interval_over_seeds_alone_would_contradict_the_verdict():
    """The known wrong variant: +0.9 points with an interval of no width, and yet within noise."""
    seeds, luck = interval([1 / 111] * 3), gains(1, 0, 110)
    assert ends({"low": seeds.low, "high": seeds.high}) == "[+0.9, +0.9]"
    found = widened(seeds, luck)
    assert verdict(found) == "within noise" and ends({"low": found.low, "high": found.high}) == "[-0.9, +2.7]"


@pytest.mark.parametrize(("share", "text"), [(0.009, "+0.9"), (0.0, "+0.0"), (-0.0002, "-0.02"), (0.000004, "+0.0004")])
def test_the_sign_of_a_small_difference_is_to_be_seen(share, text):
    assert points(share) == text


def test_an_interval_without_width_is_explained(capsys):
    from augforge.cli.render.evaluation import said_of_test, show_comparison

    same = dict.fromkeys(("mean", "low", "high"), 0.0)
    score = {"accuracy": {"mean": 0.95}, "macro-f1": {"mean": 0.95}, "images": 9}
    arms = [
        {"name": "real", "difference": None, **score},
        {"name": "real+kept", "difference": {**same, "verdict": "within noise"}, **score},
    ]
    show_comparison({"arms": arms, "metrics": {}}, 3)
    said = " ".join(capsys.readouterr().out.split())
    assert "real+kept: no interval: no test image is judged otherwise than with real images alone" in said
    tested = {"images": 50, "splits": {"test": 25, "validation": 25}}
    assert said_of_test({"test": "splits", "tested": tested}) == (
        "judged by 50 images of splits (test 25, validation 25); one image more or less is 2 points"
    )
