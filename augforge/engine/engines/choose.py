"""The engine that a user names, with its settings. None of them changes a row: they are in no key, lock or id."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from augforge.engine.work import Engine
from augforge.errors import RecipeError, did_you_mean

SETTINGS = ("engine", "workers", "address", "gpus_per_worker", "mixed")
"""What the options are called."""
NAMES: Sequence[str] = ("local", "processes", "ray", "slurm")


def engine_of(
    name: str = "local",
    workers: int | None = None,
    address: str | None = None,
    gpus_per_worker: float | None = None,
    mixed: bool = False,
) -> Engine:
    """The engine called `name`.

    Args:
        name: `local` is this process, or several with more than one of `workers`; `processes` is those of this
            machine, `ray` a cluster, and `slurm` one task of an array job.
        workers: how many; None is as many as there is room for. Slurm knows them itself.
        address: of `ray`: `auto`, `ray://HOST:PORT` or `HOST:PORT`; None starts Ray on this machine.
        gpus_per_worker: of `ray`: GPUs of each worker that has a model to run, 0.5 for two on one; None is 1.
        mixed: of `ray`: whether workers may compute on different kinds of devices.

    Raises:
        AugforgeError: there is no such engine, it has no such setting, or its package is missing.
    """
    if name not in NAMES:
        raise RecipeError(f"there is no engine {name!r}", did_you_mean(name, list(NAMES)))
    if workers is not None and workers < 1:
        raise RecipeError(f"workers: {workers} is no number of workers", "give 1 or more")
    if gpus_per_worker is not None and not gpus_per_worker > 0:
        raise RecipeError(f"gpus-per-worker: {gpus_per_worker} is no share of a GPU", "give 1, or 0.5 for two on one")
    if name != "ray":
        _refuse(name, {"address": address, "gpus-per-worker": gpus_per_worker, "mixed": mixed or None})
    return _made(name, workers, address=address, gpus_per_worker=gpus_per_worker or 1.0, mixed=mixed)


def engine_among(options: MutableMapping[str, Any]) -> Engine:
    """The engine that some of `options` name, as `engine_of`; they are taken out of them."""
    where = {name: options.pop(name) for name in SETTINGS if name in options}
    return engine_of(where.pop("engine", "local"), **where)


def one_machine(name: str = "local", workers: int | None = None) -> Engine:
    """As `engine_of`, for what is done on the machine of the user alone.

    Raises:
        AugforgeError: as `engine_of`, or the engine is one of several machines.
    """
    if name in NAMES and name not in ("local", "processes"):
        raise RecipeError(f"the engine {name} does not read what lies on this disk", "give --engine processes")
    return engine_of(name, workers)


def _refuse(name: str, of_ray: Mapping[str, Any]) -> None:
    for option, value in of_ray.items():
        if value is not None:
            raise RecipeError(f"{option} is a setting of the engine ray, not of {name}", "give --engine ray")


def _made(name: str, workers: int | None, **of_ray: Any) -> Engine:
    if name == "ray":
        from augforge.engine.engines.ray import Ray

        return Ray(workers=workers, **of_ray)
    if name == "slurm":
        from augforge.engine.engines.slurm import Slurm

        return Slurm()
    if name == "processes" or (workers or 1) > 1:
        from augforge.engine.engines.processes import Processes

        return Processes(workers or 0)
    from augforge.engine.engines.local import Local

    return Local()
