"""Functions of many parts, such as those of a selection, called by the engine of a run instead of by `map`.

The answers are small and are read once: they lie in parts of their own until all of them have been.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import Any, NamedTuple, get_type_hints

import numpy as np
import pyarrow as pa

from augforge.data.store import Store
from augforge.engine.engines.local import Local
from augforge.engine.pixels import Pixels
from augforge.engine.work import Engine, Made, Maker, Place, Refused, Work
from augforge.errors import AugforgeError
from augforge.progress import Progress

ANSWERS = pa.schema([("call", pa.string()), ("answer", pa.binary())])


class Call(NamedTuple):
    """A function is to be called with `argument`; `name` says which call of which function it is."""

    name: str
    argument: Any


@dataclass(frozen=True)
class Calling(Work[Call]):
    """Calls a function that can be pickled: it answers with an array, or a dataclass of arrays and numbers."""

    function: Callable[[Any], Any]
    title: str
    counted: str = "parts"
    per_batch: int = 1
    per_unit: int = 1

    def open(self, pixels: Pixels, device: str, progress: Progress) -> Maker:
        """As `Work.open`."""
        return _Calls(self.function)

    def lost(self, items: Sequence[Call], why: str) -> Made:
        """As `Work.lost`: there is no answer."""
        return Made([], refused=Refused(unjudged={call.name: why for call in items}))

    def name_of(self, item: Call) -> str:
        """As `Work.name_of`."""
        return item.name


class _Calls(Maker):
    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def make(self, loaded: Sequence[Call]) -> Made:
        return Made([{"call": call.name, "answer": packed(self._function(call.argument))} for call in loaded])

    def rows(self, made: Made) -> Made:
        return made


class Caller:
    """`map`, by an engine, for a run in the folder of `store`: see `augforge.algorithms.selection.units.Run`."""

    def __init__(self, store: Store, engine: Engine, place: Place, title: str) -> None:
        self._store, self._engine, self._place, self._title = store, engine, place, title

    def __call__(self, function: Callable[[Any], Any], arguments: Iterable[Any]) -> Iterator[Any]:
        """The answers to all `arguments`, in their order.

        Raises:
            AugforgeError: a call has ended every worker that tried it.
        """
        given = list(arguments)
        if len(given) < 2 or not self.elsewhere:
            return map(function, given)
        return self._called(Calling(function, self._title), given)

    @property
    def elsewhere(self) -> bool:
        """Whether workers are others than this process, and see the vectors of the run where this process does."""
        engine = self._engine
        if isinstance(engine, Local) or engine.shares:
            return False
        return engine.name == "processes" or (self._store.mirror is None and self._store.shared is None)

    def _called(self, work: Calling, given: Sequence[Any]) -> Iterator[Any]:
        which = hashlib.sha256(pickle.dumps(work.function)).hexdigest()[:12]
        calls = [Call(f"{which}-{number}-{_digest(argument)}", argument) for number, argument in enumerate(given)]
        parts = self._store.parts(f"calls-{which}", ANSWERS, by="call")
        missing = set(parts.missing([call.name for call in calls]))
        todo = [call for call in calls if call.name in missing]
        refused = self._engine.run(work, todo, len(todo), parts, self._place)
        for why in refused.unjudged.values():
            raise AugforgeError(f"{work.title}: {why}", "what was computed is kept: run the same command to go on")
        kind = answered(work.function)
        for call in calls:
            yield unpacked(parts.row(call.name)["answer"], kind)
        parts.forget(parts.keys())


def _digest(argument: Any) -> str:
    return hashlib.sha256(pickle.dumps(argument)).hexdigest()[:32]


def answered(function: Callable[..., Any]) -> type | None:
    """The dataclass that a function answers with, as it is annotated; None for an array."""
    kind = get_type_hints(function.func if isinstance(function, partial) else function)["return"]
    return kind if isinstance(kind, type) and is_dataclass(kind) else None


def packed(answer: Any) -> bytes:
    """An array, or a dataclass of arrays and numbers, as bytes without any code in them."""
    values = {f.name: getattr(answer, f.name) for f in fields(answer)} if is_dataclass(answer) else {"array": answer}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **values)
    return buffer.getvalue()


def unpacked(content: bytes, kind: type | None) -> Any:
    """What was `packed`: one of the dataclass `kind`, or the array."""
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        values = {name: found[name] if found[name].ndim else found[name].item() for name in found.files}
    return values["array"] if kind is None else kind(**values)
