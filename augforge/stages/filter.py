"""Filters: stages that judge one image at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from augforge.data.sample import OnOption
from augforge.stages.stage import Share, Stage, Task, kebab

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from augforge.algorithms.rules import Rule, Scale, Verdict
    from augforge.data.nearest import Nearest
    from augforge.data.stage_facts import Facts
    from augforge.stages.filter_inputs import FilterInputs

    FloatArray = NDArray[np.float64]


class Filter(Stage):
    """Judges one image by itself. Numbers are measured once; the rule is applied at every run, for free.

    `default_rule` is the rule where none is given, as fields of `Rule`: without another one outliers go, and nothing
    where nothing stands out. `lower_is_better` names the measures of which less is better, `scales` those whose
    outliers are looked for on a logarithmic or log-odds scale. `finds_outliers` says that faulty and mislabelled images
    are among those that go, so that a selector that would keep them can follow.
    """

    verb: ClassVar[str] = "filter"
    decision_options: ClassVar[frozenset[str]] = frozenset(
        {"on", "outliers", "keep", "min", "max", "mean_minus_std", "scope", "by", "any_class"}
    )
    measures: ClassVar[tuple[str, ...]]
    lower_is_better: ClassVar[frozenset[str]] = frozenset()
    scales: ClassVar[Mapping[str, Scale]] = {}
    default_rule: ClassVar[Mapping[str, float]] = {"outliers": 3.5}
    finds_outliers: ClassVar[bool] = False

    on: OnOption = Field(
        default="auto",
        description="Judge all images, or only the synthetic or the real ones; auto: the synthetic ones if the run has "
        "or makes any, else all.",
    )
    outliers: float | None = Field(
        default=None,
        gt=0,
        description="Drop what is over K robust std worse than the median (3.5 if no rule is given, unless the filter "
        "says otherwise).",
    )
    keep: Share | None = Field(default=None, description="Keep this share, the best ones.")
    min: float | None = Field(default=None, description="Keep what scores at least this.")
    max: float | None = Field(default=None, description="Keep what scores at most this; goes together with min.")
    mean_minus_std: float | None = Field(
        default=None,
        description="Keep what scores at least mean - K * std (at most mean + K * std where less is better).",
    )
    scope: Literal["class", "all"] = Field(
        default="class", description="Apply the rule within each class, or over all."
    )

    @model_validator(mode="after")
    def _one_rule(self) -> Filter:
        rules = (("outliers",), ("keep",), ("min", "max"), ("mean_minus_std",))
        given = [name for names in rules for name in names if getattr(self, name) is not None]
        if sum(any(name in given for name in names) for names in rules) > 1:
            raise ValueError(f"{' and '.join(map(kebab, given))} exclude each other: give one rule")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is over max: nothing could be kept")
        return self

    def rule(self) -> Rule:
        """The rule that the options ask for."""
        from augforge.algorithms.rules import Rule

        measure = self.primary_measure
        return Rule(
            **(self.given_rule or self.default_rule),
            lower_is_better=measure in self.lower_is_better,
            scale=self.scales.get(measure, "linear"),
        )

    @property
    def given_rule(self) -> dict[str, float]:
        """The rule that was asked for, as fields of `Rule`; {} where the default holds."""
        options = {
            "outliers": self.outliers,
            "keep": self.keep,
            "minimum": self.min,
            "maximum": self.max,
            "deviations": self.mean_minus_std,
        }
        return {name: value for name, value in options.items() if value is not None}

    @property
    def needs_labels(self) -> bool:
        """Whether the decisive measure compares an image with its class, so that one without a label has no score."""
        return False

    @property
    def exact(self) -> bool:
        """Whether scores are the same on every machine; those that a model makes are not, in their low bits."""
        return True

    @property
    def judges_alone(self) -> bool:
        """Whether the verdict on an image does not depend on the other images."""
        return self.rule().is_fixed

    def decide(
        self, scores: Mapping[str, FloatArray], ids: Sequence[str], groups: NDArray[np.int64], within: str
    ) -> Verdict:
        """Who stays, and why the others go: arguments as those of `Rule.apply`, with the scores of each measure."""
        from augforge.algorithms.rules import STEP

        rule = replace(self.rule(), step=0.0 if self.exact else STEP)
        stays, reasons = rule.apply(scores[self.primary_measure], ids, groups, within)
        return stays, self._named(reasons)

    def _named(self, reasons: NDArray[np.object_]) -> NDArray[np.object_]:
        """The reasons with the measure before each."""
        gone = [place for place, reason in enumerate(reasons) if reason is not None]
        named = {reason: f"{self.primary_measure}: {reason}" for reason in set(reasons[gone].tolist())}
        reasons[gone] = [named[reason] for reason in reasons[gone].tolist()]
        return reasons

    @property
    def primary_measure(self) -> str:
        """The measure that the rule looks at: the one that `by` names, with or without the filter's name."""
        by = str(getattr(self, "by", self.measures[0]))
        return by if by in self.measures else f"{self.name}-{by}"

    def explain(self, inputs: FilterInputs, scores: FloatArray) -> Sequence[str | None]:
        """(n,) why each would go, given the decisive scores (n,); None or () where the rule says it well enough."""
        return ()

    def facts(self, inputs: FilterInputs) -> Facts:
        """What the run records of the judging as a whole, such as a threshold that was fitted; {} for nothing."""
        return {}

    def remark(self, inputs: FilterInputs) -> str:
        """What the run says of the judging, beside who goes; "" for nothing."""
        return ""


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
    becomes a factor of the weight of those that stay, `compares_classes` that an image is judged by its class: one with
    several labels by each of them, of which the best counts; one with a soft label by each, of which the mean weighted
    by the shares counts.
    """

    needs_real: ClassVar[bool] = False
    compares_classes: ClassVar[bool] = False
    reweights: ClassVar[bool] = False

    model: Annotated[str, Task("image-embedding")] = Field(default="builtin-clip", description="The model that embeds.")

    def packages(self) -> tuple[str, ...]:
        """What embeds; nothing where the pixels alone are looked at."""
        return () if getattr(self, "looks_at_pixels", False) else ("torch",)

    @property
    def judge(self) -> tuple[str, str]:
        """The model whose vectors of images are looked at, and the task that it is for: the first of `models`."""
        return self.models()[0]

    @property
    def exact(self) -> bool:
        """As `Filter.exact`."""
        return bool(getattr(self, "looks_at_pixels", False))

    @abstractmethod
    def compare(self, inputs: FilterInputs) -> dict[str, FloatArray]:
        """An array (n,) for each of `measures` that is asked for, NaN where nothing can be said."""

    def nearest(self, inputs: FilterInputs, scores: FloatArray) -> Sequence[Nearest | None]:
        """(n,) the image that each is nearest to, by the decisive scores (n,); () of a filter that names none."""
        return ()
