"""What is served of a run, and for whom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """What `augforge view` was asked for.

    Attributes:
        folder: the run folder.
        review: the file of decisions.
        who: whose decisions are added.
        read_only: nothing is written but the cache.
        compare: another run folder, to be compared with.
        recipe: the recipe to be changed and run again, if it is not the one that the run's note names. Its sources are
            read wherever they are: somebody here has named it.
        warm: work out maps and groups at once, in the background.
    """

    folder: Path
    review: Path
    who: str
    read_only: bool = False
    compare: Path | None = None
    recipe: Path | None = None
    warm: bool = True
