"""What all workers of a work have to have in common, so that a row does not depend on who made it."""

from __future__ import annotations

from collections.abc import Mapping

from augforge.engine.engines.orders import Report, Task, versions
from augforge.errors import AugforgeError
from augforge.models import find_model, model_digest


class Standard:
    """This process, and the first worker's device; with `mixed` any device will do."""

    def __init__(self, task: Task, mixed: bool) -> None:
        self._versions, self._mixed = versions(), mixed
        self._models = {name: model_digest(find_model(name, for_what)) for name, for_what in task.models}
        self._folder = task.token.rpartition("/")[0]
        self._first: Report | None = None

    def difference(self, report: Report) -> AugforgeError | None:
        """What is different with a worker, None if nothing."""
        if not report.sees:
            return AugforgeError(
                f"{report.where} does not see {self._folder}",
                "give an --out that all machines see under this name, or one in a bucket, such as --out s3://BUCKET/run",
            )
        if (found := _first_of(self._versions, report.versions)) is not None:
            return AugforgeError(
                f"{report.where} has {found} {report.versions[found]}, and here it is {self._versions[found]}",
                "install the same versions everywhere",
            )
        if (found := _first_of(self._models, report.models)) is not None:
            return AugforgeError(
                f"{report.where} has other weights of the model {found!r}", "give all machines the same files"
            )
        self._first = self._first or report
        if not self._mixed and _device(report) != _device(self._first):
            return AugforgeError(
                f"{report.where} computes on {_device(report)}, and {self._first.where} on {_device(self._first)}",
                "low bits of what they make may differ: use one kind of machine, or insist with --mixed",
            )
        return None


def _first_of(mine: Mapping[str, str], theirs: Mapping[str, str]) -> str | None:
    """The first that is different."""
    return next((name for name, value in mine.items() if theirs.get(name) != value), None)


def _device(report: Report) -> str:
    """A device as far as low bits depend on it: a GPU by its model, any processor as one."""
    return str(report.facts.get("device-name") or report.device) if report.device != "cpu" else "cpu"
