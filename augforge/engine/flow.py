"""Load ahead, work, save behind: the device never waits for decoding or for the disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
Made = TypeVar("Made")


def flow(
    items: Iterable[Item],
    load: Callable[[Item], Loaded],
    work: Callable[[Loaded], Made],
    save: Callable[[Made], None],
    *,
    ahead: int = 4,
    loaders: int = 2,
) -> None:
    """Run `save(work(load(item)))` for every item in order, with loading and saving in other threads.

    `load` runs in `loaders` threads at most `ahead` items early, `work` in the calling thread, `save` in one
    thread at most `ahead` items late. The first exception of any of them stops the flow and is raised here;
    what was made before it is saved first.
    """
    with ThreadPoolExecutor(loaders) as loading, ThreadPoolExecutor(1) as saving:
        waiting: deque[Future[Loaded]] = deque()
        unsaved: deque[Future[None]] = deque()

        def work_on_next() -> None:
            made = work(waiting.popleft().result())
            unsaved.append(saving.submit(save, made))
            while len(unsaved) > ahead:
                unsaved.popleft().result()

        try:
            for item in items:
                waiting.append(loading.submit(load, item))
                if len(waiting) > ahead:
                    work_on_next()
            while waiting:
                work_on_next()
        finally:
            for future in waiting:
                future.cancel()
        for saved in unsaved:
            saved.result()
