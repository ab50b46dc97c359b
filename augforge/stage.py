"""What a stage is: typed options and one method. Read this file to know how to add one.

    Generator         makes pixels                                `draw` one job, `open` what makes the pixels
    PixelFilter       a number from one image's pixels            `measure`
    EmbeddingFilter   numbers from images' embeddings             `compare`
    Selector          chooses among many by their embeddings      `choose`
    Thinner           leaves so many real images of each class    `quotas`
    Labeler           gives unlabelled images a class             `decide`
    Splitter          puts images into splits                     `assign`
    Trainer           learns a model from the images so far       `roles` who plays what, `course` how it learns

A stage lives in one file of the folder of its kind (`generators/`, `filters/`, `selectors/`, `labelers/`, `splitters/`,
`trainers/`) and has one line in `catalog.py`.
Importing it must not import torch, diffusers, transformers, open_clip or datasets.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from augforge.filters.gallery import Gallery
    from augforge.labels import PseudoLabels
    from augforge.ledger import Indices, Ledger
    from augforge.pool import Pool
    from augforge.rules import Rule
    from augforge.sample import Sample
    from augforge.select import Certificate, Selection
    from augforge.training.course import Course, Kit
    from augforge.training.pictures import Pictures

    FloatArray = NDArray[np.float64]
    Vectors = NDArray[np.float32]
    Hashes = NDArray[np.uint64]

On = Literal["all", "synthetic", "real"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


def _check_template(template: str) -> str:
    unknown = set(re.findall(r"{(.*?)}", template)) - {"label"}
    if unknown:
        raise ValueError(f"{{{sorted(unknown)[0]}}} cannot be filled in; only {{label}} can")
    return template


Mark = TypeVar("Mark")
Prompt = Annotated[str, AfterValidator(_check_template)]


@dataclass(frozen=True)
class Task:
    """Marks an option as the name of a model that can do `name`."""

    name: str


@dataclass(frozen=True)
class Column:
    """Marks an option as the name of a column of the sources, with as many numbers in every row."""


def kebab(name: str) -> str:
    """The name of an option in YAML and on the command line."""
    return name.replace("_", "-")


class Stage(BaseModel, ABC):
    """Options of one step. Unknown options are refused; the YAML key is the option's name.

    `decides` names the options that only decide over what was measured or say how much to make: changing
    one of them never makes a stored result stale.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=kebab, populate_by_name=True, allow_inf_nan=False
    )

    verb: ClassVar[str]
    name: ClassVar[str]
    version: ClassVar[int] = 1
    decides: ClassVar[frozenset[str]] = frozenset()
    example: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def tasks(cls) -> dict[str, str]:
        """The options that name a model, and the task it must be able to do."""
        return {name: mark.name for name, mark in _marks(cls, Task).items()}

    @classmethod
    def column_options(cls) -> list[str]:
        """The options that name a column of the sources."""
        return list(_marks(cls, Column))

    def check(self) -> None:
        """Raise RecipeError or ModelError where the options do not go together; nothing is loaded here."""

    def measured_options(self) -> dict[str, Any]:
        """The options that a stored result depends on."""
        return self.model_dump(mode="json", by_alias=True, exclude=set(self.decides))

    def options(self) -> dict[str, Any]:
        """Every option, as in a recipe."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _marks(cls: type[BaseModel], kind: type[Mark]) -> dict[str, Mark]:
    """The marks of one kind that options carry, by the name of the option."""
    found = {name: next((m for m in f.metadata if isinstance(m, kind)), None) for name, f in cls.model_fields.items()}
    return {name: mark for name, mark in found.items() if mark is not None}


@dataclass(frozen=True, slots=True)
class Job:
    """One image to make: the sample that it will be, and the real samples that condition it."""

    sample: Sample
    parents: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A made image (h, w, 3), float in [0, 1] or NaN, and what is to be recorded about it beside its draws.

    `mask` is its label map (h, w), or a picture (h, w, 3) in a mask's place, where it has one.
    """

    pixels: NDArray[np.float32]
    facts: Mapping[str, Any] = field(default_factory=dict)
    mask: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A job with its parents' pixels, RGB, in the parents' order.

    `masks` are their masks' encoded bytes, None for a parent without one; () unless the generator uses masks.
    """

    job: Job
    images: tuple[Image, ...]
    masks: tuple[bytes | None, ...] = ()


Drawn = tuple[Sequence["Sample"], Mapping[str, Any]]
Maker = Callable[[Sequence[Loaded]], Sequence[Picture]]


@dataclass(frozen=True, slots=True)
class Studio:
    """A generator made ready: `make` turns a full batch into as many pictures; `facts` are recorded of all."""

    make: Maker
    facts: Mapping[str, Any]


class Generator(Stage):
    """Makes new samples of each class, conditioned on real ones.

    With `needs_labels` false, unlabelled images condition it too: they count as one class more, called None, and what
    is made of them is unlabelled. With `uses_masks`, it is given its parents' masks.
    """

    verb: ClassVar[str] = "generate"
    decides: ClassVar[frozenset[str]] = frozenset(
        {
            "of",
            "per_class",
            "balance_to",
            "real_to_synthetic",
            "until_accepted",
            "max_tries",
            "shots",
            "split",
            "batch",
            "processes",
        }
    )
    needs_labels: ClassVar[bool] = True
    uses_masks: ClassVar[bool] = False

    per_class: int | None = Field(None, ge=0, description="New images for every class.")
    balance_to: int | Literal["max"] | None = Field(
        None, description="Top every class up to this many images, or `max`: as many as the largest class has."
    )
    real_to_synthetic: str | None = Field(
        None, description="New images for the real ones of every class: 1:3 makes three for each, 2:1 one for two."
    )
    until_accepted: int | None = Field(
        None, ge=1, description="Make new images of every class until so many pass the filters right after it."
    )
    max_tries: int | None = Field(
        None, ge=1, description="With until-accepted: at most so many images for each one asked for (10 if absent)."
    )
    of: str | None = Field(None, description="Make new images of this class only.")
    shots: int | None = Field(None, ge=1, description="Condition on K images per class and on no others.")
    split: str = Field("train", description="Condition on this split only (and on images that have no split).")
    batch: int | Literal["auto"] = Field(
        "auto", description="Images per call of the model; auto measures once what fits, and stays with it."
    )

    @field_validator("real_to_synthetic", mode="before")
    @classmethod
    def _ratio(cls, ratio: Any) -> Any:
        if isinstance(ratio, str) and re.fullmatch(r"0*[1-9]\d*:\d+", ratio, re.ASCII):
            return ratio
        if ratio is None:
            return None
        raise ValueError('it is two whole numbers in quotes, such as "1:3", the first at least 1')

    @model_validator(mode="after")
    def _one_amount(self) -> Generator:
        if len(given := self._amounts) > 1:
            raise ValueError(f"{' and '.join(map(kebab, given))} exclude each other: give one")
        if self.max_tries is not None and self.until_accepted is None:
            raise ValueError("max-tries goes with until-accepted")
        return self

    @property
    def _amounts(self) -> list[str]:
        amounts = ("per_class", "balance_to", "real_to_synthetic", "until_accepted")
        return [name for name in amounts if getattr(self, name) is not None]

    @property
    def has_amount(self) -> bool:
        """Whether the recipe says how many images to make."""
        return bool(self._amounts)

    def child_label(self, label: str | None) -> str | None:
        """The class of what is made from images of class `label`."""
        return label

    def wanted(self, counts: Mapping[str | None, int]) -> dict[str | None, int]:
        """How many images each class should get, given how many it has. Without an amount: balance to the largest.

        With `real_to_synthetic` the counts are of real images, and each class is rounded by itself, halves up.
        """
        if (each := self.per_class if self.until_accepted is None else self.until_accepted) is not None:
            return dict.fromkeys(counts, each)
        if self.real_to_synthetic is not None:
            real, synthetic = map(int, self.real_to_synthetic.split(":"))
            return {label: (2 * count * synthetic + real) // (2 * real) for label, count in counts.items()}
        if any(label is not None for label in counts):  # what has no label is no class to balance
            counts = {label: count for label, count in counts.items() if label is not None}
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
    def draw(self, label: Any, parent: Sample | None, pool: Pool, variant: int, seed: int) -> Drawn:
        """The parents and every random draw of the `variant`-th image of a class made from `parent`.

        `label` is a text; None too if `needs_labels` is false.
        """

    @abstractmethod
    def open(self, device: str) -> Studio:
        """Load the model on `device` ("auto", "cpu", "cuda")."""


class Filter(Stage):
    """Judges one image by itself. Numbers are measured once; the rule is applied at every run, for free.

    `usual` is the rule where none is given, as fields of `Rule`; `falling` names the measures of which less is better.
    """

    verb: ClassVar[str] = "filter"
    decides: ClassVar[frozenset[str]] = frozenset({"on", "keep", "min", "max", "mean_minus_std", "scope", "by"})
    measures: ClassVar[tuple[str, ...]]
    falling: ClassVar[frozenset[str]] = frozenset()
    usual: ClassVar[Mapping[str, float]] = {"keep": 0.8}

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
        from augforge.rules import Rule

        options = {"keep": self.keep, "minimum": self.min, "maximum": self.max, "deviations": self.mean_minus_std}
        given = {name: value for name, value in options.items() if value is not None}
        return Rule(**(given or self.usual), falling=self.decisive in self.falling)

    @property
    def decisive(self) -> str:
        """The measure that the rule looks at: the one that `by` names, in full or without the filter's name."""
        by = str(getattr(self, "by", self.measures[0]))
        return by if by in self.measures else f"{self.name}-{by}"

    def explain(self, gallery: Gallery, scores: FloatArray) -> Sequence[str | None]:
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
        """The numbers of one RGB image, one for each of `measures`; called from several threads.

        Raises:
            Unjudged: (of `augforge.rules`) nothing can be said of this image; it goes, and is asked again another time.
        """


