"""Whether Ray is alive, at the head of the cluster and on this machine, and what room it has, asked for in a thread."""

from __future__ import annotations

import time
from collections.abc import Mapping
from threading import Event, Thread

from augforge.errors import AugforgeError

EVERY = 1.0
"""Seconds between two questions."""
SILENCE = 20.0
"""Seconds without an answer after which the head is taken for lost; Ray itself ends this process after 60."""


class Pulse:
    """Asks from the beginning to `end`. A head that is lost answers nothing, or late: so no other thread asks it."""

    def __init__(self) -> None:
        self._resources: Mapping[str, float] = {}
        self._dead: frozenset[str] = frozenset()
        self._last = time.monotonic()
        self._here = ""
        self._asked, self._ended = Event(), Event()
        Thread(target=self._ask, name="ray-pulse", daemon=True).start()
        self._asked.wait(SILENCE)

    def room(self, resource: str, each: float) -> int:
        """For how many workers the cluster is large enough that take `each` of a resource, busy or not."""
        return int(self._resources.get(resource, 0.0) / each + 1e-9)

    def is_dead(self, node: str) -> bool:
        """Whether a machine of the cluster is known to be lost."""
        return node in self._dead

    def check(self) -> None:
        """AugforgeError if the head has been silent for too long, or Ray has ended on the machine of this process."""
        if time.monotonic() - self._last > SILENCE:
            raise AugforgeError(
                "the head of the Ray cluster does not answer any more",
                "what was committed is kept: when there is a cluster again, run the same command to go on",
            )
        if self.is_dead(self._here):
            raise AugforgeError(
                "Ray has ended on this machine (its raylet is gone), so that no worker can be reached",
                "what was committed is kept: start Ray again with `ray start`, and run the same command to go on",
            )

    def end(self) -> None:
        """Ask no more."""
        self._ended.set()

    def _ask(self) -> None:
        import ray

        while not self._ended.is_set():
            try:
                self._here = self._here or str(ray.get_runtime_context().get_node_id())
                nodes = ray.nodes()  # type: ignore[no-untyped-call]
            except Exception:  # whatever it is: no answer
                nodes = None
            if nodes:
                self._take(nodes)
                self._asked.set()
            self._ended.wait(EVERY)

    def _take(self, nodes: list[dict[str, object]]) -> None:
        total: dict[str, float] = {}
        for node in nodes:
            resources = node["Resources"]
            if node["Alive"] and isinstance(resources, dict):
                for name, amount in resources.items():
                    total[name] = total.get(name, 0.0) + float(amount)
        self._resources = total
        self._dead = frozenset(str(node["NodeID"]) for node in nodes if not node["Alive"])
        self._last = time.monotonic()
