"""The process of a `Tower`: told the number of its end of the line, a model, its task and device, it answers until the
line is closed."""

from __future__ import annotations

import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from augforge.engine.embedding import EmbeddingMaker, Timing, load_adapter
from augforge.engine.pixels import Located
from augforge.errors import AugforgeError
from augforge.progress import Progress


class _One:
    """The bytes of one picture, where a maker looks for those of samples."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def bytes_of(self, sample: Located) -> bytes:
        """The bytes."""
        return self._data


class Answering:
    """A model that embeds texts and pictures, loaded when it is first asked; an error is told as message and hint."""

    def __init__(self, name: str, task: str, device: str) -> None:
        self._given = (name, task, device)
        self._model: Any = None

    def answer(self, what: str, given: Any) -> Any:
        """(d,) the vector of a "text" or a "picture"; or (message, hint)."""
        try:
            if self._model is None:
                self._model = load_adapter(*self._given, Progress())
            return self._text(given) if what == "text" else self._picture(given)
        except AugforgeError as error:
            return error.message, error.hint

    def _text(self, text: str) -> Any:
        if not hasattr(self._model, "embed_texts"):
            return "this model embeds no texts", "search by an example image"
        return self._model.embed_texts([text])[0]

    def _picture(self, data: bytes) -> Any:
        maker = EmbeddingMaker(self._model, _One(data), Timing())  # type: ignore[arg-type]
        loaded = maker.load([Located("", "x", "")])
        if loaded[1]:
            return next(iter(loaded[1].values())), "search by another picture"
        return maker.make(loaded).rows[0]["vector"]


def main() -> None:
    """Answer until the line is closed."""
    line = Connection(int(sys.argv[1]))
    answering = Answering(*sys.argv[2:5])
    with suppress(EOFError, OSError):
        while True:
            line.send(answering.answer(*line.recv()))


if __name__ == "__main__":
    main()
