"""What a benchmark found an arm to be worth, as rows of a JSON file of benchmarks/results/."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class About:
    """What all rows of one comparison share: the task and its data in words, and the measure by its name."""

    task: str
    data: str
    metric: str
    baseline: str = "real"


def rows_of(record: Mapping[str, Any], about: About, stages: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row for each arm of an evaluation beside its first one; `stages` says which stage each arm is about."""
    base, *others = record["arms"]
    rows = []
    for arm in others:
        difference = arm["difference"]
        rows.append(
            {
                "task": about.task,
                "data": about.data,
                "stage": stages.get(arm["name"], ""),
                "arm": arm["name"],
                "baseline": about.baseline,
                "metric": about.metric,
                "seeds": record["seeds"],
                "values": arm[about.metric]["seeds"],
                "baseline_values": base[about.metric]["seeds"],
                "mean_difference": difference["mean"],
                "interval": [difference["low"], difference["high"]],
                "images": arm["images"],
            }
        )
    return rows


def write(name: str, rows: list[dict[str, Any]], started: float, command: str = "") -> Path:
    """Write the rows into benchmarks/results/NAME.json, each with an equal part of the CPU time since `started`.

    `command` is what is run; if it is not given, the script with its arguments.
    """
    minutes = round((time.process_time() - started) / 60 / len(rows), 2)
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    command = command or f"python benchmarks/{Path(sys.argv[0]).name} {shlex.join(words)}".strip()
    shared = {"cpu_minutes": minutes, "command": command, "date": datetime.now(UTC).date().isoformat()}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps([{**row, **shared} for row in rows], indent=1) + "\n")
    return path


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown, in points."""
    lines = ["| task | arm | images | real alone | difference | 95 % interval |", "|---|---|---:|---:|---:|---|"]
    for row in rows:
        base = 100 * sum(row["baseline_values"]) / len(row["baseline_values"])
        low, high = row["interval"]
        ends = "" if low is None else f"[{100 * low:+.1f}, {100 * high:+.1f}]"
        arm = f"{row['arm']}{' by ' + row['stage'] if row['stage'] else ''}"
        lines.append(
            f"| {row['task']} | {arm} | {row['images']} | {base:.1f} | {100 * row['mean_difference']:+.1f} | {ends} |"
        )
    return "\n".join(lines)
