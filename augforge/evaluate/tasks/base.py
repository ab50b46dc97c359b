"""What a task is: which images can be learned from and judged by, who learns, and what the answers are worth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from augforge.evaluate.arms import Arm, Flags, Outcomes
from augforge.evaluate.heldout import HeldOut
from augforge.evaluate.learners import Answers, Learner
from augforge.evaluate.settings import Settings
from augforge.progress import Progress

if TYPE_CHECKING:
    from augforge.data.ledger import Ledger
    from augforge.engine.embedding import Embedders
    from augforge.evaluate.folder import RunFolder
    from augforge.stages.selector import Subsampler

Record = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """What every comparison of one evaluation shares."""

    opened: RunFolder
    outcomes: Outcomes
    settings: Settings
    embedders: Embedders
    device: str
    progress: Progress

    @property
    def ledger(self) -> Ledger:
        """That of the run."""
        return self.outcomes.ledger


class Task(ABC):
    """What is learned.

    Attributes:
        score: the name, in evaluation.json, of the measure by which arms are compared; in [0, 1].
        answer: what an image must have to be learned from or judged by.
        has_metrics: whether images are measured by class, too (`--metrics`), and subsampled by class.
    """

    score: ClassVar[str]
    answer: ClassVar[str] = "label"
    has_metrics: ClassVar[bool] = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    def learnable(self, ledger: Ledger) -> Flags:
        """(n,) which samples of a run can be learned from; RecipeError if what is known of them is of another task."""

    @abstractmethod
    def judged(self, held_out: HeldOut, classes: Sequence[str]) -> HeldOut:
        """Those images of `held_out` whose answer is known, with it.

        Raises:
            SourceError: there is none, or one is of a class that the run, of `classes`, does not have.
        """

    def checked(self, held_out: Sequence[HeldOut]) -> None:  # noqa: B027 - most tasks can use every test set
        """SourceError, before anything is trained, where the sets that are judged do not belong together."""

    @abstractmethod
    def learner(self, bench: Bench, arms: Sequence[Arm], subsampler: Subsampler | None) -> Learner:
        """Who learns from the arms, the first of which is the real one."""

    @abstractmethod
    def results(
        self, bench: Bench, arms: Sequence[Arm], held_out: Sequence[HeldOut], answers: Mapping[str, list[list[Answers]]]
    ) -> Record:
        """`classes`, `counts`, `arms` and perhaps `shifts` of evaluation.json.

        Args:
            bench: what is evaluated.
            arms: those that were trained on, the real one first.
            held_out: the test set, and perhaps shift sets or queries.
            answers: for each arm and each of `held_out`, those of every seed.
        """
