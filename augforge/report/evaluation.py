"""`evaluation.json` of a run folder, checked: what training on each arm gave."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from augforge.data.measures import MEASURES, NATS, too_few
from augforge.data.record import ledger_digest
from augforge.errors import StoreError

EARLIER = "The evaluation is of an earlier result of this folder: run augforge evaluate again."
MADE = ("real+selected", "real+kept", "real+synthetic")
"""The arms with made images; the first of these that there is holds what the run kept."""
HELP = {
    "better": "The generated images help",
    "worse": "The generated images harm",
    "within noise": "It cannot be told whether the generated images help",
}
UNKNOWN = "The evaluation does not say of which result of this folder it is: run augforge evaluate again."


class Interval(BaseModel):
    """A mean over seeds with its 95 % interval, which is None where a single seed says nothing of the spread."""

    mean: FiniteFloat
    low: FiniteFloat | None
    high: FiniteFloat | None
    seeds: tuple[FiniteFloat, ...] = ()


class Difference(BaseModel):
    """How an arm differs from the first one, and what may be said of it: `within noise` where the interval holds 0."""

    mean: FiniteFloat
    low: FiniteFloat | None
    high: FiniteFloat | None
    verdict: Literal["better", "worse", "within noise"]

    @model_validator(mode="after")
    def _follows_from_the_interval(self) -> Difference:
        open_ended = self.low is None or self.high is None or self.low <= 0 <= self.high
        if open_ended != (self.verdict == "within noise"):
            raise ValueError(f"{self.verdict!r} does not follow from the interval [{self.low}, {self.high}]")
        return self


class Arm(BaseModel):
    """What one training set gave; `scores` are, by the names of `MEASURES`, what its task measures."""

    model_config = ConfigDict(populate_by_name=True)

    name: str
    images: int
    scores: dict[str, Interval]
    per_class: dict[str, Interval] = Field(default_factory=dict, alias="per-class")
    difference: Difference | None = None

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, arm: Any) -> Any:
        """In the file the measures stand beside the name."""
        if not isinstance(arm, dict) or "scores" in arm:
            return arm
        return {**arm, "scores": {name: arm[name] for name in MEASURES if arm.get(name) is not None}}


class Comparison(BaseModel):
    """All arms; of `shots` real images per class, or of a long tail. A metric is one number or one for each arm."""

    shots: int | None = None
    imbalance: float | None = None
    classes: tuple[str, ...]
    counts: dict[str, int | float] = Field(default_factory=dict)
    arms: tuple[Arm, ...]
    metrics: dict[str, float | dict[str, float | None] | None] = Field(default_factory=dict)
    shifts: dict[str, dict[str, float]] = Field(default_factory=dict)

    @property
    def measures(self) -> list[str]:
        """The names of what all arms are judged by."""
        return [name for name in MEASURES if all(name in arm.scores for arm in self.arms)]

    @property
    def subsampled(self) -> str:
        """What was left of the real images; "" where all were."""
        if self.imbalance is not None:
            return f"long tail of {self.imbalance:g}"
        return "" if self.shots is None else f"{self.shots} images per class"


class Tested(BaseModel):
    """How many images of the test source were judged, and how many of each of its splits."""

    images: int
    splits: dict[str, int] = Field(default_factory=dict)


class Evaluation(Comparison):
    """The whole file: one comparison, and in `runs` all of them where there are several.

    `caution` is not in the file: why it may not be said of what the folder holds now, "" where it may.
    """

    model_config = ConfigDict(populate_by_name=True)

    format: Literal[1]
    test: str
    tested: Tested | None = None
    learner: str
    seeds: int
    runs: tuple[Comparison, ...] = ()
    samples_sha256: str | None = Field(default=None, alias="samples-sha256")
    caution: str = ""

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All comparisons."""
        return self.runs or (self,)

    def plain(self) -> dict[str, Any]:
        """As the report's scripts read it: with `scores` of each arm, and how `measures` are called."""
        told = {"headline": self.headline, "measures": MEASURES, "nats": sorted(NATS)}
        return {**self.model_dump(by_alias=True), **told}

    @property
    def headline(self) -> str:
        """Whether the images that the run made help, in one sentence; "" where no arm has them, or with a caution."""
        arms = {arm.name: arm for arm in self.arms}
        arm = next((arms[name] for name in MADE if name in arms), None)
        if self.caution or arm is None or arm.difference is None:
            return ""
        by = f"{arm.name} against real alone: {_points(arm.difference.mean)} points{_ends(arm.difference)}"
        tested = "" if self.tested is None else f", judged by {self.tested.images:,} test images"
        subsampled = f" ({self.subsampled})" if self.subsampled else ""
        return f"{HELP[arm.difference.verdict]}; {by}{tested}{subsampled}."


def _ends(difference: Difference) -> str:
    if difference.low is None or difference.high is None:
        return ""
    return f" [{_points(difference.low)}, {_points(difference.high)}]"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "\N{MINUS SIGN}")


def read_evaluation(folder: Path) -> Evaluation | None:
    """The evaluation in a run folder; None if there is none.

    Raises:
        StoreError: the file is damaged or of another format.
    """
    path = folder / "evaluation.json"
    if not path.is_file():
        return None
    try:
        found = Evaluation.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole file"
        raise StoreError(f"{path}, {where}: {first['msg']}", "evaluate the run again, or remove the file") from error
    return found.model_copy(update={"caution": _caution(found, folder)})


def _caution(evaluation: Evaluation, folder: Path) -> str:
    if evaluation.samples_sha256 is None:
        return UNKNOWN
    if evaluation.samples_sha256 != ledger_digest(folder):
        return EARLIER
    return "" if evaluation.tested is None else too_few(evaluation.tested.images)
