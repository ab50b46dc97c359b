"""What a stage is: typed options and one method. Read this file to know how to add one.

    Generator         makes pixels                                `draw` one job, `open` what makes the pixels
    PixelFilter       a number from one image's pixels            `measure`
    EmbeddingFilter   numbers from one image's embedding          `compare`
    Selector          chooses among many by their embeddings      `choose`

A stage lives in one file of `generators/`, `filters/` or `selectors/` and has one line in `catalog.py`.
Importing it must not import torch, diffusers, transformers, open_clip or datasets.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from augforge.pool import Pool
    from augforge.rules import Rule
    from augforge.sample import Sample
    from augforge.select import Selection

    FloatArray = NDArray[np.float64]
    Vectors = NDArray[np.float32]

On = Literal["all", "synthetic", "real"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


def _check_template(template: str) -> str:
    unknown = set(re.findall(r"{(.*?)}", template)) - {"label"}
    if unknown:
        raise ValueError(f"{{{sorted(unknown)[0]}}} cannot be filled in; only {{label}} can")
    return template


Prompt = Annotated[str, AfterValidator(_check_template)]


@dataclass(frozen=True)
class Task:
    """Marks an option as the name of a model that can do `name`."""

    name: str


def kebab(name: str) -> str:
    """The name of an option in YAML and on the command line."""
    return name.replace("_", "-")


class Stage(BaseModel, ABC):
    """Options of one step. Unknown options are refused; the YAML key is the option's name.

    `decides` names the options that only decide over what was measured or say how much to make: changing
    one of them never makes a stored result stale.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=kebab, populate_by_name=True)

    verb: ClassVar[str]
    name: ClassVar[str]
    version: ClassVar[int] = 1
    decides: ClassVar[frozenset[str]] = frozenset()
    example: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def tasks(cls) -> dict[str, str]:
        """The options that name a model, and the task it must be able to do."""
        marks = {name: next((m for m in info.metadata if isinstance(m, Task)), None) for name, info in _fields(cls)}
        return {name: mark.name for name, mark in marks.items() if mark}

    def check(self) -> None:
        """Raise RecipeError or ModelError where the options do not go together; nothing is loaded here."""

    def measured_options(self) -> dict[str, Any]:
        """The options that a stored result depends on."""
        return self.model_dump(mode="json", by_alias=True, exclude=set(self.decides))

    def options(self) -> dict[str, Any]:
        """Every option, as in a recipe."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _fields(cls: type[BaseModel]) -> list[tuple[str, Any]]:
    return list(cls.model_fields.items())


@dataclass(frozen=True, slots=True)
class Job:
    """One image to make: the sample that it will be, and the real samples that condition it."""

    sample: Sample
    parents: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A made image (h, w, 3), float in [0, 1] or NaN, and what is to be recorded about it beside its draws."""

    pixels: NDArray[np.float32]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A job with its parents' pixels, RGB, in the parents' order."""

    job: Job
    images: tuple[Image, ...]


Drawn = tuple[Sequence["Sample"], Mapping[str, Any]]
Maker = Callable[[Sequence[Loaded]], Sequence[Picture]]


@dataclass(frozen=True, slots=True)
class Studio:
    """A generator made ready: `make` turns a full batch into as many pictures; `facts` are recorded of all."""

    make: Maker
    facts: Mapping[str, Any]


class Generator(Stage):
    """Makes new samples of each class, conditioned on real ones."""

    verb: ClassVar[str] = "generate"
    decides: ClassVar[frozenset[str]] = frozenset({"per_class", "balance_to", "shots", "split", "batch", "processes"})

    per_class: int | None = Field(None, ge=0, description="New images for every class.")
    balance_to: int | Literal["max"] | None = Field(
        None, description="Top every class up to this many images, or `max`: as many as the largest class has."
    )
    shots: int | None = Field(None, ge=1, description="Condition on K images per class and on no others.")
    split: str = Field("train", description="Condition on this split only (and on images that have no split).")
    batch: int | Literal["auto"] = Field(
        "auto", description="Images per call of the model; auto measures once what fits, and stays with it."
    )

    @model_validator(mode="after")
    def _one_amount(self) -> Generator:
        if self.per_class is not None and self.balance_to is not None:
            raise ValueError("per-class and balance-to exclude each other: give one")
        return self

    def wanted(self, counts: Mapping[str, int]) -> dict[str, int]:
        """How many images each class should get, given how many it has. Without an amount: balance to the largest."""
        if self.per_class is not None:
            return dict.fromkeys(counts, self.per_class)
        target = self.balance_to if isinstance(self.balance_to, int) else max(counts.values(), default=0)
        return {label: max(0, target - count) for label, count in counts.items()}

    processes: int = Field(1, ge=1, description="Divide the batches among so many processes, one device each.")

    @field_validator("batch")
    @classmethod
    def _positive(cls, batch: int | str) -> int | str:
        if batch != "auto" and int(batch) < 1:
            raise ValueError("it is at least 1")
        return batch

    def probe(self, device: str) -> int:
        """How many images to make per call on `device`; measured where memory is what limits it."""
        return 32

    @property
    def couples(self) -> bool:
        """Whether images of one batch influence each other, so that the batch is part of their identity."""
        return False

    def turns(self, pool: Pool, count: int) -> Iterator[tuple[Sample | None, int]]:
        """The parent and variant number of each of `count` images of one class."""
        return pool.turns(count)

    @abstractmethod
    def draw(self, label: str, parent: Sample | None, pool: Pool, variant: int, seed: int) -> Drawn:
        """The parents and every random draw of the `variant`-th image of a class made from `parent`."""

    @abstractmethod
    def open(self, device: str) -> Studio:
        """Load the model on `device` ("auto", "cpu", "cuda")."""


class Filter(Stage):
    """Judges one image by itself. Numbers are measured once; the rule is applied at every run, for free."""

    verb: ClassVar[str] = "filter"
    decides: ClassVar[frozenset[str]] = frozenset({"on", "keep", "min", "mean_minus_std", "scope", "by"})
    measures: ClassVar[tuple[str, ...]]

    on: On = Field("all", description="Judge all images, or only the synthetic or the real ones.")
    keep: Share | None = Field(None, description="Keep this share, the best ones (0.8 if no rule is given).")
    min: float | None = Field(None, description="Keep what scores at least this.")
    mean_minus_std: float | None = Field(None, description="Keep what scores at least mean - K * std.")
    scope: Literal["class", "all"] = Field("class", description="Apply the rule within each class, or over all.")

    @model_validator(mode="after")
    def _one_rule(self) -> Filter:
        given = [name for name in ("keep", "min", "mean_minus_std") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(map(kebab, given))} exclude each other: give one rule")
        return self

    def rule(self) -> Rule:
        """The rule that the options ask for."""
        from augforge.rules import Rule

        nothing = self.keep is None and self.min is None and self.mean_minus_std is None
        return Rule(0.8 if nothing else self.keep, self.min, self.mean_minus_std)

    @property
    def decisive(self) -> str:
        """The measure that the rule looks at."""
        return str(getattr(self, "by", self.measures[0]))


class PixelFilter(Filter):
    """A filter that looks at one image's pixels."""

    @abstractmethod
    def measure(self, image: Image) -> Mapping[str, float]:
        """The numbers of one RGB image, one for each of `measures`; higher is better."""


