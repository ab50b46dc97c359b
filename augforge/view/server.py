"""The application: what is served of a run, its addresses, and the guard before them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from augforge.data.files import is_file
from augforge.errors import AugforgeError
from augforge.view.asked import answering
from augforge.view.build import revision_of
from augforge.view.entry import Entry
from augforge.view.guard import Guard, Tokens
from augforge.view.jobs import Jobs
from augforge.view.opened import OpenRun
from augforge.view.options import Options
from augforge.view.recipe_file import recipe_file_of
from augforge.view.refusals import not_found
from augforge.view.routes import ROUTES

KINDS = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
"""What files of the page may be, and as what they are served. They are our own: nothing of a run is among them."""
OF_REPORT = frozenset({"shared", "vendor"})
"""Folders below `app/` that lie in the package of the report, which is made of the same parts."""


@dataclass(slots=True)
class Served:
    """A run folder that is served: its present revision, the secrets, the run in the background, and who may write the
    recipe now."""

    options: Options
    tokens: Tokens = field(default_factory=Tokens)
    jobs: Jobs = field(init=False)
    saving: Lock = field(init=False, default_factory=Lock)
    _run: OpenRun = field(init=False)
    _entry: Entry | None = field(init=False, default=None)
    _lock: Lock = field(init=False, default_factory=Lock)

    def __post_init__(self) -> None:
        self._run = self._opened()
        self.jobs = Jobs(self.options.folder, self.reopen)

    @property
    def run(self) -> OpenRun:
        """The run, in the revision that is open."""
        return self._run

    @property
    def second(self) -> OpenRun:
        """The run that it is compared with.

        Raises:
            Refusal: there is none.
        """
        if self._run.other is None:
            raise not_found("there is no second run", "start with --compare DIR")
        return self._run.other

    def reopen(self) -> None:
        """Open the run as it is now, if it was written again."""
        with self._lock:
            before = self._run
            if revision_of(self.options.folder) != before.index.revision:
                self._run = self._opened()
                _close(before)

    def recipe_file(self) -> Path | None:
        """The recipe that is changed and run again; None where none is known."""
        return self.options.recipe or recipe_file_of(self.options.folder, self._run.recipe)

    def entry(self, address: str) -> Entry:
        """The file that leads on to the page at `address`, until `close`."""
        self._entry = self._entry or Entry(address)
        return self._entry

    def close(self) -> None:
        """End what runs beside the server, and take away the file that leads to it."""
        if self._entry is not None:
            self._entry.remove()
        self.jobs.stop()
        _close(self._run)

    def _opened(self) -> OpenRun:
        options = self.options
        run = OpenRun(options.folder, options.review, options.who, options.recipe)
        if options.compare is not None:
            run.other = OpenRun(options.compare, options.review, options.who, options.recipe)
            run.other.other = run
        if options.warm:
            Thread(target=_warm, args=(run,), daemon=True).start()
        return run


def _close(run: OpenRun) -> None:
    """End what runs beside the server for a run, and for the one that it is compared with."""
    run.close()
    if run.other is not None:
        run.other.close()


def _warm(run: OpenRun) -> None:
    """Work out what the page will ask for."""
    with suppress(AugforgeError):  # whoever asks for it is told
        _ = run.groups
        _ = run.maps


def application(served: Served) -> ASGIApp:
    """All of it, behind the guard."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        served.close()

    routes = [Route("/", _page), Route("/app/{path:path}", _file)]
    for route in ROUTES:
        routes.append(Route(route.path, answering(served, route.handler), methods=[route.method]))
        if not route.first:
            routes.append(Route(f"/b{route.path}", answering(served, route.handler, True), methods=[route.method]))
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _no_route})
    return Guard(app, served.tokens, served.options.read_only)


async def _page(request: Request) -> Response:
    return _asset("index.html")


async def _file(request: Request) -> Response:
    return _asset(request.path_params["path"])


def _asset(path: str) -> Response:
    """A file of the page, by its path below `app/`."""
    parts = path.split("/")
    kind = KINDS.get(Path(parts[-1]).suffix)
    if kind is None or any(part in ("", ".", "..") or part.startswith(".") or "\\" in part for part in parts):
        return _missing()
    home = files("augforge.report") if parts[0] in OF_REPORT else files("augforge.view").joinpath("app")
    place = home.joinpath(*parts)
    if not is_file(str(place)):
        return _missing()
    return Response(place.read_bytes(), media_type=kind, headers={"Cache-Control": "no-cache"})


def _missing() -> Response:
    return JSONResponse({"error": "there is nothing at this address", "hint": "", "kind": "not-found"}, 404)


async def _no_route(request: Request, error: Any) -> Response:
    """What Starlette itself refuses: an address or a method that there is not."""
    kind = "not-found" if error.status_code == 404 else "bad-request"
    return JSONResponse({"error": str(error.detail), "hint": "", "kind": kind}, error.status_code)
