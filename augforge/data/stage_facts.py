"""`facts.json` of a run folder: what stages say of their own work as numbers, by their titles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from augforge.data.files import write_atomically
from augforge.errors import StoreError

NAME = "facts.json"

Facts = Mapping[str, float | str]
"""What one stage says, by names such as "temperature"."""


def write_facts(folder: Path, facts: Mapping[str, Facts]) -> None:
    """Write what the stages say; without anything there is no file."""
    if facts:
        write_atomically(folder / NAME, json.dumps(facts, indent=1).encode())
    else:
        (folder / NAME).unlink(missing_ok=True)


def read_facts(folder: Path) -> dict[str, Facts]:
    """What the stages of a run say, by their titles; {} where there is no file, StoreError where it is damaged."""
    path = folder / NAME
    if not path.is_file():
        return {}
    try:
        return {str(title): dict(facts) for title, facts in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} is damaged: {error}", "run the same command again") from error


def said(facts: Facts) -> str:
    """What one stage says as a line, numbers with six digits."""
    return ", ".join(f"{name} {f'{value:.6g}' if isinstance(value, float) else value}" for name, value in facts.items())
