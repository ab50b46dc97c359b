"""A review in a terminal: one image after the other, one key for each decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from augforge.cli.terminal.keys import END, Terminal
from augforge.cli.terminal.shown import Shown
from augforge.errors import likely_of, shortened
from augforge.printable import printable
from augforge.review.doubt import Doubt
from augforge.review.lines import Line
from augforge.review.session import Session

KEYS = "k keep  d drop  D drop, with a reason  r relabel  m mark  M mark, with a name  n note  u undo  s skip  q quit"
CLEAR = "\x1b[2J\x1b[H\x1b_Ga=d,q=2\x1b\\"
"""Clears the screen, and the pictures of kitty, which others do not show."""
QUIT = ("q", "", END)


class Review:
    """Shows the images of a session and follows the keys.

    Args:
        session: what is to be decided.
        terminal: where.
        shown: how images are shown.
        read: the encoded bytes of the image with an id.
        classes: the labels that a relabel may give.
    """

    def __init__(
        self,
        session: Session,
        terminal: Terminal,
        shown: Shown,
        read: Callable[[str], bytes],
        classes: Sequence[str],
    ) -> None:
        self._session, self._terminal, self._shown, self._read = session, terminal, shown, read
        self._classes = list(classes)
        self._remark = ""

    def run(self) -> None:
        """Go on until all images are done, q is pressed, or the terminal is gone."""
        while (image := self._session.current) is not None:
            self._show(image)
            key = self._terminal.key()
            if key in QUIT:
                break
            self._remark = ""
            self._follow(key)
        self._terminal.write("\n")

    def _follow(self, key: str) -> None:
        """Do what a key asks for."""
        actions: dict[str, Callable[[], None]] = {
            "k": lambda: self._session.decide("keep"),
            "d": lambda: self._session.decide("drop"),
            "D": lambda: self._with_text("drop", "why? "),
            "r": self._relabel,
            "m": lambda: self._mark(""),
            "M": lambda: self._with_text("mark", "called? "),
            "n": lambda: self._with_text("note", "note: "),
            "u": self._undo,
            "s": self._session.skip,
        }
        if key in actions:
            actions[key]()
        else:
            self._remark = f"{key!r} is no key here"

    def _with_text(self, verdict: str, prompt: str) -> None:
        text = (self._terminal.line(prompt) or "").strip()
        if text:
            self._session.decide(verdict, text=text)
        else:
            self._remark = f"no {verdict}: there was no text"

    def _mark(self, text: str) -> None:
        self._session.decide("mark", text=text)
        self._remark = "marked"

    def _relabel(self) -> None:
        typed = (self._terminal.line(f"label ({shortened(self._classes)}): ") or "").strip()
        label = typed if typed in self._classes else _meant(typed, self._classes)
        if label is None:
            likely = likely_of(typed, self._classes) if typed else None
            self._remark = f"no class {typed!r}" + (f"; did you mean {likely!r}?" if likely else "")
        else:
            self._session.decide("relabel", label=label)

    def _undo(self) -> None:
        line = self._session.undo()
        self._remark = "nothing to undo" if line is None else f"took back: {_said(line)}"

    def _show(self, image: Doubt) -> None:
        """The screen of one image."""
        self._terminal.write(CLEAR)
        self._terminal.write(f"{_about(image, self._session)}\n")
        self._shown.show(image.sample, lambda: self._read(image.sample))
        for line in self._session.said():
            self._terminal.write(printable(f"  {line.who}: {_said(line)}\n"))
        remark = f"{printable(self._remark)}\n" if self._remark else ""
        self._terminal.write(f"{remark}{KEYS}\n")


def _meant(typed: str, classes: Sequence[str]) -> str | None:
    """The only class that begins with what was typed, None of none or several."""
    begun = [name for name in classes if typed and name.startswith(typed)]
    return begun[0] if len(begun) == 1 else None


def _said(line: Line) -> str:
    label = f" as {line.label}" if line.label else ""
    return f"{line.verdict}{label}" + (f": {line.text}" if line.text else "")


def _about(image: Doubt, session: Session) -> str:
    """What is known of an image, in a line."""
    became = "kept" if image.kept else f"dropped by {image.dropped_by}"
    score = "" if image.score is None else f", {image.measure} {image.score:.4g} (cut {image.cut:.4g})"
    place = f"[{session.done + 1:,} of {session.total:,}]"
    return printable(f"{place} {image.sample[:12]}  {image.label or '(no class)'}, {became}{score}")
