"""The scorecard: `python -m scripts.scorecard` writes docs/scorecard.md from benchmarks/results/*.json.

Each file holds one comparison of an arm with its baseline, or a list of them, with the fields of `FIELDS`. Nothing on
the page is typed by hand: what a comparison states of itself is checked against its values, and a file that is
malformed is named with what is wrong. A test says when the page is out of date.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "scorecard.md"
FIELDS: dict[str, tuple[type, ...]] = {
    "task": (str,),
    "data": (str,),
    "stage": (str,),
    "arm": (str,),
    "baseline": (str,),
    "metric": (str,),
    "seeds": (list, int),
    "values": (list,),
    "baseline_values": (list,),
    "mean_difference": (float, int),
    "interval": (list,),
    "cpu_minutes": (float, int),
    "images": (int,),
    "command": (str,),
    "date": (str,),
}
"""What every comparison has. `seeds` are their names or how many; `lower_is_better` may stand beside them."""
NEAR = 0.01
"""Stated means may be rounded: by this share of the largest value, at most by `POINTS`."""
POINTS = 0.1
NO_STAGE = "none of the stages"
"""What stands for an arm that no stage made, such as one of classical augmentation."""
INTRODUCTION = """\
# Scorecard

What each stage was worth on each task, and what it cost: {count} comparisons of an arm with its baseline, seed by
seed. `python -m scripts.scorecard` writes this page from `benchmarks/results/`. In brackets are the bounds of the
interval of the paired differences (95 %); **better** or **worse** stands where it does not hold 0. Of {count}
comparisons about {chance} would be called so by chance alone. Images are those that an arm trains on, CPU minutes those
of all seeds of the arm, or of the whole command where its arms share their work.

