"""What is different between the recipe of a folder and the one that is to be run into it, and whether it is the same.

Two recipes are the same, with other options, if a name was given to both; or if they have a source in common, and the
stages of one are those of the other with some more among them. So options and the seed may change, sources and stages
may be added or taken away. Where no name was given (a command calls its recipe by its first stage), another stage in
the place of one, or other sources alone, make another recipe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from augforge.provenance.chain import ELSEWHERE, sources_of
from augforge.recipe.recipe import UNNAMED
from augforge.remote.places import path_of, real_path
from augforge.stages.catalog import VERBS

Plain = Mapping[str, Any]
MOST = 6
"""Changes that are told one by one."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether two recipes are the same one, and what is different in the second."""

    same: bool
    changes: tuple[str, ...]

    def sentence(self) -> str:
        """The changes, the first few of them."""
        more = len(self.changes) - MOST
        return "; ".join(self.changes[:MOST]) + (f"; … {more} more" if more > 0 else "")


def compare(before: Plain, now: Plain) -> Comparison:
    """Compare two recipes as `Recipe.plain` has them."""
    old, new = _stages(before), _stages(now)
    names = [_name_of(stage) for stage in old], [_name_of(stage) for stage in new]
    shared = _sources(before).keys() & _sources(now).keys()
    named = before.get("name") == now.get("name") and _is_given(str(now.get("name")), names[1])
    same = named or (bool(shared) and (_within(*names) or _within(*reversed(names))))
    return Comparison(same, tuple(_changes(before, now)))


def described(plain: Plain) -> str:
    """A recipe in a few words: its stages and sources."""
    stages = ", ".join(" ".join(_name_of(stage)) for stage in _stages(plain)) or "no stage"
    return f"{stages} (source {', '.join(_sources(plain).values()) or 'unknown'})"


def _stages(plain: Plain) -> list[Plain]:
    listed = plain.get("stages")
    return [stage for stage in listed if isinstance(stage, Mapping)] if isinstance(listed, list) else []


def _name_of(stage: Plain) -> tuple[str, str]:
    verb = next((key for key in stage if key in VERBS), "")
    return str(verb), str(stage.get(verb, ""))


def _is_given(name: str, stages: Sequence[tuple[str, str]]) -> bool:
    """Whether somebody gave a recipe its name: it is not that of recipes without one, nor made from the first stage."""
    return name not in (UNNAMED, *("-".join(stage) for stage in stages[:1]))


def _sources(plain: Plain) -> dict[tuple[str, str], str]:
    """The sources by what they are, whichever way a path is written; each with what it is called."""
    found = {}
    for entry in sources_of(dict(plain)):
        kind, value = next(((str(kind), str(value)) for kind, value in entry.items()), ("", ""))
        place = value if kind in ELSEWHERE else real_path(path_of(value))
        found[kind if kind in ELSEWHERE else "", place] = f"{kind} {value}"
    return found


def _within(few: Sequence[tuple[str, str]], many: Sequence[tuple[str, str]]) -> bool:
    """Whether all of `few` are among `many`, in order."""
    rest = iter(many)
    return all(any(name == other for other in rest) for name in few)


def _changes(before: Plain, now: Plain) -> Iterator[str]:
    for key in ("name", "seed"):
        if before.get(key) != now.get(key):
            yield f"{key} {before.get(key)} -> {now.get(key)}"
    old, new = _sources(before), _sources(now)
    yield from (f"source added: {new[place]}" for place in new if place not in old)
    yield from (f"source gone: {old[place]}" for place in old if place not in new)
    yield from _changed_stages(_stages(before), _stages(now))


def _changed_stages(old: Sequence[Plain], new: Sequence[Plain]) -> Iterator[str]:
    names = [_name_of(stage) for stage in old], [_name_of(stage) for stage in new]
    matcher = SequenceMatcher(None, *names, autojunk=False)
    for kind, first, last, start, stop in matcher.get_opcodes():
        if kind == "equal":
            for one, other in zip(old[first:last], new[start:stop], strict=True):
                yield from _changed_options(one, other)
        else:
            yield from (f"stage gone: {' '.join(name)}" for name in names[0][first:last])
            yield from (f"stage added: {' '.join(name)}" for name in names[1][start:stop])


def _changed_options(old: Plain, new: Plain) -> Iterator[str]:
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key):
            values = (_said(side[key]) if key in side else "none" for side in (old, new))
            yield f"{' '.join(_name_of(new))}: {key} {' -> '.join(values)}"


def _said(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