class EmbeddingFilter(Filter):
    """A filter that looks at one image's embedding, beside those of texts, of real images or of its parents.

    `needs_real` says that it looks at real images beside those that it judges, `weighs` that the decisive measure
    becomes a factor of the weight of those that stay.
    """

    needs_real: ClassVar[bool] = False
    weighs: ClassVar[bool] = False

    model: Annotated[str, Task("image-embedding")] = Field("builtin-clip", description="The model that embeds.")

    @abstractmethod
    def compare(self, gallery: Gallery) -> dict[str, FloatArray]:
        """An array (n,) for each of `measures`, NaN where nothing can be said; computes only what it asks for."""


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

    @property
    def needs(self) -> tuple[str, ...]:
        """The options that name the models or columns whose numbers `compared` gets, side by side."""
        return tuple(name for name in (*self.tasks(), *self.column_options()) if getattr(self, name) is not None)

    def compared(self, features: Vectors, labels: Sequence[str], classes: Sequence[str]) -> Vectors:
        """(n, d) what the n images are compared by: `features` (n, f) themselves, unless a selector makes more of them.

        `classes` (c,) are the names of the columns of logits, where there are any among the features.
        """
        return features

    def certify(
        self, selection: Selection, labels: Sequence[str], ids: Sequence[str], features: Vectors
    ) -> Certificate | None:
        """What can be said of the selection, for the same arguments; None for a selector that maximises nothing."""
        return None

    def budget(self, available: int) -> int:
        """How many of `available` images to keep."""
        if self.count is not None:
            return self.count
        return int((0.5 if self.share is None else self.share) * available + 1e-9)

    @abstractmethod
    def choose(self, budget: int, labels: Sequence[str], ids: Sequence[str], features: Vectors | None) -> Selection:
        """Choose `budget` of n images by `labels` (n,), `ids` (n,) and what `compared` made, if the stage needs any."""


