"""Serve a run on this machine until it is stopped, and say where."""

from __future__ import annotations

import socket
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from augforge.errors import AugforgeError
from augforge.optional import require
from augforge.printable import printable

if TYPE_CHECKING:
    from augforge.view.options import Options

HOST = "127.0.0.1"
PORT = 8421
"""The port that is tried first: the same one at every start is easier for a tunnel."""
TRIES = 20
"""Ports after it that are tried where it is taken."""
PATIENCE = 20.0
"""Seconds for a server in the background to begin or to end."""


def settings(
    folder: Path,
    *,
    read_only: bool = False,
    compare: Path | None = None,
    recipe: Path | None = None,
    review: Path | None = None,
    who: str | None = None,
) -> Options:
    """What is to be served of the run in `folder`, and for whom; what is None is found out.

    Raises:
        StoreError: the file of decisions cannot be written.
    """
    from augforge.data.files import check_target
    from augforge.engine.beside import default_who, review_file
    from augforge.view.options import Options

    path = review_file(folder, review, recipe)
    if not read_only:
        check_target(path)
    return Options(folder, path, who or default_who(), read_only, compare, recipe)


def serve(options: Options, port: int | None = None, browser: bool = True, say: Callable[[str], None] = print) -> None:
    """Serve a run until Ctrl-C.

    Args:
        options: what of it, and for whom; see `settings`.
        port: the port; else the first free one from `PORT` on.
        browser: open the page in the browser of this machine.
        say: is told where the page is, line by line.

    Raises:
        StoreError: it is no run folder.
        AugforgeError: a package is not installed, or the port is taken.
    """
    viewed = Viewed(options, port)
    for line in viewed.lines():
        say(line)
    if browser:
        Thread(target=webbrowser.open, args=(viewed.entry_url(),), daemon=True).start()
    with suppress(KeyboardInterrupt):  # it is how it ends
        viewed.run()


class Viewed:
    """A run that is served: `url` has the token, and opens in any browser of this machine.

    In a notebook it shows itself in a frame. Args and errors as `serve`.
    """

    def __init__(self, options: Options, port: int | None = None) -> None:
        require("starlette", "uvicorn", who="augforge view")
        import uvicorn

        from augforge.view.server import Served, application

        self._served = Served(options)
        self._socket = _listening(port)
        self.port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            application(self._served),
            log_config=None,  # it would close all handlers of whoever is in this process
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
        )
        self._server = uvicorn.Server(config)
        self._thread: Thread | None = None

    @property
    def url(self) -> str:
        """The address of the page, with the token."""
        return f"http://{HOST}:{self.port}/?token={self._served.tokens.read}"

    @property
    def frame_url(self) -> str:
        """The address of the page in a frame, to which browsers send no cookie."""
        return f"http://{HOST}:{self.port}/~{self._served.tokens.read}/"

    def entry_url(self) -> str:
        """The address of a file that leads on to the page, until the server ends: what a browser is started with."""
        return self._served.entry(self.url).url

    def lines(self) -> list[str]:
        """What is said at the start."""
        tunnel = f"ssh -L {self.port}:{HOST}:{self.port} {socket.gethostname()}"
        return [
            f"{printable(str(self._served.options.folder))}: {self.url}",
            f"  from another machine: {tunnel}, then the same address there",
            "  nothing can be changed"
            if self._served.options.read_only
            else f"  decisions go to {printable(str(self._served.options.review))}",
            "  Ctrl-C ends it",
        ]

    def run(self) -> None:
        """Serve until Ctrl-C."""
        self._server.run(sockets=[self._socket])

    def start(self, browser: bool = False) -> Viewed:
        """Serve in the background, until `close`; open the page in the browser if that is wanted.

        Raises:
            AugforgeError: the server did not begin.
        """
        self._thread = Thread(target=self.run, daemon=True)
        self._thread.start()
        end = monotonic() + PATIENCE
        while not self._server.started:
            if monotonic() > end or not self._thread.is_alive():
                raise AugforgeError("the server did not begin", "try again, perhaps with another port")
            sleep(0.01)
        if browser:
            webbrowser.open(self.entry_url())
        return self

    def close(self) -> None:
        """End the server."""
        self._server.should_exit = True
        if self._thread is None:
            self._served.close()
        else:
            self._thread.join(PATIENCE)
        self._socket.close()

    def _repr_html_(self) -> str:
        """A frame with the page, for a notebook."""
        return (
            f'<iframe src="{self.frame_url}" width="100%" height="800" style="border:0" title="augforge view"></iframe>'
        )


def _listening(port: int | None) -> socket.socket:
    """A socket on this machine alone."""
    last: Any = None
    for place in range(PORT, PORT + TRIES) if port is None else [port]:
        found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((HOST, place))
            found.listen()  # a browser that is early waits
        except OSError as error:
            found.close()
            last = error
            continue
        return found
    named = f"ports {PORT} to {PORT + TRIES - 1} are" if port is None else f"port {port} is"
    raise AugforgeError(f"{named} not free: {last.strerror}", "give another --port, or 0 for any free one")
