"""What the server answers, by address: each module has the handlers of one kind, and a list of its routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from augforge.view.asked import Handler
from augforge.view.routes import decisions, doing, looking, pictures, queries


class Route(NamedTuple):
    """A method, an address below that of the run, and the handler; `first` is of the first run alone."""

    method: str
    path: str
    handler: Handler
    first: bool


ROUTES: Sequence[Route] = [
    *(
        Route(method, path, handler, False)
        for each in (looking, pictures, queries)
        for method, path, handler in each.ROUTES
    ),
    *(Route(method, path, handler, True) for each in (decisions, doing) for method, path, handler in each.ROUTES),
]
"""Every address of the API."""