class Thinner(Stage):
    """Leaves so many real training images of each class, chosen as generators choose their shots; spares the others.

    It makes a small or long-tailed set of a large one, so it comes before whatever learns or makes. The order is that
    of a hash: a larger quota only adds images, and K of a class are those that a generator with `shots: K` sees.
    """

    verb: ClassVar[str] = "select"

    @abstractmethod
    def quotas(self, counts: Mapping[str, int]) -> dict[str, int]:
        """How many to leave of each class at most, given how many it has."""


class Trainer(Stage):
    """Learns a model from the kept training images; later stages name it by what `as` calls it.

    On the command line the sources of its roles are options of their own (`arguments`, with their help), in place of
    the options of the same name; without any, the sources are given as for every other stage. `files` are options
    that may name a file whose content the result depends on.
    """

    verb: ClassVar[str] = "train"
    task: ClassVar[str]
    arguments: ClassVar[Mapping[str, str]] = {}
    files: ClassVar[tuple[str, ...]] = ()
    decides: ClassVar[frozenset[str]] = frozenset({"called", "processes", "checkpoint_every", "look_every"})

    called: str = Field("model", alias="as", description="The name by which later stages ask for the trained model.")
    shots: int | None = Field(None, ge=1, description="Learn from K images per class and from no others.")
    split: str = Field("train", description="Learn from this split only (and from images that have no split).")
    steps: int = Field(1000, ge=1, description="Steps of the optimisers.")
    batch: int = Field(4, ge=1, description="Images per step, over all processes.")
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        "auto", description="Mixed precision; auto is bf16 or fp16 on a GPU and fp32 on the CPU."
    )
    processes: int = Field(1, ge=1, description="Divide every batch among so many processes, one device each.")
    checkpoint_every: int = Field(200, ge=1, description="Steps between checkpoints.")
    look_every: int = Field(500, ge=1, description="Steps between looks at what comes out: is it sound, and how good?")

    @model_validator(mode="after")
    def _whole_shares(self) -> Trainer:
        if self.batch % self.processes:
            raise ValueError(f"a batch of {self.batch} cannot be divided among {self.processes} processes")
        return self

    @property
    def masks(self) -> bool:
        """Whether the training needs the images' masks."""
        return False

    @classmethod
    def sources_from(cls, given: Mapping[str, Sequence[str]]) -> list[tuple[str, dict[str, str]]]:
        """The sources that the `arguments` of the command line name, each with the options of its format."""
        return [(source, {}) for sources in given.values() for source in sources]

    @abstractmethod
    def roles(self, ledger: Ledger) -> dict[str, Indices]:
        """Which samples play which part in the training, by index; RecipeError where a part has too few."""

    @abstractmethod
    def course(self, pictures: Mapping[str, Pictures], kit: Kit) -> Course:
        """The networks and their step, over the pictures of each role."""


class Labeler(Stage):
    """Gives images without a label the class that a classifier sees in them; drops those it is not sure of."""

    verb: ClassVar[str] = "pseudo-label"

    classifier: Annotated[str, Task("classification")] = Field(..., description="A classifier that was trained.")

    @abstractmethod
    def decide(self, logits: Vectors, ids: Sequence[str], classes: Sequence[str]) -> PseudoLabels:
        """Judge n images by `logits` (n, c) over `classes` (c,); `ids` (n,) break ties."""


class Splitter(Stage):
    """Divides the training images into splits; runs before anything is generated."""

    verb: ClassVar[str] = "split"

    @abstractmethod
    def assign(
        self, hashes: Hashes, ids: Sequence[str], labels: Sequence[str], splits: Sequence[str | None]
    ) -> list[str]:
        """The split of each of n images: `hashes` (n,) perceptual hashes, `ids`, `labels` and present `splits` (n,)."""
