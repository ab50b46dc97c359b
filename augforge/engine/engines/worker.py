"""What a worker does, whatever it is: it opens a work, and makes one part of each unit, named by its content.

Loading runs ahead in threads, over the end of a unit into the next one, so that the model never waits for it.
"""

from __future__ import annotations

import os
import platform
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pyarrow as pa

from augforge.data.away import Away
from augforge.data.parts import Parts, Target
from augforge.engine.engines.orders import Answer, Failed, Order, Outcome, Report, Task, versions
from augforge.engine.engines.visible import as_seen, away_from, check_sources, is_visible
from augforge.engine.pixels import Pixels
from augforge.engine.work import Maker, Refused, Rows, Setting, Unit, Work
from augforge.errors import AugforgeError
from augforge.io import open_source
from augforge.io.base import Source
from augforge.models import find_model, model_digest, trained_models
from augforge.models.devices import kind_of
from augforge.progress import Progress
from augforge.recipe import SourceSpec

Reply = Callable[[Answer], None]
Message = tuple[Order, Reply] | None
"""An order, and what is told the answer to it; None ends the worker."""


class Worker:
    """Follows orders one after the other. `rank` is its place among `share` workers of this machine."""

    def __init__(self, rank: int = 0, share: int = 1) -> None:
        self._rank, self._share = rank, share
        self._orders: SimpleQueue[Message] = SimpleQueue()
        self._images = OpenImages()
        self._models = ExitStack()

    def tell(self, order: Order, reply: Reply) -> None:
        """Queue an order; returns at once."""
        self._orders.put((order, reply))

    def end(self) -> None:
        """End `serve` when what was queued before is done."""
        self._orders.put(None)

    def serve(self) -> None:
        """Follow orders until `end`; models are loaded, and compute, in the thread that calls this."""
        message = self._orders.get()
        with self._models:
            while message is not None:
                order, reply = message
                opened = None
                if isinstance(order.what, Task):
                    opened, answer = self._open(order.what)
                    reply(Answer(order.serial, answer))
                message = self._follow(opened, order.serial)

    def _follow(self, opened: Opened | None, serial: int) -> Message:
        """Do the units that come for a work; returns the order after them. Without a work they are passed over."""
        incoming = Incoming(self._orders, serial)
        if opened is None:
            for _ in incoming:
                pass
            return incoming.after
        with Flow(opened, incoming, serial) as flow:
            flow.run()
        return incoming.after

    def _open(self, task: Task) -> tuple[Opened | None, Report | Failed]:
        where = f"{platform.node()} (process {os.getpid()})"
        sees = is_visible(task)
        try:
            check_sources(task.setting.sources, where)
            task = as_seen(task, away := away_from(task))
            self._models.close()
            self._models.enter_context(trained_models(task.setting.trained))
            device = self._device(task)
            _set_threads(task.setting.threads)
            maker = task.work.open(self._images.of(task.setting), device, Progress())
            digests = {name: model_digest(find_model(name, task_name)) for name, task_name in task.models}
        except Exception as error:
            return None, failed(error)
        report = Report(versions(), digests, _kind(device, task.work), sees, dict(maker.facts), where)
        return Opened(task.work, maker, task.target, self._loaders(), away), report

    def _device(self, task: Task) -> str:
        """The device of this worker: where there are several GPUs, each has its own."""
        device = task.setting.device
        if task.work.uses_device and device in ("auto", "cuda") and (count := _gpus()) > 1:
            return f"cuda:{self._rank % count}"
        return device

    def _loaders(self) -> int:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, cores // self._share)


@dataclass(slots=True)
class OpenImages:
    """Sources and parts that stay open from work to work, with what was listed of them."""

    specs: tuple[SourceSpec, ...] | None = None
    sources: list[Source] = field(default_factory=list)
    parts: dict[tuple[Path, pa.Schema, str], Parts] = field(default_factory=dict)

    def of(self, setting: Setting) -> Pixels:
        """The images of a setting."""
        if self.specs != setting.sources:
            self.sources = [open_source(spec.kind, spec.value, **spec.options) for spec in setting.sources]
            self.specs = setting.sources
        pixels = Pixels(self.sources, setting.sources)
        for name, where in setting.generated.items():
            pixels.generated[name] = self._parts(*where)
        return pixels

    def _parts(self, folder: Path, schema: pa.Schema, by: str) -> Parts:
        if (parts := self.parts.get((folder, schema, by))) is not None:
            parts.reload()
            return parts
        parts = Parts(folder, schema, by, lambda text: None, checked=False)
        self.parts[folder, schema, by] = parts
        return parts


@dataclass(frozen=True, slots=True)
class Opened:
    """A work that was opened here."""

    work: Work[Any]
    maker: Maker
    target: Target
    loaders: int
    away: Away | None = None


