"""How much a generator may be asked for without a second thought: more is refused, with what it would come to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from augforge.data.ledger import Ledger
from augforge.engine.jobs import amounts
from augforge.engine.rates import Rate, measured_rate
from augforge.errors import RecipeError
from augforge.models import MODELS
from augforge.stages.generator import Generator
from augforge.stages.stage import Stage, kebab

MOST = 100_000
"""New images of one generator, above which someone has to insist."""
SIDE = 512
"""px of a side, where nothing says how large an image will be."""
INSIST = "ask for less, or insist: --yes, in Python yes=True"
GUESS = Rate(1, 1.0, "", "")
"""One image in a second, where no rate was measured."""


def check_asked(stages: Sequence[Stage], yes: bool) -> None:
    """Refuse what is too much for whatever source, before one is read.

    Raises:
        RecipeError: a generator is asked for more than `MOST` images of a single class, and `yes` does not insist.
    """
    for number, stage in enumerate(stages, start=1):
        if isinstance(stage, Generator) and not yes:
            asked = max(stage.target_counts({None: 1}).values())
            _check(f"stage {number} (generate: {stage.name})", stage, asked, GUESS, _size_of(stage) or (SIDE, SIDE))


def check_amounts(stage: Generator, ledger: Ledger, folder: Path, yes: bool) -> int:
    """How many images a stage is to make, given those so far; `folder` has the rate at which the first ones were made.

    Raises:
        RecipeError: more than `MOST` images in all would be made, and `yes` does not insist.
    """
    if (asked := sum(amounts(stage, ledger).values())) > MOST and not yes:
        rate = measured_rate(folder) or GUESS
        _check(f"generate {stage.name}", stage, asked, rate, _size_of(stage) or _size_in(ledger))
    return asked


def _check(where: str, stage: Generator, asked: int, rate: Rate, size: tuple[int, int]) -> None:
    if asked <= MOST:
        return
    keys = "".join(f"key {kebab(name)!r}: " for name in stage.amounts_given)
    how = "at the rate measured here" if rate.device else "at one image a second (no rate was measured here)"
    hours = asked * rate.seconds_per_image / stage.processes_for(asked) / 3600
    gigabytes = asked * size[0] * size[1] * 3 / 1e9
    raise RecipeError(
        f"{where}: {keys}{_told(asked)} new images are over {MOST:,}; that is {_told(math.ceil(hours))} hours "
        f"{how}, and up to {_told(math.ceil(gigabytes))} GB at {size[0]}x{size[1]} px",
        INSIST,
    )


def _size_of(stage: Generator) -> tuple[int, int] | None:
    """(width, height) of what a stage makes, as far as its options or its model's row say it."""
    native = getattr(MODELS.get(str(getattr(stage, "model", ""))), "native", None)
    side = getattr(stage, "size", None) or native
    width, height = (getattr(stage, name, None) or side for name in ("width", "height"))
    return None if width is None or height is None else (int(width), int(height))


def _size_in(ledger: Ledger) -> tuple[int, int]:
    """The mean (width, height) of the images that are there, which those that are made from them have."""
    visible = ledger.visible()
    if not len(visible):
        return SIDE, SIDE
    width, height = (int(ledger.numbers(name, visible).sum()) / len(visible) for name in ("width", "height"))
    return max(1, round(width)), max(1, round(height))


def _told(number: int) -> str:
    """A number that can be read, however large it is."""
    return f"{number:,}" if number < 10**15 else f"{float(number):.3g}" if number < 10**300 else "more than 1e300"
