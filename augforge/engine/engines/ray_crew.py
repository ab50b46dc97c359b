"""The actors of a Ray cluster as a crew."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from itertools import count
from queue import SimpleQueue
from threading import Thread
from typing import Any

from augforge.engine.engines.crew import Answered, Died, Event
from augforge.engine.engines.handing import AT_HAND
from augforge.engine.engines.orders import Answer, Order
from augforge.engine.engines.ray_pulse import Pulse
from augforge.engine.engines.worker import Worker

NODE_LOST = ("node has died", "node died", "node was terminated", "node is dead", "preempted")
"""What Ray says of an actor that is no more because its machine is."""
OVER_MEMORY = "memory monitor"
"""What Ray says of one that it ended itself, because its machine ran out of memory."""


class Actor:
    """A `Worker` in a process of Ray."""

    def __init__(self, gpus: float) -> None:
        """`gpus`: how many it has, by which the threads that load are divided."""
        self._worker = Worker(share=_share(gpus))
        Thread(target=self._worker.serve, daemon=True).start()

    def ready(self) -> str:
        """Answers when it is there: with the id of its machine."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def follow(self, order: Order) -> Answer:
        """The answer to an order; several may be asked for at once, and are followed one after the other."""
        answers: SimpleQueue[Answer] = SimpleQueue()
        self._worker.tell(order, answers.put)
        return answers.get()


def _share(gpus: float) -> int:
    """Among how many workers the cores of this machine are divided: one for each core, or as many as GPUs allow."""
    import ray

    if not gpus:
        return os.cpu_count() or 1
    me = ray.get_runtime_context().get_node_id()
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    mine: Mapping[str, float] = next((node["Resources"] for node in nodes if node["NodeID"] == me), {})
    return max(1, int(mine.get("GPU", 1.0) / gpus))


class RayCrew:
    """A `Crew` of actors: `wanted` of them, or as many as the cluster has room for now."""

    elsewhere = True

    def __init__(self, pulse: Pulse, gpus: float, wanted: int | None) -> None:
        self._pulse, self._gpus, self._wanted = pulse, gpus, wanted
        self._numbers = count()
        self._actors: dict[int, Any] = {}
        self._nodes: dict[int, str] = {}
        self._coming: dict[Any, int] = {}
        self._asked: dict[Any, int] = {}
        self._doubted: dict[Any, int] = {}

    @property
    def workers(self) -> Collection[int]:
        """As `Crew.workers`."""
        return self._nodes.keys()

    @property
    def expected(self) -> int:
        """As `Crew.expected`."""
        return len(self._coming)

    def staff(self, most: int) -> None:
        """As `Crew.staff`."""
        wanted = self._wanted or (self._pulse.room("GPU", self._gpus) if self._gpus else self._pulse.room("CPU", 1.0))
        for _ in range(min(most, wanted) - len(self._actors)):
            self._start(next(self._numbers))

    def _start(self, number: int) -> None:
        import ray

        takes = {"num_gpus": self._gpus, "num_cpus": 0} if self._gpus else {"num_cpus": 1}
        once = {"max_restarts": 0, "max_task_retries": 0, "max_concurrency": AT_HAND + 2}
        remote: Any = ray.remote(Actor)
        actor = remote.options(**takes, **once).remote(self._gpus)
        self._actors[number] = actor
        self._coming[actor.ready.remote()] = number

    def hand(self, worker: int, order: Order) -> None:
        """As `Crew.hand`."""
        self._asked[self._actors[worker].follow.remote(order)] = worker

    def wait(self, seconds: float) -> list[Event]:
        """As `Crew.wait`. AugforgeError if the head of the cluster is lost."""
        import ray

        self._pulse.check()
        waiting = [*self._coming, *self._asked, *self._doubted]
        if not waiting:
            time.sleep(seconds)
            return []
        ready, _ = ray.wait(waiting, num_returns=1, timeout=seconds)
        if ready:
            ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
        return [event for each in ready if (event := self._event(each)) is not None]

    def _event(self, ready: Any) -> Event | None:
        """What an answer of Ray tells; None for the arrival of a worker, and after the death of one."""
        import ray
        from ray.exceptions import ActorUnavailableError, RayError

        kinds = (self._coming, self._asked, self._doubted)
        kind = next((kind for kind in kinds if ready in kind), None)
        if kind is None:
            return None
        worker = kind.pop(ready)
        try:
            answer = ray.get(ready)
        except ActorUnavailableError:
            self._doubt(worker)
            return None
        except RayError as error:
            return self._died(worker, str(error))
        if kind is self._doubted:
            return self._died(worker, NODE_LOST[0])  # it is there again, and what it was handed is not
        if isinstance(answer, Answer):
            return Answered(worker, answer)
        self._nodes[worker] = answer
        return None

    def _doubt(self, worker: int) -> None:
        """A worker does not answer, and Ray does not say why yet: whether it ended, or its machine did."""
        for each in [each for each, of in self._asked.items() if of == worker]:
            del self._asked[each]
        if worker not in self._doubted.values():
            self._doubted[self._actors[worker].ready.remote()] = worker

    def _died(self, worker: int, said: str) -> Died:
        import ray

        node = self._nodes.pop(worker, "")
        with suppress(Exception):  # it is gone anyhow, or else it shall be
            ray.kill(self._actors[worker])
        del self._actors[worker]
        for waiting in (self._coming, self._asked, self._doubted):
            for each in [each for each, of in waiting.items() if of == worker]:
                del waiting[each]
        if self._pulse.is_dead(node) or any(words in said for words in NODE_LOST):
            return Died(worker, "its machine is lost", blames=False)
        return Died(worker, "out of memory" if OVER_MEMORY in said else "it was killed, or crashed")

    def close(self) -> None:
        """As `Crew.close`."""
        import ray

        actors = list(self._actors.values())
        for known in (self._actors, self._nodes, self._coming, self._asked, self._doubted):
            known.clear()
        for actor in actors:
            with suppress(Exception):  # of a cluster that is lost nothing is left to end
                ray.kill(actor)
