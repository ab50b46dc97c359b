"""Selectors and subsamplers: stages that keep a subset."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from augforge.data.sample import OnOption
from augforge.errors import RecipeError
from augforge.stages.stage import Share, Stage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.selection import Certificate, Selection
    from augforge.algorithms.selection.units import Run

    Vectors = NDArray[np.float32]


class Selector(Stage):
    """Selects the subset worth keeping, looking at all images together.

    `count` or `share` says how much that is, and has no default: no share is right for all data. `keeps_outliers` says
    that faulty and mislabelled images are among the first that it keeps.
    """

    verb: ClassVar[str] = "select"
    keeps_outliers: ClassVar[bool] = False

    on: OnOption = Field(
        default="auto",
        description="Choose among all images, or only the synthetic or the real ones; auto: the synthetic ones if the "
        "run has or makes any (the real ones by a column of the source), else all.",
    )
    count: int | None = Field(default=None, ge=0, description="How many images to keep in all.")
    share: Share | None = Field(default=None, description="Which share of the images to keep.")
    allocation: Literal["proportional", "equal"] = Field(
        default="proportional", description="Divide the budget by class size, or equally over the classes."
    )

    @model_validator(mode="after")
    def _one_budget(self) -> Selector:
        if self.count is not None and self.share is not None:
            raise ValueError("count and share exclude each other: give one")
        return self

    def check(self) -> None:
        """RecipeError where nothing says how many images to keep."""
        if self.count is None and self.share is None:
            raise RecipeError("it needs count or share: how many images to keep", "for example  share: 0.5")

    @property
    def needs(self) -> tuple[str, ...]:
        """The options that name the models or columns whose numbers `compared` gets, concatenated."""
        return tuple(name for name in (*self.tasks(), *self.column_options()) if getattr(self, name) is not None)

    def packages(self) -> tuple[str, ...]:
        """What makes the numbers that images are compared by."""
        return ("torch",) if self.tasks().keys() & set(self.needs) else ()

    def compared(self, features: Vectors, labels: Sequence[str], classes: Sequence[str]) -> Vectors:
        """(n, d) the vectors that the n images are compared by: `features` (n, f), unless a selector transforms them.

        `classes` (c,) are the names of the columns of logits, where there are any among the features.
        """
        return features

    def certify(
        self, selection: Selection, labels: Sequence[str], ids: Sequence[str], features: Vectors
    ) -> Certificate | None:
        """A certificate of the selection, for the same arguments; None for a selector that maximises nothing."""
        return None

    def reads_rows(self, n: int, d: int) -> bool:
        """Whether `choose` and `certify` are given what reads vectors (n, d) by rows, instead of all of them."""
        return False

    def budget(self, available: int) -> int:
        """How many of `available` images to keep."""
        Selector.check(self)
        return int((self.share or 0.0) * available + 1e-9) if self.count is None else self.count

    @abstractmethod
    def choose(self, budget: int, labels: Sequence[str], ids: Sequence[str], features: Vectors | None) -> Selection:
        """Choose `budget` of n images by `labels` (n,), `ids` (n,) and what `compared` returned, if it needs any."""


class RowSelector(Selector):
    """A selector that may read vectors by rows, in parts: for these it is told what computes them."""

    @abstractmethod
    def choose(
        self, budget: int, labels: Sequence[str], ids: Sequence[str], features: Vectors | None, run: Run = map
    ) -> Selection:
        """As `Selector.choose`; `run` computes parts, and changes nothing but the time."""

    @abstractmethod
    def certify(
        self,
        selection: Selection,
        labels: Sequence[str],
        ids: Sequence[str],
        features: Vectors,
        run: Run = map,
    ) -> Certificate | None:
        """As `Selector.certify`, with the same `run`."""


class Subsampler(Stage):
    """Keeps at most so many real training images of each class, chosen as generators choose their shots.

    It makes a small or long-tailed set out of a large one, so it comes before anything is trained or generated. Images
    are ordered by a hash: a larger number only adds images, and the K images of a class are those that a generator with
    `shots: K` sees. Evaluation splits and synthetic images are left alone.
    """

    verb: ClassVar[str] = "select"

    @abstractmethod
    def max_per_class(self, counts: Mapping[str, int]) -> dict[str, int]:
        """How many images to keep of each class at most, given how many it has."""


def required(features: Vectors | None) -> Vectors:
    """(n, d) the features of a selector that needs some.

    Raises:
        TypeError: there are none.
    """
    if features is None:
        raise TypeError("this selector compares images by their features, and was given none")
    return features
