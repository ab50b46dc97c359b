"""Parts that workers elsewhere have put into the bucket, on their way into the folder of the driver."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from augforge.data.away import InBucket
from augforge.engine.engines.orders import Outcome
from augforge.errors import StoreError

AT_ONCE = 8
"""Parts that are fetched at the same time."""
WAITING = 4 * AT_ONCE
"""Outcomes that may wait for their parts: with more, the driver waits, too."""


class Arrivals:
    """Has an outcome counted when its parts are there. `run` is None where workers write no other way."""

    def __init__(self, run: InBucket | None) -> None:
        self._run, self._pool = run, ThreadPoolExecutor(AT_ONCE)
        self._coming: deque[tuple[list[Future[None]], Callable[[], None]]] = deque()

    def __enter__(self) -> Arrivals:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def expect(self, outcome: Outcome, folder: Path, count: Callable[[], None]) -> None:
        """Call `count` now or in a later `settle`, when the parts of an outcome are in the run; its first in `folder`.

        Raises:
            StoreError: its part is nowhere.
        """
        run = self._run
        if run is None or not outcome.sent:
            if run is not None and outcome.part and run.holds(folder) and not (folder / outcome.part).exists():
                raise StoreError(
                    f"the part {folder.name}/{outcome.part} is neither in {run.folder} nor in {run.url}",
                    "a worker has written it where nobody looks: run the same command to make it again",
                )
            count()
            return
        self._coming.append(([self._pool.submit(run.fetch, sent) for sent in outcome.sent], count))
        self.settle(WAITING)

    def settle(self, most: int) -> None:
        """Count, in the order of outcomes, those whose parts are there; wait until `most` are still to come, or fewer.

        Raises:
            StoreError: one of the parts is not in the bucket.
            RemoteError: the store does not answer.
        """
        while self._coming and (len(self._coming) > most or all(each.done() for each in self._coming[0][0])):
            fetched, count = self._coming.popleft()
            for each in fetched:
                each.result()
            count()