class EmbeddingFilter(Filter):
    """A filter that looks at one image's embedding, beside its classes' prompts and real images."""

    model: Annotated[str, Task("image-text")] = Field("builtin-clip", description="The image-text model.")
    prompt: Prompt = Field("a photo of a {label}", description="The prompt of a class; {label} is its name.")

    @abstractmethod
    def compare(
        self, images: Vectors, classes: NDArray[np.int64], prompts: Vectors, prototypes: Vectors
    ) -> dict[str, FloatArray]:
        """The numbers of every image, one array for each of `measures`; higher is better.

        Args:
            images: (n, d) embeddings of unit length.
            classes: (n,) index of each image's class, -1 where it has no label.
            prompts: (c, d) embeddings of the classes' prompts, of unit length.
            prototypes: (c, d) mean embedding of the class's real images, of unit length; NaN where it has none.

        Returns:
            For each of `measures` an array (n,), NaN where nothing can be said.
        """


class Selector(Stage):
    """Chooses the subset worth keeping; needs to see the others."""

    verb: ClassVar[str] = "select"

    on: On = Field("all", description="Choose among all images, or only the synthetic or the real ones.")
    count: int | None = Field(None, ge=0, description="How many images to keep in all.")
    share: Share | None = Field(None, description="Which share of the images to keep (0.5 if nothing is given).")
    allocation: Literal["proportional", "equal"] = Field(
        "proportional", description="Divide the budget by class size, or equally over the classes."
    )

    @model_validator(mode="after")
    def _one_budget(self) -> Selector:
        if self.count is not None and self.share is not None:
            raise ValueError("count and share exclude each other: give one")
        return self

    def budget(self, available: int) -> int:
        """How many of `available` images to keep."""
        if self.count is not None:
            return self.count
        return int((0.5 if self.share is None else self.share) * available + 1e-9)

    @abstractmethod
    def choose(self, budget: int, labels: Sequence[str], ids: Sequence[str], features: Vectors | None) -> Selection:
        """Choose `budget` of n images: `labels` (n,), `ids` (n,), `features` (n, d) if the stage names a model."""
