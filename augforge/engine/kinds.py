"""Which entry of a table belongs to a stage: that of its class, or of the nearest class that it is derived from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from augforge.stages.stage import Stage

Entry = TypeVar("Entry")


def of_kind(table: Mapping[type[Stage], Entry], stage: Stage) -> Entry:
    """The entry of `table` for `stage`; TypeError if there is none for any of its classes."""
    for cls in type(stage).__mro__:
        if cls in table:
            return table[cls]
    raise TypeError(f"{stage.verb}: {stage.name} is of no kind of stage that is known here")
