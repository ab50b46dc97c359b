"""What the driver says to a worker, and what a worker answers: small records, no pixels, that any engine can carry."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from augforge.data.away import InBucket, Sent
from augforge.data.parts import Target
from augforge.engine.work import Refused, Setting, Unit, Work
from augforge.errors import AugforgeError

COMPARED = ("augforge", "torch", "diffusers", "numpy", "pillow")
"""Distributions on whose versions the rows may depend."""


@dataclass(frozen=True, slots=True)
class Task:
    """A work that a worker is to open: it does all units that it is handed after it.

    `token` is the path of a file that the driver has written beside the parts, "" if none. `models` are those whose
    digests are asked for, by name and task. `run` is where the run lies, if that is a bucket.
    """

    work: Work[Any]
    setting: Setting
    target: Target
    token: str = ""
    models: Sequence[tuple[str, str]] = ()
    run: InBucket | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A task, or a unit of the task before; `serial` is that of the work, so that late answers are known as such."""

    serial: int
    what: Task | Unit[Any]


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker says of itself when it has opened a work.

    `sees` says whether the file of the driver is there for it, or the bucket in its place. `facts` are those of the
    maker.
    """

    versions: Mapping[str, str]
    models: Mapping[str, str]
    device: str
    sees: bool
    facts: Mapping[str, Any]
    where: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A unit that was done: the name of its part, "" if it has no rows, how many images they are, and what has none.

    `sent` are the objects that the worker has written into the bucket only, as it does not see the driver's folder.
    """

    number: int
    part: str
    images: int
    refused: Refused
    sent: tuple[Sent, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """An error that is told to the user as it is, or with `defect` a traceback. `number` is that of a unit, if any."""

    error: AugforgeError | RuntimeError
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker answers to an order of the work `serial`."""

    serial: int
    what: Report | Outcome | Failed


def versions() -> dict[str, str]:
    """The versions of what computes, as far as it is installed."""
    found = {"Python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for name in COMPARED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
