"""Generators: stages that generate images."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from augforge.stages.stage import Stage, kebab

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from augforge.data.pool import Pool, Pools
    from augforge.data.sample import Sample


@dataclass(frozen=True, slots=True)
class Job:
    """One image to generate: the sample that it will be, and the real samples that it is conditioned on."""

    sample: Sample
    parents: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """A generated image (h, w, 3), float in [0, 1] or NaN, and what to record about it beside its sampled parameters.

    Of an operator it may be uint8, which is stored as it is.

    `pictures` are the decoded pictures that go with it, by their names, such as its `mask`: a label map (h, w), or an
    image (h, w, 3); see `augforge.data.pictures`. The engine adds `like`, the encoded ones of its first parent, whose
    modes and palettes are kept.
    `annotations` are those of the generated image: what a generator does not hand on is gone. `problem` is why it is
    dropped, "" if it is not; its pixels are not kept then.
    """

    pixels: NDArray[np.float32] | NDArray[np.uint8]
    facts: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    annotations: Mapping[str, Any] = field(default_factory=dict)
    like: Mapping[str, bytes] = field(default_factory=dict)
    problem: str = ""

    def encoded_pictures(self) -> dict[str, bytes]:
        """The pictures as PNG bytes; ValueError for a mask that has not the size of the image."""
        from augforge.data.pictures import encode_pictures

        return encode_pictures(self.pictures, self.like, self.pixels.shape[:2]) if self.pictures else {}


@dataclass(frozen=True, slots=True)
class GenerationInput:
    """A job with the decoded images of its parents, RGB, in the order of the parents.

    `pictures` has, for each, the encoded pictures that go with it, by name; () unless the generator uses some.
    """

    job: Job
    images: tuple[Image, ...]
    pictures: tuple[Mapping[str, bytes], ...] = ()


MOST_AT_ONCE = 4096
"""Images per call of a model: every batch is padded to this size, and lies in memory."""


def like_parents(items: Sequence[GenerationInput], made: Sequence[GeneratedImage]) -> list[GeneratedImage]:
    """The images that were made of `items`, whose masks and the like are to be stored as those of their parents are."""
    pairs = zip(items, made, strict=True)
    return [replace(image, like=item.pictures[0]) if item.pictures else image for item, image in pairs]


SampledParams = tuple[Sequence["Sample"], Mapping[str, Any]]
GenerateBatch = Callable[[Sequence[GenerationInput]], Sequence[GeneratedImage]]


@dataclass(frozen=True, slots=True)
class LoadedGenerator:
    """A generator with its model loaded: `generate` maps a full batch to as many images; `facts` are recorded.

    `summary` is asked when all is generated, and what it answers is said. `refusal` is asked before the parents of an
    image are read: why it cannot be made, such as that it would be too large; "" if it can.
    """

    generate: GenerateBatch
    facts: Mapping[str, Any]
    summary: Callable[[], str] = str
    refusal: Callable[[Job], str] = lambda job: ""


class Generator(Stage):
    """Generates new samples of each class, conditioned on real ones.

    With `needs_labels` false it is conditioned on unlabelled images, too: they count as one more class, called None,
    and what is generated from them is unlabelled. It is given the parents' pictures that `uses_pictures` names.
    """

    verb: ClassVar[str] = "generate"
    decision_options: ClassVar[frozenset[str]] = frozenset(
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
    uses_pictures: ClassVar[frozenset[str] | None] = frozenset()
    """The names of those of the parents' pictures that it is given; None for all of them."""
    trained: ClassVar[bool] = True
    """Whether a trained model makes the images, which their marks say."""

    per_class: int | None = Field(default=None, ge=0, description="New images for every class.")
    balance_to: Annotated[int, Field(ge=0)] | Literal["max"] | None = Field(
        default=None, description="Top every class up to this many images, or `max`: as many as the largest class has."
    )
    real_to_synthetic: str | None = Field(
        default=None,
        description="New images for the real ones of every class: 1:3 makes three for each, 2:1 one for two.",
    )
    until_accepted: int | None = Field(
        default=None, ge=1, description="Generate images of every class until this many pass the filters that follow."
    )
    max_tries: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="With until-accepted: at most this many images for each one asked for (10 if absent).",
    )
    of: str | None = Field(default=None, description="Make new images of this class only.")
    shots: int | None = Field(default=None, ge=1, description="Condition on K images per class and on no others.")
    split: str = Field(default="train", description="Condition on this split only (and on images that have no split).")
    batch: Annotated[int, Field(ge=1, le=MOST_AT_ONCE)] | Literal["auto"] = Field(
        default="auto", description="Images per call of the model; auto measures once what fits, and stays with it."
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
        if len(given := self.amounts_given) > 1:
            raise ValueError(f"{' and '.join(map(kebab, given))} exclude each other: give one")
        if self.max_tries is not None and self.until_accepted is None:
            raise ValueError("max-tries goes with until-accepted")
        return self

    @property
    def amounts_given(self) -> list[str]:
        """The options that say how many images to generate."""
        amounts = ("per_class", "balance_to", "real_to_synthetic", "until_accepted")
        return [name for name in amounts if getattr(self, name) is not None]

    @property
    def has_amount(self) -> bool:
        """Whether the recipe says how many images to generate."""
        return bool(self.amounts_given)

    @property
    def balances(self) -> bool:
        """Whether the amount levels the classes, so that it depends on how many images of each there are."""
        return self.balance_to is not None or not self.has_amount

    def child_label(self, label: str | None) -> str | None:
        """The class of what is generated from images of class `label`."""
        return label

    def made_label(self, label: str | None, parents: Sequence[Sample], sampled_params: Mapping[str, Any]) -> str | None:
        """The class of one image, once its parents and parameters are known; `child_label` unless they matter."""
        return self.child_label(label)

    def target_counts(self, counts: Mapping[str | None, float]) -> dict[str | None, int]:
        """How many images to generate of each class, given how many it has; by default up to the largest class.

        With `real_to_synthetic` the counts are of real images. Each class is rounded on its own, half up.
        """
        each = self.per_class if self.until_accepted is None else self.until_accepted
        if each is not None:
            return dict.fromkeys(counts, each)
        if self.real_to_synthetic is not None:
            return _in_ratio(self.real_to_synthetic, counts)
        if any(label is not None for label in counts):  # what has no label is no class to balance
            counts = {label: count for label, count in counts.items() if label is not None}
        target = self.balance_to if isinstance(self.balance_to, int) else max(counts.values(), default=0)
        return {label: max(0, math.floor(target - count + 0.5)) for label, count in counts.items()}

    processes: int = Field(
        default=1, ge=1, le=1024, description="Divide the batches among this many processes, one device each."
    )

    def processes_for(self, images: int) -> int:
        """Processes that generate so many `images` side by side."""
        return self.processes

    def default_batch_size(self, device: str) -> int:
        """How many images to generate per call on `device`; measured where memory is the limit."""
        return 32

    @property
    def plans_by_likeness(self) -> bool:
        """Whether its parents are chosen by how alike images are, which its model of images says."""
        return False

    @property
    def batch_dependent(self) -> bool:
        """Whether images of one batch influence each other, so that the batch is part of their identity."""
        return False

    def choose_parents(self, pool: Pool, count: int) -> Iterator[tuple[Sample | None, int]]:
        """The parent and variant number of each of `count` images of one class."""
        return pool.cycle(count)

    @abstractmethod
    def sample_params(self, label: Any, parent: Sample | None, pool: Pool, variant: int, seed: int) -> SampledParams:
        """The parents and all random parameters of the `variant`-th image generated from `parent`.

        `label` is the class, None only if `needs_labels` is false. All randomness must follow from `seed`.
        """

    def also_drawn(self, label: str | None, parents: Sequence[Sample], pool: Pool, seed: int) -> Mapping[str, Any]:
        """Further random parameters of an image whose parents are drawn; all randomness must follow from `seed`."""
        return {}

    def draw_among(self, label: Any, parent: Sample | None, pools: Pools, variant: int, seed: int) -> SampledParams:
        """As `sample_params`, for a generator that looks at the images of other classes, too; see `pools`."""
        parents, drawn = self.sample_params(label, parent, pools[label], variant, seed)
        drawn = {**drawn, **self.also_drawn(label, parents, pools[label], seed)}
        more, also = self.further_parents(label, pools, seed)
        return [*parents, *more], {**drawn, **also}

    def further_parents(self, label: Any, pools: Pools, seed: int) -> SampledParams:
        """Parents behind those of `sample_params`, and what is drawn for them; `pools` has images of all classes."""
        return [], {}

    def pictures_of(self, parent: Sample) -> list[str]:
        """The names of the pictures of a parent that it is given."""
        return [name for name in parent.pictures if self.uses_pictures is None or name in self.uses_pictures]

    def planned_scores(self, sampled_params: Mapping[str, Any]) -> Mapping[str, float]:
        """What is known of an image before it is made, by names that stand among the scores of filters."""
        return {}

    @abstractmethod
    def load(self, device: str) -> LoadedGenerator:
        """Load the model on `device` ("auto", "cpu", "cuda", "cuda:N", "mps")."""


def _in_ratio(ratio: str, counts: Mapping[str | None, float]) -> dict[str | None, int]:
    """New images for `counts` real ones in the ratio `real:synthetic`, halves rounded up."""
    real, synthetic = map(int, ratio.split(":"))
    return {label: int((2 * count * synthetic + real) // (2 * real)) for label, count in counts.items()}


def required(parent: Sample | None) -> Sample:
    """The parent of an image that is made from one.

    Raises:
        TypeError: there is none; only a generator that reads nothing but text is asked for that.
    """
    if parent is None:
        raise TypeError("this generator makes images from a real one, and was given none")
    return parent
