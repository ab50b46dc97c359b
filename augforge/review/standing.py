"""What counts of the lines of a review, and who disagrees with whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from augforge.review.lines import DECISIVE, Line


@dataclass(frozen=True, slots=True)
class Conflict:
    """An image about which people decided differently: the last verdict of each of them, the earliest first."""

    sample: str
    lines: tuple[Line, ...]

    def plain(self) -> dict[str, Any]:
        """As JSON-like values."""
        return {"id": self.sample, "lines": [line.plain() for line in self.lines]}


class Standing:
    """The lines that stand: each once, by time, without those that were taken back. `standing` makes it."""

    def __init__(self, by_sample: Mapping[str, tuple[Line, ...]]) -> None:
        self.by_sample = by_sample

    def current(self, digests: Mapping[str, str | None]) -> Standing:
        """What of it is about the images in `digests` with the bytes that they have now, by id."""
        mine = {i: self.by_sample[i] for i in self.by_sample if i in digests}
        left = {i: tuple(line for line in lines if line.digest == digests[i]) for i, lines in mine.items()}
        return Standing({i: lines for i, lines in left.items() if lines})

    def verdicts(self, sample: str) -> list[Line]:
        """The last keep, drop or relabel of each person about an image, the earliest first."""
        last: dict[str, Line] = {}
        for line in self.by_sample.get(sample, ()):
            if line.verdict in DECISIVE:
                last.pop(line.who, None)
                last[line.who] = line
        return list(last.values())

    def decision(self, sample: str) -> Line | None:
        """The latest verdict about an image; None where there is none, or where people disagree."""
        verdicts = self.verdicts(sample)
        return verdicts[-1] if len({line.says for line in verdicts}) == 1 else None

    def decisions(self) -> dict[str, Line]:
        """The decisions, by the images that they are about."""
        found = ((sample, self.decision(sample)) for sample in self.by_sample)
        return {sample: line for sample, line in found if line is not None}

    def marks(self) -> dict[str, list[Line]]:
        """The marks of each image that has any."""
        found = {sample: [line for line in lines if line.verdict == "mark"] for sample, lines in self.by_sample.items()}
        return {sample: lines for sample, lines in found.items() if lines}

    def conflicts(self) -> list[Conflict]:
        """The images about which people disagree, by id."""
        found = ((sample, self.verdicts(sample)) for sample in sorted(self.by_sample))
        return [Conflict(sample, tuple(lines)) for sample, lines in found if len({line.says for line in lines}) > 1]


def standing(lines: Iterable[Line]) -> Standing:
    """What counts of the lines of one or more files, in whatever order they are.

    An `undo` takes back the last line of the same person about the same image that is not taken back yet.
    """
    left: dict[str, list[Line]] = {}
    for line in in_order(lines):
        mine = left.setdefault(line.sample, [])
        if line.verdict != "undo":
            mine.append(line)
        elif (place := _last_of(line.who, mine)) is not None:
            del mine[place]
    return Standing({sample: tuple(mine) for sample, mine in left.items() if mine})


def in_order(lines: Iterable[Line]) -> list[Line]:
    """Each line once, by time; of one time in the order in which they come."""
    return sorted(dict.fromkeys(lines), key=lambda line: line.moment)


def latest_of(lines: Iterable[Line], who: str) -> Line | None:
    """The last line of a person that is not taken back: what an undo would take back if it is about that image."""
    stand = [line for mine in standing(lines).by_sample.values() for line in mine if line.who == who]
    return max(stand, key=lambda line: line.moment, default=None)


def _last_of(who: str, lines: list[Line]) -> int | None:
    return next((place for place in _backwards(lines) if lines[place].who == who), None)


def _backwards(lines: list[Line]) -> Iterator[int]:
    return iter(range(len(lines) - 1, -1, -1))
