"""Whether the files of a run folder are those that were written: each against its digest.

Nothing is changed here: damaged parts are set aside, and results written again, by the next run.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.selection.units import Run
from augforge.data.files import digest_of, read_sealed
from augforge.data.record import Problem, changed
from augforge.errors import AugforgeError, StoreError
from augforge.models.directory import check_weights, read_record
from augforge.progress import Progress

_TOGETHER = 4
"""Files that are read together."""

__all__ = ["Problem", "check_files", "checked_files"]


def check_files(folder: Path, progress: Progress | None = None, run: Run = map) -> list[Problem]:
    """Read every file of a run folder whose digest is known, and say which are missing or damaged.

    Result files by what run.json records of them, parts and vectors by their names, JSON by the digest in it, trained
    models by their records. `run` calls a function of some files; what it does that by changes nothing but the time.
    """
    places = _places(folder)
    some = [places[start : start + _TOGETHER] for start in range(0, len(places), _TOGETHER)]
    with (progress or Progress()).bar("files", len(places) + 1, "files") as bar:
        found = _result(folder)
        bar.advance()
        for paths, problems in zip(some, run(problems_of, some), strict=True):
            named = zip(paths, problems.tolist(), strict=True)
            found += [Problem(path.relative_to(folder).as_posix(), what) for path, what in named if what]
            bar.advance(len(paths))
    return found


def problems_of(paths: Sequence[Path]) -> NDArray[np.str_]:
    """(n,) what is wrong with parts, sealed JSON files or trained models; "" where one is sound."""
    return np.array([_problem(path) for path in paths], dtype=np.str_)


def checked_files(folder: Path) -> list[Path]:
    """The files of a run folder that `check_files` reads."""
    with suppress(StoreError):
        recorded = (read_sealed(folder / "run.json") or {}).get("files", {})
        return [*_places(folder), *(folder / name for name in ("run.json", *recorded) if (folder / name).is_file())]
    return [*_places(folder), folder / "run.json"]


def _places(folder: Path) -> list[Path]:
    patterns = ("parts/*/*.arrow", "vectors/*/*.arrow", "parts/*/*.json", "models/*/model.json")
    return [path for pattern in patterns for path in sorted(folder.glob(pattern))]


def _problem(path: Path) -> str:
    """What is wrong with a part, a sealed JSON file or a trained model; "" where it is sound."""
    try:
        if path.suffix == ".arrow":
            return "" if digest_of(path)[:32] == path.stem else "is damaged: its SHA-256 is not the one in its name"
        if path.name == "model.json":
            check_weights(path.parent, read_record(path.parent) or {})
        else:
            read_sealed(path)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except AugforgeError as error:
        return error.message.removeprefix(f"{path} ")
    return ""


def _result(folder: Path) -> list[Problem]:
    try:
        state = read_sealed(folder / "run.json")
    except StoreError as error:
        return [Problem("run.json", error.message.removeprefix(f"{folder / 'run.json'} "))]
    if state is None:
        return [Problem("run.json", "is missing: the last run did not come to its end")]
    return changed(folder, state.get("files", {}), whole=True)
