"""What a worker sees of a run: the sources, the folder of the driver, or the bucket in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from augforge.data.away import Away
from augforge.engine.engines.orders import Task
from augforge.errors import AugforgeError
from augforge.io.braces import expanded, is_list
from augforge.models import Model
from augforge.recipe import SourceSpec
from augforge.remote.places import path_of
from augforge.remote.urls import is_url

NOT_PATHS = frozenset({"hub", "sample"})
"""Kinds of sources that are not named by a path."""


def away_from(task: Task) -> Away | None:
    """The bucket in which the run of a task lies, where the folder of the driver is not seen; else None."""
    return None if task.run is None or task.run.is_seen else Away(task.run)


def is_visible(task: Task) -> bool:
    """Whether what is written here for a task is found by the driver."""
    if not task.token or Path(task.token).is_file():
        return True
    return task.run is not None and not task.run.is_seen and task.run.holds(Path(task.token))


def as_seen(task: Task, away: Away | None) -> Task:
    """A task with what it reads of the run fetched to this machine, and what it writes sent to the bucket."""
    if away is None or task.run is None:
        return task
    run, setting = task.run, task.setting
    generated = {
        name: (away.parts(folder) if run.holds(folder) else folder, schema, by)
        for name, (folder, schema, by) in setting.generated.items()
    }
    trained = {
        name: replace(model, location=str(away.model(folder))) if run.holds(folder := _folder(model)) else model
        for name, model in setting.trained.items()
    }
    return replace(
        task, setting=replace(setting, generated=generated, trained=trained), target=task.target.by(away.commit)
    )


def _folder(model: Model) -> Path:
    return Path(model.location).absolute()


def check_sources(specs: Sequence[SourceSpec], where: str) -> None:
    """Refuse to read from sources that are not there on this machine, which else would be that many bad images.

    Raises:
        AugforgeError: a file or folder is not there, or is the empty folder of a disk that is not mounted.
    """
    for spec in specs:
        if spec.kind not in NOT_PATHS and not is_url(spec.value) and not _is_there(spec.value):
            raise AugforgeError(
                f"{where} does not see the source {spec.value}",
                "give it under a path that all machines see, from the root, or as a URL such as s3://BUCKET/…",
            )


def _is_there(value: str) -> bool:
    """Whether a file, the first of a list of them, or a folder with something in it is there."""
    path = path_of(value)
    try:
        if is_list(value) and not path.exists():
            path = path_of(expanded(value)[0])
        return any(path.iterdir()) if path.is_dir() else path.exists()
    except OSError:
        return False
