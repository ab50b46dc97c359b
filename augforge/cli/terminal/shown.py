"""Shows the images of a run one by one: in the terminal, by another program, or as paths."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from augforge.cli.terminal.keys import Terminal
from augforge.cli.terminal.pictures import PROTOCOLS, fitted, understood_by
from augforge.data import images
from augforge.errors import AugforgeError, RecipeError, did_you_mean
from augforge.printable import printable

AUTO, OPEN, PATH = "auto", "open", "path"
WAYS = (AUTO, *PROTOCOLS, OPEN, PATH)
LINES = 9
"""Rows of the screen that are left for text."""
TYPES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif", b"RIFF": "webp"}


class Shown:
    """Shows encoded images in a terminal in one of `WAYS`; `auto` is the best one that there is.

    Args:
        terminal: where.
        way: how.
        folder: an empty folder for the files that other programs open.

    Raises:
        RecipeError: there is no such way.
    """

    def __init__(self, terminal: Terminal, way: str, folder: Path) -> None:
        if way not in WAYS:
            raise RecipeError(f"--pictures: {way!r} is no way to show images", did_you_mean(way, list(WAYS)))
        self._terminal, self._folder = terminal, folder
        self.way = (understood_by(terminal) or (OPEN if opener() else PATH)) if way == AUTO else way

    def show(self, identity: str, read: Callable[[], bytes]) -> None:
        """Show the image that `read` returns; what cannot be shown is said in its place."""
        try:
            data = read()
            if self.way in PROTOCOLS:
                columns, rows = self._terminal.size()
                picture = fitted(images.decode(data), (columns, max(4, rows - LINES)))
                self._terminal.write(PROTOCOLS[self.way](picture) + b"\r\n")
                return
            if self.way == OPEN:
                images.inspect(data)  # the desktop chooses a program by what bytes are: it is given pictures alone
            path = self._file(identity, data)
        except AugforgeError as error:
            self._terminal.write(printable(f"(it cannot be shown: {error.message})\n"))
            return
        self._terminal.write(f"{path}\n")
        if self.way == OPEN and (command := opener()):
            _start([*command, str(path)])

    def _file(self, identity: str, data: bytes) -> Path:
        ending = next((ending for start, ending in TYPES.items() if data.startswith(start)), "img")
        name = "".join(sign for sign in identity if sign.isalnum())[:16]
        path = self._folder / f"{name}.{ending}"
        path.write_bytes(data)
        return path


def opener(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The command that opens a file in the program that is meant for it; [] where there is no screen for one."""
    if sys.platform == "darwin":
        return ["open"]
    screen = "DISPLAY" in environment or "WAYLAND_DISPLAY" in environment
    return ["xdg-open"] if screen and shutil.which("xdg-open") else []


def _start(command: list[str]) -> None:
    """Start a program that goes its own way; without it there still is the path."""
    with suppress(OSError):
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