class Incoming:
    """The units that are queued for a work, up to the next order that is none; that one is `after`."""

    def __init__(self, orders: SimpleQueue[Message], serial: int) -> None:
        self._orders, self._serial = orders, serial
        self.ended = False
        self.after: Message = None

    def next(self, wait: bool) -> tuple[Unit[Any], Reply] | None:
        """The next unit; None if there is none, or without `wait` none yet."""
        if self.ended:
            return None
        try:
            message = self._orders.get(block=wait)
        except Empty:
            return None
        if message is None or not isinstance(message[0].what, Unit):
            self.ended, self.after = True, message
            return None
        unit, (order, reply) = message[0].what, message
        if order.serial != self._serial:
            reply(Answer(order.serial, failed(AugforgeError("the work is over"), unit.number)))
            return self.next(wait)
        return unit, reply

    def __iter__(self) -> Iterator[tuple[Unit[Any], Reply]]:
        while (each := self.next(wait=True)) is not None:
            yield each


@dataclass(slots=True)
class Doing:
    """A unit under way: how many of its batches are still to be stored, and what came of the others."""

    unit: Unit[Any]
    reply: Reply
    left: int
    rows: Rows = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    unjudged: dict[str, str] = field(default_factory=dict)
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch of a unit, which is being loaded."""

    of: Doing
    loaded: Future[Any]


class Flow:
    """Loads ahead, makes, and stores behind, batch by batch, whatever unit they are of."""

    def __init__(self, opened: Opened, incoming: Incoming, serial: int) -> None:
        self._work, self._maker, self._target, self._away = opened.work, opened.maker, opened.target, opened.away
        self._incoming, self._serial, self._ahead = incoming, serial, opened.loaders + 2
        self._pools = ExitStack()
        self._loading = self._pools.enter_context(ThreadPoolExecutor(opened.loaders))
        self._storing = self._pools.enter_context(ThreadPoolExecutor(1))
        self._batches: Iterator[tuple[Doing, Sequence[Any]]] = iter(())
        self._stored: deque[Future[None]] = deque()

    def __enter__(self) -> Flow:
        return self

    def __exit__(self, *error: object) -> None:
        self._pools.close()

    def run(self) -> None:
        """Do all units, and answer each when its part is written."""
        waiting: deque[Batch] = deque()
        while True:
            while len(waiting) < self._ahead and (batch := self._next(wait=not waiting)) is not None:
                waiting.append(batch)
            if not waiting:
                return
            self._make(waiting.popleft())
            while len(self._stored) > self._ahead:
                self._stored.popleft().result()

    def _next(self, wait: bool) -> Batch | None:
        """The next batch, which begins to be loaded; None if there is none, or without `wait` none yet."""
        while True:
            for doing, items in self._batches:
                return Batch(doing, self._loading.submit(self._maker.load, items))
            if (given := self._incoming.next(wait)) is None:
                return None
            unit, reply = given
            cut = list(self._work.batches(unit.items))
            doing = Doing(unit, reply, len(cut))
            self._batches = iter([(doing, items) for items in cut])

    def _make(self, batch: Batch) -> None:
        doing = batch.of
        try:
            made = None if doing.failed else self._maker.make(batch.loaded.result())
        except Exception as error:
            self._fail(doing, error)
            made = None
        self._stored.append(self._storing.submit(self._store, doing, made))

    def _store(self, doing: Doing, made: Any) -> None:
        """Keep the rows of a batch; with the last one of a unit write them. Runs in one thread, in order."""
        doing.left -= 1
        if doing.failed:
            return
        try:
            found = self._maker.rows(made)
            doing.rows.extend(found.rows)
            doing.dropped.update(found.refused.dropped)
            doing.unjudged.update(found.refused.unjudged)
            if not doing.left:
                doing.reply(Answer(self._serial, self._written(doing)))
        except Exception as error:
            self._fail(doing, error)

    def _written(self, doing: Doing) -> Outcome:
        part = self._target.write(doing.rows).name if doing.rows else ""
        images = self._work.count(doing.unit.items)
        sent = () if self._away is None else self._away.sent()
        return Outcome(doing.unit.number, part, images, Refused(doing.dropped, doing.unjudged), sent)

    def _fail(self, doing: Doing, error: Exception) -> None:
        doing.failed = True
        doing.reply(Answer(self._serial, failed(error, doing.unit.number)))


def failed(error: Exception, number: int | None = None) -> Failed:
    """An error as what can be sent: one for the user with message and hint, any other with its traceback."""
    if isinstance(error, AugforgeError):
        return Failed(AugforgeError(error.message, error.hint), number)
    trace = "".join(traceback.format_exception(error))
    return Failed(RuntimeError(f"in a worker:\n{trace}"), number)


def _set_threads(count: int | None) -> None:
    """Have models compute with as many threads as in the process of the user: their last bits depend on it."""
    if count is not None:
        import torch

        torch.set_num_threads(count)


def _gpus() -> int:
    with suppress(ImportError):
        import torch

        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    return 0


def _kind(device: str, work: Work[Any]) -> str:
    """The kind of device on which a work is done, as far as rows may depend on it."""
    if not work.uses_device:
        return "cpu"
    return ("cuda" if _gpus() else "cpu") if device == "auto" else kind_of(device)
