"""What every runner is given beside its stage: the run that it is part of."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augforge.data.label_errors import LabelError
from augforge.data.ledger import Ledger
from augforge.data.reviewed import Reviewed
from augforge.data.stage_facts import Facts
from augforge.data.store import Store
from augforge.engine.embedding import Drop, Embedders, dropper
from augforge.engine.pixels import Pixels
from augforge.engine.rows import Ahead
from augforge.engine.work import Engine, Place
from augforge.errors import EmptyResult
from augforge.models import Model
from augforge.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class RunContext:
    """The run that a stage is part of.

    The context itself never changes; what a run adds to lies in it: rows and decisions in `ledger`, the models that it
    trains in `models` by the names that later stages use, and what selectors certify in `certificates` and
    which labels they take for wrong in `label_errors`, by stage title; in `nearest` which image each is nearest to, a
    table for each time that a stage looked, and in `facts` what stages say of their own work.
    `ahead` is what was measured while the images were read.
    `yes` says that the user insists on more images than `augforge.engine.limits` lets pass.
    `flat` asks for a dataset/ without folders of splits.
    `beside` is the folder of the recipe, and `reviewed` has what the stages that follow a review file did.
    """

    ledger: Ledger
    embedders: Embedders
    seed: int = 0
    models: dict[str, Model] = field(default_factory=dict)
    certificates: dict[str, Any] = field(default_factory=dict)
    label_errors: dict[str, list[LabelError]] = field(default_factory=dict)
    nearest: dict[str, list[pa.Table]] = field(default_factory=dict)
    facts: dict[str, Facts] = field(default_factory=dict)
    ahead: Ahead = field(default_factory=Ahead)
    allow_empty: bool = False
    yes: bool = False
    flat: bool = False
    beside: Path = field(default_factory=Path)
    reviewed: dict[str, Reviewed] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        """The run folder."""
        return self.embedders.store

    @property
    def pixels(self) -> Pixels:
        """Where the bytes of every sample are."""
        return self.embedders.pixels

    @property
    def device(self) -> str:
        """ "auto", "cpu", "cuda", "cuda:N" or "mps"."""
        return self.embedders.device

    @property
    def engine(self) -> Engine:
        """What runs the units of work."""
        return self.embedders.engine

    @property
    def place(self) -> Place:
        """The images, the device, and who is told, for the engine."""
        return Place(self.pixels, self.device, self.progress)

    @property
    def progress(self) -> Progress:
        """Told how far the run is."""
        return self.embedders.progress

    def empty(self, problem: str, hint: str) -> None:
        """A stage leaves, makes or can judge nothing: EmptyResult, or a remark where the run may go on with that."""
        if not self.allow_empty:
            raise EmptyResult(problem, f"{hint}; or go on with --allow-empty")
        self.progress.say(problem)

    def drop_as(self, title: str) -> Drop:
        """What the stage called `title` calls for images that it cannot read."""
        return dropper(self.ledger, title)
