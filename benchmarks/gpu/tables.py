"""The results as Markdown, and their place in RESULTS.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sections import RESULTS, write_section

from gpu.runner import read_record
from gpu.table import Section

NOT_MEASURED = "**not measured**"


def write_results(folder: Path, sections: Sequence[Section], results: Path = RESULTS) -> None:
    """Put the tables of the results in `folder` into `results`; refuses those of toy sizes or of a CPU."""
    path = folder / "machine.json"
    if not path.is_file():
        raise SystemExit(f"{folder} holds no results of scripts/gpu: it has no machine.json")
    where = json.loads(path.read_text("utf-8"))
    if where["smoke"] or where["device"] != "cuda":
        raise SystemExit(f"{folder} holds results of toy sizes or of a CPU: these are not written down")
    parts = [headline(where), *(section_text(read_record(folder, section), section) for section in sections)]
    write_section("gpu", "\n\n".join(parts), results)


def headline(where: Mapping[str, Any]) -> str:
    """One paragraph: the command and the machine."""
    versions = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    return (
        f"`scripts/gpu --minutes {where['minutes']:g}` on {where['date']}: {where['card']}, {where['memory-gib']} GiB, "
        f"driver {where['driver']}, CUDA {where['cuda']}, {where['cores']} cores, "
        f"Python {where['python']}, {versions}. Random weights where a model is not the built-in one."
    )


def section_text(record: Mapping[str, Any] | None, section: Section) -> str:
    """A heading, how it ended where that was not well, its tables, bars and remarks."""
    lines = [f"### {section.title}"]
    if record is None:
        return "\n\n".join([*lines, f"{NOT_MEASURED}: it was not reached."])
    if record["status"] != "ok":
        said = next((line for line in reversed(record.get("tail", [])) if line.strip()), "")
        lines.append(
            f"Status: {record['status']} after {record['seconds']:.0f} s" + (f": `{said.strip()}`" if said else "")
        )
    figures = record.get("figures") or {}
    lines += [table(rows) for rows in figures.get("tables", {}).values()]
    if bars := figures.get("bars"):
        lines.append("\n".join(bar_line(bar) for bar in bars))
    lines += figures.get("notes", [])
    return "\n\n".join(lines if figures else [*lines, NOT_MEASURED])


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table; its columns are the names that any row has."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    numeric = {name: all(not isinstance(row.get(name), str) for row in rows) for name in names}
    head = ["| " + " | ".join(names) + " |", "|" + "|".join("---:" if numeric[name] else "---" for name in names) + "|"]
    return "\n".join(head + ["| " + " | ".join(cell(row.get(name)) for name in names) + " |" for row in rows])


def cell(value: Any) -> str:
    """A value as it stands in a table."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value).replace("|", "\\|")


def bar_line(bar: Mapping[str, Any]) -> str:
    """Whether a bar was met."""
    return (
        f"- {bar['what']}: {cell(float(bar['value']))}, bar {bar['least']:g}: {'met' if bar['met'] else '**missed**'}"
    )
