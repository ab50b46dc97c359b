"""What selectors that look at logits share: where the logits come from, and which column is the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from augforge.errors import RecipeError
from augforge.stages.selector import Selector
from augforge.stages.stage import kebab

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def one_of(stage: Selector, what: str, *options: str) -> None:
    """Raise ValueError unless exactly one of two `options` of a stage is given."""
    given = [name for name in options if getattr(stage, name) is not None]
    if len(given) != 1:
        names = " or ".join(map(kebab, options))
        raise ValueError(f"{what} needs {names}" + (", not both" if given else ""))


def truth_of(what: str, labels: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """(n,) the column of logits over `classes` (c,) that each of `labels` (n,) is; RecipeError where there is none."""
    from augforge.algorithms.selection import columns

    try:
        return columns(labels, classes)
    except ValueError as error:
        raise RecipeError(
            f"{what}: {error}", "train one on images of all classes: augforge train classifier SOURCE --out DIR"
        ) from None
