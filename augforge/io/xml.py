"""XML that others wrote, read without what an attacker could use: no entities, no external files, no deep nesting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

DEEPEST = 50
"""How deep elements may lie in each other."""
PIECE = 1 << 16


def parsed(data: bytes) -> Element:
    """The root of an XML document; ValueError if it is damaged, or has what is refused."""
    builder = TreeBuilder()
    parser = _parser(builder.start, builder.end, builder.data)
    try:
        parser.Parse(data, True)
        return builder.close()
    except expat.ExpatError as error:
        raise ValueError(str(error)) from error


def elements(path: Path, wanted: frozenset[str]) -> Iterator[Element]:
    """The elements of these names below the root of a file, one after the other, never all in memory; ValueError as
    `parsed`. Elements of other names are passed over, and so are those inside of a wanted one.
    """
    done: list[Element] = []
    top = _Top(wanted, done)
    parser = _parser(top.start, top.end, top.data)
    with path.open("rb") as file:
        try:
            while piece := file.read(PIECE):
                parser.Parse(piece, False)
                yield from done
                done.clear()
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise ValueError(str(error)) from error
    yield from done


def root_name(path: Path) -> str:
    """The name of the root of an XML file; "" if its first 64 KiB begin none."""
    found: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        found.append(name)

    try:
        with path.open("rb") as file:
            _parser(start, lambda name: None, lambda text: None).Parse(file.read(PIECE), False)
    except (OSError, ValueError, expat.ExpatError):
        pass
    return found[0] if found else ""


def text(element: Element, path: str) -> str:
    """The text of an element inside of another, without spaces around it; "" if there is none."""
    return (element.findtext(path) or "").strip()


class _Top:
    """Builds the elements of some names, each by itself."""

    def __init__(self, wanted: frozenset[str], done: list[Element]) -> None:
        self._wanted, self._done = wanted, done
        self._builder: TreeBuilder | None = None
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._builder is None and name in self._wanted:
            self._builder = TreeBuilder()
        if self._builder is not None:
            self._builder.start(name, attributes)
            self._depth += 1

    def end(self, name: str) -> None:
        if self._builder is None:
            return
        self._builder.end(name)
        self._depth -= 1
        if not self._depth:
            self._done.append(self._builder.close())
            self._builder = None

    def data(self, text: str) -> None:
        if self._builder is not None:
            self._builder.data(text)


def _parser(start: Callable[[str, dict[str, str]], Any], end: Callable[[str], Any], data: Callable[[str], Any]) -> Any:
    depth = 0

    def deeper(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"its elements lie more than {DEEPEST} deep in each other")
        start(name, attributes)

    def up(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(name)

    def refuse(*declared: Any) -> None:
        raise ValueError("it declares entities, which are not read")

    parser: Any = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = deeper, up, data
    parser.EntityDeclHandler = refuse
    return parser
