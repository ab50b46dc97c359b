"""Trainers: stages that learn a model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from augforge.stages.stage import Stage

if TYPE_CHECKING:
    from augforge.data.ledger import Indices, Ledger
    from augforge.training.pictures import Pictures
    from augforge.training.task import TrainingContext, TrainingTask


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
    decision_options: ClassVar[frozenset[str]] = frozenset({"called", "processes", "checkpoint_every", "eval_every"})

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
    eval_every: int = Field(500, ge=1, description="Steps between looks at what comes out: is it sound, and how good?")

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
    def training_task(self, pictures: Mapping[str, Pictures], context: TrainingContext) -> TrainingTask:
        """The networks and their step, over the pictures of each role."""
