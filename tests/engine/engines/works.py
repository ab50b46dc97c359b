"""Works whose rows are known: numbers that are doubled, some of which are trouble."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from augforge.data.parts import Parts
from augforge.engine.pixels import Pixels
from augforge.engine.work import Made, Maker, Place, Refused, Work
from augforge.errors import AugforgeError, ModelError
from augforge.progress import Progress

DOUBLED = pa.schema([("id", pa.string()), ("double", pa.int64()), ("text", pa.string())])


def parts_in(folder: Path) -> Parts:
    """Where the rows of `Doubling` go."""
    return Parts(folder / "parts" / "doubled", DOUBLED, "id", lambda text: None)


def place(progress: Progress | None = None) -> Place:
    """No images, on the CPU."""
    return Place(Pixels([]), "cpu", progress or Progress())


def row(number: int, text: str = "") -> dict[str, Any]:
    """What is stored of a number."""
    return {"id": str(number), "double": 2 * number, "text": text}


def rows_of(parts: Parts) -> list[dict[str, Any]]:
    """All rows of all files, by number; one that is there twice is told twice."""
    parts.reload()
    tables = [pa.ipc.open_file(path.read_bytes()).read_all().to_pylist() for path in parts.folder.glob("*.arrow")]
    return sorted((row for table in tables for row in table), key=lambda row: int(row["id"]))


@dataclass(frozen=True)
class Doubling(Work[int]):
    """Doubles numbers. Those in `deadly` end the process, in `slow` take `seconds`, and so on."""

    title: str = "double"
    per_batch: int = 2
    per_unit: int = 4
    deadly: frozenset[int] = frozenset()
    deadly_while: str = "make"
    slow: frozenset[int] = frozenset()
    seconds: float = 0.0
    once: str = ""
    """A file that the first who is slow creates: whoever finds it is quick."""
    refused: frozenset[int] = frozenset()
    bad: str = ""
    """What goes wrong when it is opened: "error", "defect" or "death"."""
    wrong: int | None = None
    """The number at which a defect shows."""
    unwelcome: int | None = None
    """The number at which an error for the user is raised."""
    text: str = ""
    device: bool = False
    uses_device: ClassVar[bool] = False
    timed: ClassVar[bool] = True

    def open(self, pixels: Pixels, device: str, progress: Progress) -> Maker:
        if self.bad == "error":
            raise ModelError("the model has no weights", "give another one")
        if self.bad == "defect":
            raise KeyError("layer.0")
        if self.bad == "death":
            os.kill(os.getpid(), signal.SIGKILL)
        return DoublingMaker(self)

    def name_of(self, item: int) -> str:
        return str(item)

    def lost(self, items: Sequence[int], why: str) -> Made:
        return Made([row(number, why) for number in items])


class DoublingMaker(Maker):
    facts: ClassVar[dict[str, Any]] = {"device": "cpu"}

    def __init__(self, work: Doubling) -> None:
        self._work = work

    def load(self, batch: Sequence[int]) -> Sequence[int]:
        self._die(batch, "load")
        return batch

    def make(self, loaded: Sequence[int]) -> Sequence[int]:
        self._die(loaded, "make")
        if self._work.wrong in loaded:
            raise KeyError("a defect")
        if self._work.unwelcome in loaded:
            raise AugforgeError("not so", "but so")
        if self._work.slow & set(loaded) and self._first():
            time.sleep(self._work.seconds)
        return loaded

    def rows(self, made: Sequence[int]) -> Made:
        text = {"pid": str(os.getpid()), "threads": os.environ.get("OMP_NUM_THREADS", "")}.get(
            self._work.text, self._work.text
        )
        good = [number for number in made if number not in self._work.refused]
        return Made(
            [row(number, text) for number in good],
            refused=Refused({str(number): "refused" for number in made if number in self._work.refused}),
        )

    def _die(self, numbers: Sequence[int], where: str) -> None:
        if self._work.deadly_while == where and self._work.deadly & set(numbers):
            os.kill(os.getpid(), signal.SIGKILL)

    def _first(self) -> bool:
        if not self._work.once:
            return True
        try:
            Path(self._work.once).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True
