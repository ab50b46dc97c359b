"""Trainers: stages that train a model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from augforge.stages.stage import Stage

if TYPE_CHECKING:
    from augforge.data.ledger import Indices, Ledger
    from augforge.data.sample import Sample
    from augforge.training.images import TrainingImages
    from augforge.training.task import TrainingContext, TrainingTask


class Trainer(Stage):
    """Trains a model on the kept training images; later stages refer to it by the name given as `as`.

    On the command line the sources of its roles are options (`arguments`, with their help), in place of
    the options of the same name; without any, the sources are given as for every other stage. `files` are options
    that may name a file whose content the result depends on.
    """

    verb: ClassVar[str] = "train"
    task: ClassVar[str]
    arguments: ClassVar[Mapping[str, str]] = {}
    files: ClassVar[tuple[str, ...]] = ()
    decision_options: ClassVar[frozenset[str]] = frozenset({"called", "processes", "checkpoint_every", "eval_every"})

    called: str = Field(
        default="model", alias="as", description="The name by which later stages refer to the trained model."
    )
    shots: int | None = Field(default=None, ge=1, description="Train on K images per class and on no others.")
    split: str = Field(default="train", description="Train on this split only (and on images that have no split).")
    steps: int = Field(default=1000, ge=1, le=10_000_000, description="Steps of the optimisers.")
    batch: int = Field(default=4, ge=1, le=16_384, description="Images per step, over all processes.")
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        default="auto", description="Mixed precision; auto is bf16 or fp16 on a GPU and fp32 on the CPU."
    )
    processes: int = Field(
        default=1, ge=1, le=1024, description="Divide every batch among this many processes, one device each."
    )
    checkpoint_every: int = Field(default=200, ge=1, description="Steps between checkpoints.")
    eval_every: int = Field(
        default=500, ge=1, description="Steps between evaluations: has it diverged, and how good is it?"
    )

    @model_validator(mode="after")
    def _whole_shares(self) -> Trainer:
        if self.batch % self.processes:
            raise ValueError(f"a batch of {self.batch} cannot be divided among {self.processes} processes")
        return self

    def packages(self) -> tuple[str, ...]:
        """What the training loop and its networks run in."""
        return ("accelerate", "torch", "timm")

    @property
    def masks(self) -> bool:
        """Whether the training needs the images' masks."""
        return False

    @classmethod
    def sources_from(cls, given: Mapping[str, Sequence[str]]) -> list[tuple[str, dict[str, str]]]:
        """The sources that the command line names by `arguments`, each with the options of its format."""
        return [(source, {}) for sources in given.values() for source in sources]

    def usable(self, role: str, samples: Sequence[Sample]) -> tuple[Sequence[Sample], str]:
        """Those of the images of a role that it can use, and what is to be said of the others; RecipeError if none."""
        return samples, ""

    def texts(self, samples: Sequence[Sample]) -> Sequence[str]:
        """What is read in the annotations of the images and decides what the model becomes; () if nothing is."""
        return ()

    def verdict(self, measured: Mapping[str, float]) -> str:
        """What has to be said of a finished model, given what was measured of it; "" if nothing has."""
        return ""

    @abstractmethod
    def roles(self, ledger: Ledger) -> dict[str, Indices]:
        """The samples of each role in the training, by index; RecipeError if a role has too few."""

    @abstractmethod
    def training_task(self, pictures: Mapping[str, TrainingImages], context: TrainingContext) -> TrainingTask:
        """The networks and one training step, over the images of each role."""
