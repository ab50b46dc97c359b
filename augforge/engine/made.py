"""Which of the planned images are there already, without keeping what is planned: there may be a million."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from augforge.data.ledger import CHUNK
from augforge.data.parts import Parts
from augforge.data.sample import Sample
from augforge.engine.runners.generated import finished
from augforge.stages.generator import Job


def made_already(
    jobs: Iterator[Job], parts: Parts, name: str, made: Counter[bool], look: Callable[[Sequence[Job]], None]
) -> Iterator[Sample]:
    """Those of `jobs` whose images are there, some thousands at a time, counting in `made` who is there and who is not.

    `look` is shown all of them; `name` is that of the `parts`.
    """
    for chunk in iter(lambda: list(islice(jobs, CHUNK)), []):
        places = parts.find([job.sample.id for job in chunk])
        there = [job for job, place in zip(chunk, places, strict=True) if place >= 0]
        made[True] += len(there)
        made[False] += len(chunk) - len(there)
        look(chunk)
        yield from finished(there, parts, name)
