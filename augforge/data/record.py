"""What run.json records about the files of a result, and whether they have changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augforge.data.files import SEAL, digest_of, read_sealed, unseal
from augforge.data.label_errors import NAME as LABEL_ERRORS
from augforge.data.nearest import NAME as NEAREST
from augforge.data.reviewed import NAME as REVIEWED
from augforge.data.stage_facts import NAME as FACTS
from augforge.errors import StoreError

FORMAT = 5
"""The version of the run folder that this augforge writes; docs/format.md says what changed."""
LEDGER = "samples.parquet"
FILES = (LEDGER, "recipe.yaml", "recipe.lock", "README.md", "certificates.json", LABEL_ERRORS, NEAREST, FACTS, REVIEWED)
AGAIN = "run the command that made it again"

Record = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a file of a run folder; `path` is relative to it."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path} {self.what}"


def no_run(folder: Path) -> StoreError:
    """What is to be said of a folder without a ledger: that its run was interrupted, or that it is no run folder."""
    if (folder / "parts").is_dir() and (folder / ".lock").exists():
        return StoreError(f"the run in {folder} has no result yet", "run the command that began it again to go on")
    return StoreError(f"{folder} is no run folder: it has no {LEDGER}", "give the DIR of --out")


def record_of(folder: Path) -> Record:
    """Size in bytes, time of change in ns and SHA-256 of every file of the result in a run folder."""
    return {path.relative_to(folder).as_posix(): _facts(path) for path in _result_files(folder)}


def ledger_digest(folder: Path) -> str:
    """SHA-256 of samples.parquet, by which the results of a run folder are told apart; "" if there is none."""
    path = folder / LEDGER
    return digest_of(path) if path.is_file() else ""


def stamps_of(folder: Path, record: Record) -> Record:
    """The record with the present times of change, for files whose content was found to be the same."""
    return {name: {**facts, "mtime-ns": (folder / name).stat().st_mtime_ns} for name, facts in record.items()}


def changed(folder: Path, record: Mapping[str, Mapping[str, Any]], whole: bool = False) -> list[Problem]:
    """What of a recorded result is missing or damaged.

    A file with the recorded size and modification time is assumed intact, unless `whole` asks to read all of them.
    """
    problems = [(name, _problem(folder / name, facts, whole)) for name, facts in record.items()]
    return [Problem(name, what) for name, what in problems if what]


def format_of(folder: Path) -> int | None:
    """The format version that a run folder says it was written in; None if it does not say, or run.json is damaged."""
    try:
        content = (folder / "run.json").read_bytes()
        state = json.loads(content)
        version = (unseal(content) if SEAL in state else state)["format"]  # formats before the seal have none
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return version if isinstance(version, int) else None


def check_ledger(folder: Path) -> None:
    """StoreError where samples.parquet is not the one that the finished run wrote; all of it is read."""
    state = read_sealed(folder / "run.json") or {}
    facts = state.get("files", {}).get(LEDGER)
    if facts is not None and (what := _problem(folder / LEDGER, facts, True)):
        raise StoreError(f"{folder / LEDGER} {what}", AGAIN)


def _result_files(folder: Path) -> Iterator[Path]:
    yield from (path for name in FILES if (path := folder / name).is_file())
    yield from sorted(path for path in (folder / "dataset").rglob("*") if path.is_file())


def _facts(path: Path) -> dict[str, Any]:
    stat = path.stat()
    return {"size": stat.st_size, "mtime-ns": stat.st_mtime_ns, "sha256": digest_of(path)}


def _problem(path: Path, facts: Mapping[str, Any], whole: bool) -> str:
    try:
        stat = path.stat()
        if stat.st_size != facts["size"]:
            return f"is damaged: it has {stat.st_size:,} bytes, not {facts['size']:,}"
        if stat.st_mtime_ns == facts["mtime-ns"] and not whole:
            return ""
        return "" if digest_of(path) == facts["sha256"] else "is damaged: its SHA-256 is not the recorded one"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
