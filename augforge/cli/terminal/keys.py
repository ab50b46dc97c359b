"""Single keys of a terminal, lines typed into it, and what it answers."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import BinaryIO

from augforge.errors import RecipeError
from augforge.printable import printable

ESCAPE, ENTER, BACKSPACE, END = "\x1b", ("\r", "\n"), ("\x7f", "\b"), "\x04"
SEQUENCE = 0.05
"""Seconds in which the rest of a sequence comes that begins with escape, such as that of an arrow key."""
SCREEN = 80, 24
Size = tuple[int, int]


class Terminal:
    """The terminal that keys come from and that is written to, a key at a time and without an echo.

    Args:
        source: the number of the open file that keys come from.
        out: where bytes are written to.
    """

    def __init__(self, source: int, out: BinaryIO) -> None:
        self._source, self._out = source, out
        self._waiting = b""

    def write(self, text: str | bytes) -> None:
        """Show text, or send bytes as they are."""
        self._out.write(text if isinstance(text, bytes) else text.replace("\n", "\r\n").encode(errors="replace"))
        self._out.flush()

    def key(self, seconds: float | None = None) -> str:
        """The next key, a sequence of bytes as one; "" where none comes in time, or the terminal is gone."""
        if not self._waiting:
            self._waiting = self._bytes(seconds)
        if self._waiting[:1] == ESCAPE.encode():
            whole = self._waiting + (self._bytes(SEQUENCE) if len(self._waiting) == 1 else b"")
            self._waiting = b""
            return whole.decode(errors="replace")
        size = next((n for n in range(1, 5) if _is_text(self._waiting[:n])), 1)
        first, self._waiting = self._waiting[:size], self._waiting[size:]
        return first.decode(errors="replace")

    def line(self, prompt: str) -> str | None:
        """A line that is typed after a prompt; None where escape is pressed or the terminal is gone."""
        typed = ""
        while True:
            self.write(f"\r\x1b[K{printable(prompt)}{printable(typed)}")
            key = self.key()
            if key in ENTER:
                return typed
            if key in ("", ESCAPE, END):
                return None
            if key in BACKSPACE:
                typed = typed[:-1]
            elif key.isprintable():
                typed += key

    def answer(self, question: bytes, whole: Callable[[bytes], bool], seconds: float) -> bytes:
        """What the terminal answers to a sequence, until it is `whole` or the time is over."""
        self.write(question)
        end, found = monotonic() + seconds, b""
        while not whole(found) and (left := end - monotonic()) > 0:
            more = self._bytes(left)
            if not more:
                break
            found += more
        return found

    def size(self) -> Size:
        """Columns and rows."""
        try:
            found = os.get_terminal_size(self._source)
        except OSError:
            return SCREEN
        return found.columns or SCREEN[0], found.lines or SCREEN[1]

    def _bytes(self, seconds: float | None) -> bytes:
        """What was typed, as soon as there is some; b"" where nothing comes in time, or never will."""
        ready, _, _ = select.select([self._source], [], [], seconds)
        try:
            return os.read(self._source, 4096) if ready else b""
        except OSError:  # it was closed at the other end
            return b""


@contextmanager
def terminal() -> Iterator[Terminal]:
    """The terminal of this process, which in the block gives keys as they are pressed; afterwards as it was.

    Raises:
        RecipeError: there is none.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise RecipeError(
            "review: it needs a terminal to show images and to read keys", "or augforge view, in a browser"
        )
    source = sys.stdin.fileno()
    before = termios.tcgetattr(source)
    try:
        tty.setcbreak(source)
        yield Terminal(source, sys.stdout.buffer)
    finally:
        termios.tcsetattr(source, termios.TCSADRAIN, before)


def _is_text(data: bytes) -> bool:
    try:
        return bool(data.decode())
    except UnicodeDecodeError:
        return False
