"""Filters: stages that judge one image at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from augforge.data.sample import On
from augforge.stages.stage import Share, Stage, Task, kebab

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from augforge.algorithms.rules import Rule
    from augforge.stages.filter_inputs import FilterInputs

    FloatArray = NDArray[np.float64]


class Filter(Stage):
    """Judges one image by itself. Numbers are measured once; the rule is applied at every run, for free.

    `default_rule` is the rule where none is given, as fields of `Rule`; `lower_is_better` names the measures of which
    less is better.
    """

    verb: ClassVar[str] = "filter"
    decision_options: ClassVar[frozenset[str]] = frozenset(
        {"on", "keep", "min", "max", "mean_minus_std", "scope", "by"}
    )
    measures: ClassVar[tuple[str, ...]]
    lower_is_better: ClassVar[frozenset[str]] = frozenset()
    default_rule: ClassVar[Mapping[str, float]] = {"keep": 0.8}

    on: On = Field("all", description="Judge all images, or only the synthetic or the real ones.")
    keep: Share | None = Field(
        None, description="Keep this share, the best ones (0.8 if no rule is given, unless the filter says otherwise)."
    )
    min: float | None = Field(None, description="Keep what scores at least this.")
    max: float | None = Field(None, description="Keep what scores at most this; goes together with min.")
    mean_minus_std: float | None = Field(
        None, description="Keep what scores at least mean - K * std (at most mean + K * std where less is better)."
    )
    scope: Literal["class", "all"] = Field("class", description="Apply the rule within each class, or over all.")

    @model_validator(mode="after")
    def _one_rule(self) -> Filter:
        rules = (("keep",), ("min", "max"), ("mean_minus_std",))
        given = [name for names in rules for name in names if getattr(self, name) is not None]
        if sum(any(name in given for name in names) for names in rules) > 1:
            raise ValueError(f"{' and '.join(map(kebab, given))} exclude each other: give one rule")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is over max: nothing could be kept")
        return self

    def rule(self) -> Rule:
        """The rule that the options ask for."""
        from augforge.algorithms.rules import Rule

        options = {"keep": self.keep, "minimum": self.min, "maximum": self.max, "deviations": self.mean_minus_std}
        given = {name: value for name, value in options.items() if value is not None}
        return Rule(**(given or self.default_rule), lower_is_better=self.primary_measure in self.lower_is_better)

    @property
    def primary_measure(self) -> str:
        """The measure that the rule looks at: the one that `by` names, with or without the filter's name."""
        by = str(getattr(self, "by", self.measures[0]))
        return by if by in self.measures else f"{self.name}-{by}"

    def explain(self, inputs: FilterInputs, scores: FloatArray) -> Sequence[str | None]:
        """(n,) why each would go, given the decisive scores (n,); None or () where the rule says it well enough."""
        return ()


class PixelFilter(Filter):
    """A filter that looks at one image's pixels."""

    @property
    def looks_at_pixels(self) -> bool:
        """Whether `measure` is what judges; a filter that is an EmbeddingFilter too may leave it to `compare`."""
        return True

    @abstractmethod
    def measure(self, image: Image) -> Mapping[str, float]:
        """The scores of one RGB image, one for each of `measures`; called from several threads.

        Raises:
            Unjudged: (of `augforge.algorithms.rules`) nothing can be said of this image; it goes, and is asked again.
        """


class EmbeddingFilter(Filter):
    """A filter that looks at one image's embedding, beside those of texts, of real images or of its parents.

    `needs_real` says that it looks at real images beside those that it judges, `reweights` that the decisive measure
    becomes a factor of the weight of those that stay.
    """

    needs_real: ClassVar[bool] = False
    reweights: ClassVar[bool] = False

    model: Annotated[str, Task("image-embedding")] = Field("builtin-clip", description="The model that embeds.")

    @abstractmethod
    def compare(self, inputs: FilterInputs) -> dict[str, FloatArray]:
        """An array (n,) for each of `measures`, NaN where nothing can be said; computes only what it asks for."""
