"""How fast a generator was, left beside its images: what a plan reckons the time of the next ones by."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augforge.data.files import read_sealed, seal, write_atomically
from augforge.errors import StoreError

if TYPE_CHECKING:
    from augforge.data.bundle import Bundle
    from augforge.data.parts import Parts
    from augforge.engine.work import Work

FILE = "rate.json"


@dataclass(frozen=True, slots=True)
class Rate:
    """Images that one device has made, and the seconds that it took, loading the model not counted."""

    images: int
    seconds: float
    device: str
    device_name: str

    @property
    def seconds_per_image(self) -> float:
        """Of one device."""
        return self.seconds / self.images


def measured_rate(folder: Path) -> Rate | None:
    """The rate that lies in a folder of parts; None if nothing was made there yet, or its file is damaged."""
    try:
        plain = read_sealed(folder / FILE)
    except StoreError:  # it is an estimate, and the next images bring a new one; `augforge verify` names the file
        return None
    return None if plain is None else Rate(plain["images"], plain["seconds"], plain["device"], plain["device-name"])


def timing(
    work: Work[Any], parts: Parts | Bundle, facts: Mapping[str, Any], devices: int = 1
) -> AbstractContextManager[Callable[[int], None]]:
    """Notes beside `parts` how fast the images of `work` are made, if plans reckon by that; see `recording`."""
    ignored: Callable[[int], None] = lambda images: None  # noqa: E731
    return recording(parts.folder, facts, devices) if work.timed else nullcontext(ignored)


@contextmanager
def recording(folder: Path, facts: Mapping[str, Any], devices: int = 1) -> Iterator[Callable[[int], None]]:
    """Measure the time of the block, in which the yielded function is told how many images were made.

    What was measured before on the same device is added to, on another one replaced. `facts` are those of a
    `LoadedGenerator`. Several processes may leave their rate in one folder: the last one stands, and is that of one
    device like the others. Images that are counted here for several `devices` took each of them so much longer.
    """
    started, images = time.monotonic(), 0

    def count(more: int) -> None:
        nonlocal images
        images += more

    try:
        yield count
    finally:
        if images:
            device, name = str(facts.get("device", "cpu")), str(facts.get("device-name", ""))
            _add(folder, Rate(images, (time.monotonic() - started) * devices, device, name))


def _add(folder: Path, rate: Rate) -> None:
    before = measured_rate(folder)
    if before is not None and (before.device, before.device_name) == (rate.device, rate.device_name):
        rate = Rate(before.images + rate.images, before.seconds + rate.seconds, rate.device, rate.device_name)
    plain = {"images": rate.images, "seconds": rate.seconds, "device": rate.device, "device-name": rate.device_name}
    write_atomically(folder / FILE, seal(plain))
