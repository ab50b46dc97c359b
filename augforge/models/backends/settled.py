"""Arguments of single pipelines whose defaults would make an image of something else than what was asked for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from augforge.models.backends.base import Request

FALSE = ("use_resolution_binning", "clean_caption")
"""SANA and PixArt make an image of the nearest size of a table and resize it; and they change the text where bs4 and
ftfy are installed."""


def settled(takes: Collection[str], request: Request) -> dict[str, Any]:
    """Arguments for a pipeline whose call takes the arguments `takes`."""
    arguments: dict[str, Any] = {name: False for name in FALSE if name in takes}
    if "intermediate_timesteps" in takes and request.steps != 2:  # SANA-Sprint has a time for the second step of two
        arguments["intermediate_timesteps"] = None
    return arguments
