"""Units of work: what a run computes of its images, cut into pieces that any engine can run, and run again.

The driver, which is the process of the user, keeps the plan, the ids, the ledger and every decision. A worker is handed
a `Unit`: numbers and names, never pixels. It makes rows, and writes them as a part named by its content. So a unit that
is run twice writes the same file twice, and does no harm.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import pyarrow as pa

from augforge.data.bundle import Bundle
from augforge.data.parts import Parts
from augforge.engine.pixels import Pixels
from augforge.models import Model, trained_rows
from augforge.optional import require
from augforge.progress import Progress
from augforge.recipe import SourceSpec

Item = TypeVar("Item")
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why there are no rows of some images, by their keys: `dropped` cannot be read, `unjudged` cannot be judged."""

    dropped: Mapping[str, str] = field(default_factory=dict)
    unjudged: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """What became of some items: rows that are stored (`size` bytes of pixels in them), and what has none."""

    rows: Rows
    size: int = 0
    refused: Refused = field(default_factory=Refused)


@dataclass(frozen=True, slots=True)
class Unit(Generic[Item]):
    """Some items, with their place in the work; what an engine hands out, retries, and halves."""

    number: int
    items: tuple[Item, ...]


class Maker(ABC):
    """Work as it is done in one process, with the models loaded and the sources open."""

    facts: Mapping[str, Any] = {}  # replaced, never changed
    """What is known of device and models, for the record of how fast it went."""

    def load(self, batch: Sequence[Any]) -> Any:
        """What can be done ahead of `make`, in other threads: reading and decoding."""
        return batch

    def make(self, loaded: Any) -> Any:
        """What the model makes of a batch that was loaded. Called in one thread, in any order of batches."""
        return loaded

    @abstractmethod
    def rows(self, made: Any) -> Made:
        """What is stored of it. Called behind `make`, in another thread: encoding."""

    def summary(self) -> str:
        """What there is to say at the end, "" if nothing."""
        return ""


class Work(ABC, Generic[Item]):
    """What is to be made of items, which can be pickled: no open file, no model, no ledger."""

    title: str
    """What the progress calls it."""
    counted: str = "images"
    """What `count` counts."""
    per_batch: int = 64
    """Items that are loaded and made together."""
    per_unit: int = 1024
    """Items of a unit: those that another process commits, or loses, at once."""
    workers: int = 1
    """Processes that it is done in even where everything else is done in this one."""
    loaders: int = 2
    """Threads that load ahead where the work is done in this process."""
    uses_device: ClassVar[bool] = False
    """Whether it computes on the run's device, so that there is one worker for each GPU."""
    timed: ClassVar[bool] = False
    """Whether the rate is noted beside the parts, for plans."""

    @abstractmethod
    def open(self, pixels: Pixels, device: str, progress: Progress) -> Maker:
        """Load what it takes to do the work; told to `progress`."""

    @abstractmethod
    def lost(self, items: Sequence[Item], why: str) -> Made:
        """What stands for items that cannot be made, as they end the process that tries."""

    @abstractmethod
    def name_of(self, item: Item) -> str:
        """What an item is called whatever else is there, so that it is the task of the same one of several."""

    def models(self) -> Sequence[tuple[str, str]]:
        """The models that it loads, each with the task that it is for."""
        return ()

    def count(self, items: Sequence[Item]) -> int:
        """How many images these items are, for the progress."""
        return len(items)

    def divided(self, items: tuple[Item, ...]) -> list[tuple[Item, ...]]:
        """The two halves of items that ended a process; one alone if they cannot be made apart."""
        if len(items) < 2:
            return [items]
        middle = len(items) // 2
        return [items[:middle], items[middle:]]

    def batches(self, items: Iterable[Item]) -> Iterator[list[Item]]:
        """The items cut into batches."""
        waiting = iter(items)
        return iter(lambda: list(islice(waiting, self.per_batch)), [])

    def units(self, items: Iterable[Item]) -> Iterator[Unit[Item]]:
        """The items cut into units."""
        waiting = iter(items)
        cut = iter(lambda: tuple(islice(waiting, self.per_unit)), ())
        return (Unit(number, part) for number, part in enumerate(cut))


Opener = Callable[[], Maker]


@dataclass(frozen=True, slots=True)
class Place:
    """Where work is done: the images, the device, and who is told.

    `opened` opens the work where it is done in this process, and something for it is there already; else `work.open`.
    """

    pixels: Pixels
    device: str
    progress: Progress
    opened: Opener | None = None


class Engine(ABC):
    """Runs work: in this process, in others, or on other machines. The rows are the same."""

    name: ClassVar[str]
    shares: ClassVar[bool] = False
    """Whether several processes write into one run folder at once, each its own part of the rows."""

    @abstractmethod
    def run(self, work: Work[Item], items: Iterable[Item], total: int, parts: Parts | Bundle, place: Place) -> Refused:
        """Do `work` on all `items`, `total` images in all, and commit the rows to `parts`.

        Args:
            work: what is done.
            items: on what; taken one after the other as there is time for them.
            total: of how many images, for the progress.
            parts: where the rows go; they are there, and found, when this returns.
            place: where the images are, on which device, and who is told.

        Returns:
            Why there are no rows of some.

        Raises:
            AugforgeError: it cannot go on; what was committed is kept.
        """

    def train(self) -> None:  # noqa: B027  # whoever runs alone trains
        """Called before a model is trained, which is no work of units.

        Raises:
            ShareDone: it is for another process to train.
        """

    def finish(self) -> None:  # noqa: B027  # most write the result
        """Called when all rows are there, before the result is written.

        Raises:
            ShareDone: the result is for another process to write.
        """

    def close(self) -> None:  # noqa: B027  # nothing to do where there are no workers
        """End the workers that wait for more."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a worker needs to open the images and models of a run; can be pickled.

    `generated` has the folder, schema and column of keys of the parts in which generated images lie, by their names,
    and of others that a work reads. `threads` are those with which models compute on a CPU: as many as in the process
    of the user, as the last bits depend on them.
    """

    sources: tuple[SourceSpec, ...]
    generated: Mapping[str, tuple[Path, pa.Schema, str]]
    trained: Mapping[str, Model]
    device: str
    threads: int | None = None

    @property
    def folders(self) -> list[Path]:
        """Where what it names may lie in the run."""
        return [folder for folder, _, _ in self.generated.values()] + [
            Path(row.location) for row in self.trained.values()
        ]

    @staticmethod
    def of(place: Place, work: Work[Any]) -> Setting:
        """The setting of `work` that is to be done elsewhere."""
        generated = {
            name: (parts.folder.absolute(), parts.schema, parts.by) for name, parts in place.pixels.generated.items()
        }
        return Setting(
            place.pixels.specs, generated, trained_rows(), place.device, _threads() if work.uses_device else None
        )


def _threads() -> int:
    require("torch")
    import torch

    return torch.get_num_threads()
