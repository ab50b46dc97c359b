"""A filter that measures something else than it declares is found out at its first image."""

from __future__ import annotations

import pytest

from augforge.engine.runners.measuring import _checked
from augforge.stages.filters.sharpness import Sharpness


@pytest.mark.parametrize("measured", [{}, {"sharpnes": 1.0}, {"sharpness": 1.0, "other": 2.0}])
def test_other_measures_than_declared_are_refused(measured: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="filter: sharpness declares"):
        _checked(Sharpness(), measured)


def test_the_declared_ones_pass() -> None:
    assert _checked(Sharpness(), {"sharpness": 1.0}) == {"sharpness": 1.0}