An arm whose name ends in `-again` chooses anew several times during the training, and so does `random-again`, its
baseline. What is called an algorithm is a function of `augforge.algorithms.selection` that no stage uses yet.
"""
HEAD = """\
| task | data | arm | beside | metric | its mean | baseline | difference | | seeds | images | CPU minutes |
|---|---|---|---|---|---:|---:|---:|---|---:|---:|---:|"""


class Malformed(Exception):
    """A file of results that cannot be read, and why."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """An arm beside its baseline, as one entry of a file says it."""

    said: Mapping[str, Any]
    file: str

    def __getitem__(self, name: str) -> Any:
        return self.said[name]

    @property
    def order(self) -> tuple[str, ...]:
        """Stage, then task, data, metric and arm."""
        return tuple(str(self[name]) for name in ("stage", "task", "data", "metric", "arm", "baseline"))

    @property
    def verdict(self) -> str:
        """Whether the arm is better than its baseline, as far as the seeds can tell."""
        low, high = self["interval"]
        if low is None or low <= 0 <= high:
            return "within noise"
        better = (low > 0) != bool(self.said.get("lower_is_better", False))
        return "**better**" if better else "**worse**"


def comparisons(folder: Path) -> list[Comparison]:
    """Those of all files of a folder, in the order of the page.

    Raises:
        Malformed: names the file, the entry and what is wrong with it; of all files that are.
    """
    found, wrong = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            found += [Comparison(entry, path.name) for entry in _entries(path)]
        except Malformed as error:
            wrong.append(f"{path.name}: {error}")
    if wrong:
        raise Malformed("\n".join(wrong))
    return sorted(found, key=lambda comparison: comparison.order)


def _entries(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Malformed(f"no JSON: {error}") from error
    entries = plain if isinstance(plain, list) else [plain]
    for number, entry in enumerate(entries):
        if problem := _problem(entry):
            raise Malformed(f"entry {number}: {problem}")
        yield entry


def _problem(entry: Any) -> str:
    """What is wrong with an entry; "" if nothing is."""
    if not isinstance(entry, dict):
        return "it is no mapping of fields"
    if missing := [name for name in FIELDS if name not in entry]:
        return f"it has no {', '.join(missing)}"
    for name, kinds in FIELDS.items():
        if not isinstance(entry[name], kinds) or isinstance(entry[name], bool):
            return f"{name} is {entry[name]!r}, no {' or '.join(kind.__name__ for kind in kinds)}"
    return _wrong_numbers(entry)


def _wrong_numbers(entry: Mapping[str, Any]) -> str:
    seeds = entry["seeds"] if isinstance(entry["seeds"], int) else len(entry["seeds"])
    for name in ("values", "baseline_values"):
        if not all(_is_number(value) for value in entry[name]) or len(entry[name]) != seeds or not seeds:
            return f"{name} are not one finite number for each of {seeds} seeds"
    numbers = (entry["mean_difference"], entry["cpu_minutes"])
    if not all(map(_is_number, numbers)) or entry["cpu_minutes"] < 0 or entry["images"] < 0:
        return "mean_difference, cpu_minutes or images is no sensible number"
    differences = [a - b for a, b in zip(entry["values"], entry["baseline_values"], strict=True)]
    mean = sum(differences) / len(differences)
    near = min(POINTS, NEAR * max(map(abs, (*entry["values"], *entry["baseline_values"]))))
    if abs(mean - entry["mean_difference"]) > near:
        return f"mean_difference is {entry['mean_difference']}, but the values differ by {mean:.4g} on average"
    return _wrong_interval(entry["interval"], entry["mean_difference"])


def _wrong_interval(ends: Sequence[Any], mean: float) -> str:
    if len(ends) == 2 and ends[0] is ends[1] is None:
        return ""
    if len(ends) != 2 or not all(map(_is_number, ends)):
        return f"interval is {ends}, not [low, high], or [null, null] of a single seed"
    return "" if ends[0] <= mean <= ends[1] else f"interval {ends} does not hold mean_difference {mean}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def page(folder: Path = RESULTS) -> str:
    """The page as Markdown."""
    found = comparisons(folder)
    sections = [
        INTRODUCTION.format(count=len(found), chance=round(0.05 * len(found))),
        *(_overview(found) if found else ()),
    ]
    for stage, group in groupby(found, key=lambda comparison: comparison["stage"]):
        sections.append(f"## {_cell(stage) or NO_STAGE}\n\n{_table(list(group))}")
    if found:
        sections.append("## How it was measured\n\n" + _sources(found))
    return "\n".join(sections)


def _overview(found: Sequence[Comparison]) -> Iterator[str]:
    yield "## In short\n"
    yield "| stage | tasks | better | within noise | worse | CPU minutes at most |\n|---|---|---:|---:|---:|---:|"
    for stage, group in groupby(found, key=lambda comparison: comparison["stage"]):
        mine = list(group)
        verdicts = [comparison.verdict for comparison in mine]
        counts = [verdicts.count(verdict) for verdict in ("**better**", "within noise", "**worse**")]
        tasks = ", ".join(sorted({comparison["task"] for comparison in mine}))
        minutes = max(comparison["cpu_minutes"] for comparison in mine)
        yield f"| {_cell(stage) or NO_STAGE} | {_cell(tasks)} | {' | '.join(map(str, counts))} | {minutes:.1f} |"
    yield ""


def _table(found: Sequence[Comparison]) -> str:
    lines = [HEAD]
    for one in found:
        texts = [_cell(one[name]) for name in ("task", "data", "arm", "baseline", "metric")]
        means = [_short(sum(one[name]) / len(one[name])) for name in ("values", "baseline_values")]
        cells = [*texts, *means, _difference(one), one.verdict, str(len(one["values"]))]
        lines.append("| " + " | ".join([*cells, f"{one['images']:,}", f"{one['cpu_minutes']:.1f}"]) + " |")
    return "\n".join(lines) + "\n"


def _difference(one: Comparison) -> str:
    low, high = one["interval"]
    ends = "" if low is None else f" ({_signed(low)} to {_signed(high)})"
    return _signed(one["mean_difference"]) + ends


def _short(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _signed(value: float) -> str:
    return f"{value:+.1f}" if abs(value) >= 10 else f"{value:+.2g}"


def _sources(found: Sequence[Comparison]) -> str:
    lines = ["| results | command | date |", "|---|---|---|"]
    for file, command, date in sorted({(one.file, one["command"], one["date"]) for one in found}):
        lines.append(f"| [`{file}`](../benchmarks/results/{file}) | `{_cell(command)}` | {_cell(date)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    try:
        text = page()
    except Malformed as error:
        sys.exit(f"malformed results in {RESULTS.relative_to(ROOT)}\n{error}")
    PAGE.write_text(text, encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
