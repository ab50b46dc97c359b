"""The engine of a laptop: everything in this process; reading ahead and writing behind in threads."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Any, ClassVar

from augforge.data.bundle import Bundle
from augforge.data.parts import Parts
from augforge.engine.flow import flow
from augforge.engine.rates import timing
from augforge.engine.work import Engine, Item, Place, Refused, Work


class Local(Engine):
    """Does the work here. Rows are committed every few seconds, so that little is lost when the process is killed."""

    name: ClassVar[str] = "local"

    def run(self, work: Work[Item], items: Iterable[Item], total: int, parts: Parts | Bundle, place: Place) -> Refused:
        """As `Engine.run`."""
        if not total:
            return Refused()
        if work.workers > 1:
            with closing(_in_processes(work.workers)) as engine:
                return engine.run(work, items, total, parts, place)
        maker = place.opened() if place.opened else work.open(place.pixels, place.device, place.progress)
        dropped: dict[str, str] = {}
        unjudged: dict[str, str] = {}
        with (
            timing(work, parts, maker.facts) as count,
            place.progress.bar(work.title, total, work.counted) as bar,
            parts.writing() as writer,
        ):

            def save(done: tuple[int, Any]) -> None:
                images, made = done[0], maker.rows(done[1])
                writer.add(made.rows, made.size)
                dropped.update(made.refused.dropped)
                unjudged.update(made.refused.unjudged)
                count(images)
                bar.advance(images)

            flow(
                work.batches(items),
                lambda batch: (work.count(batch), maker.load(batch)),
                lambda loaded: (loaded[0], maker.make(loaded[1])),
                save,
                loaders=work.loaders,
                ahead=work.loaders + 2,
            )
        if text := maker.summary():
            place.progress.say(text)
        return Refused(dropped, unjudged)


def _in_processes(workers: int) -> Engine:
    from augforge.engine.engines.processes import Processes

    return Processes(workers)
