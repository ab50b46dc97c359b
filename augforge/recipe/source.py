"""The sources of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from reprlib import repr as short
from typing import Any

from augforge.errors import RecipeError, did_you_mean
from augforge.io import KINDS

OPTIONS = (
    "split", "image", "label", "masks", "class", "splits", "classes", "boxes", "path", "corners", "sizes",
)  # fmt: skip
FLAGS = ("splits", "classes", "sizes")


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One source of a recipe, such as `{folder: data/digits}`; `options` are the format's own."""

    kind: str
    value: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As in YAML."""
        return {self.kind: self.value, **self.options}


def parse_sources(plain: Any) -> tuple[SourceSpec, ...]:
    """The sources that the value of `source` describes: a mapping, or a list of mappings."""
    if plain is None:
        raise RecipeError("key 'source' is missing", "for example  source: {folder: data/digits}")
    entries = plain if isinstance(plain, list) else [plain]
    if not entries:
        raise RecipeError("key 'source': the list is empty")
    return tuple(parse_source(number, entry) for number, entry in enumerate(entries, start=1))


def parse_source(number: int, entry: Any) -> SourceSpec:
    """The source that one mapping describes; `number` counts from 1."""
    where = f"source {number}"
    if not isinstance(entry, dict):
        raise RecipeError(f"{where}: {short(entry)} is no mapping", f"for example {{{_as_mapping(entry)}}}")
    kinds = [key for key in entry if key in KINDS]
    if len(kinds) != 1:
        first = str(next(iter(entry), ""))
        raise RecipeError(f"{where}: it needs exactly one of {', '.join(KINDS)}", did_you_mean(first, list(KINDS)))
    (kind,) = kinds
    options = {str(key): value for key, value in entry.items() if key != kind}
    for key, value in options.items():
        _check_option(f"{where} ({kind})", key, value)
    return SourceSpec(kind, name_in(entry[kind], f"{where}: the {kind}"), options)


def _as_mapping(entry: Any) -> str:
    """What was meant, as a mapping, where a text such as `photos` or `sample:digits` stands."""
    if not isinstance(entry, str):
        return "folder: data/digits"
    kind, colon, value = entry.partition(":")
    return f"{kind}: {value.strip()}" if colon and kind in KINDS else f"folder: {entry}"


def _check_option(where: str, key: str, value: Any) -> None:
    """RecipeError if there is no such option of a source, or it has a value of another type."""
    if key not in OPTIONS:
        raise RecipeError(f"{where}: unknown key {short(key)}", did_you_mean(key, list(OPTIONS)))
    if not isinstance(value, bool if key in FLAGS else str):
        raise RecipeError(f"{where}: key {key!r}: it is {'true or false' if key in FLAGS else 'a text'}")


def name_in(value: Any, what: str) -> str:
    """A text or a number where a text is meant, such as the folder 2024."""
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return str(value)
    raise RecipeError(f"{what} is a text, not {short(value)}")
