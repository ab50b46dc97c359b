"""Workers on a Ray cluster, or of a Ray that is started on this machine: one actor for each GPU, or for each core.

Only Ray Core is used, and Ray restarts and repeats nothing: it is the driver that knows what is to be done again. No
pixel goes through Ray, only what a unit is, and the name of its part.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from augforge.data.bundle import Bundle
from augforge.data.parts import Parts
from augforge.engine.engines.driver import Driver
from augforge.engine.engines.ray_crew import RayCrew
from augforge.engine.engines.ray_pulse import Pulse
from augforge.engine.work import Engine, Item, Place, Refused, Work
from augforge.errors import AugforgeError
from augforge.optional import require

STORE_BYTES = 100 << 20
"""Memory for objects of a Ray that is started here; nothing large goes through it."""
SECONDS = 10.0
"""How long somebody has to listen at an address."""
TOKEN = Path("~/.ray/auth_token")
"""Where Ray keeps the token of this user."""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class Ray(Engine):
    """Does the work with actors that stay for the whole run. Workers with a model have GPUs where the cluster has."""

    name: ClassVar[str] = "ray"

    def __init__(
        self,
        workers: int | None = None,
        address: str | None = None,
        gpus_per_worker: float = 1.0,
        mixed: bool = False,
    ) -> None:
        """As `augforge.engine.engines.choose.engine_of`; Ray is asked for when there is something to do.

        Raises:
            AugforgeError: Ray is not installed.
        """
        require("ray", who="the engine ray")
        _have_token_sent(address)
        self._workers, self._address = workers, address
        self._gpus, self._mixed = gpus_per_worker, mixed
        self._own = False
        self._pulse: Pulse | None = None
        self._drivers: dict[float, Driver] = {}

    def run(self, work: Work[Item], items: Iterable[Item], total: int, parts: Parts | Bundle, place: Place) -> Refused:
        """As `Engine.run`."""
        if not total:
            return Refused()
        most = min(total, self._workers or total)
        try:
            return self._driver(work.uses_device).run(work, items, total, parts, place, most)
        except ConnectionError as error:  # of a client of ray://, whose every request may end so
            raise AugforgeError(
                f"the connection to the Ray cluster at {self._address} is lost ({error})",
                "what was committed is kept: when there is a cluster again, run the same command to go on",
            ) from error

    def close(self) -> None:
        """As `Engine.close`; a Ray that was started here ends."""
        for driver in self._drivers.values():
            driver.close()
        self._drivers.clear()
        if self._pulse is not None:
            self._pulse.end()
            self._pulse = None
        if self._own:
            import ray

            ray.shutdown()
            self._own = False

    def _driver(self, uses_device: bool) -> Driver:
        """The driver of the workers for such work: those with a GPU are others than those with a core."""
        pulse = self._connected()
        gpus = self._gpus if uses_device and pulse.room("GPU", self._gpus) else 0.0
        if gpus not in self._drivers:
            self._drivers[gpus] = Driver(RayCrew(pulse, gpus, self._workers), self._mixed)
        return self._drivers[gpus]

    def _connected(self) -> Pulse:
        import ray

        if self._pulse is None:
            if not ray.is_initialized():
                self._connect()
                self._silence()
                self._own = True
            self._pulse = Pulse()
        return self._pulse

    def _silence(self) -> None:
        """Keep Ray's own remarks about workers that died off the terminal, and out of what `--json` prints."""
        from ray._private import worker

        worker._worker_logs_enabled = False

    def _connect(self) -> None:
        import ray

        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        here: dict[str, Any]
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            _reach(self._address)
            if self._address is None:
                here = {"num_cpus": self._workers, "object_store_memory": STORE_BYTES, "include_dashboard": False}
                ray.init(address="local", job_config=_imports(), **quiet, **here)
            elif not self._address.startswith("ray://"):
                ray.init(address=self._address, job_config=_imports(), **quiet)
            else:
                ray.init(address=self._address, **quiet)
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            where = "on this machine" if self._address is None else f"at {self._address}"
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise AugforgeError(
                f"there is no Ray {where}: {first}",
                "start one with `ray start --head` (if it asks for a token: RAY_AUTH_TOKEN, with ray:// also "
                "RAY_AUTH_MODE=token), or leave --address out",
            ) from error


def _imports() -> Any:
    """A job whose workers import nothing from the present folder, as Ray would have it, unless this process does."""
    from ray.job_config import JobConfig

    here, script = str(Path.cwd()), str(Path(sys.argv[0]).resolve().parent)
    known = {entry or here for entry in sys.path}
    job = JobConfig(_py_driver_sys_path=[path for path in dict.fromkeys((script, here)) if path in known])
    job._runtime_env_has_working_dir = lambda: True  # type: ignore[method-assign]  # else Ray adds that folder
    return job


def _have_token_sent(address: str | None) -> None:
    """Have a client of `ray://` send the token that is there; all other ways to a cluster do so by themselves.

    Ray reads how it is to show who it is when it is imported, so that this stands before that.
    """
    token = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH") or TOKEN.expanduser().exists()
    if token and (address or "").startswith("ray://"):
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _reach(address: str | None) -> None:
    """OSError where nobody listens at HOST:PORT: Ray itself would ask for many minutes."""
    if found := re.fullmatch(r"(?:ray://)?([^:/]+):(\d+)", address or ""):
        socket.create_connection((found[1], int(found[2])), SECONDS).close()
