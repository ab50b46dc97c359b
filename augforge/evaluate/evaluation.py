"""The evaluation itself: arms, leaks, trainings, intervals, and what is written of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from augforge.data.files import named, write_atomically
from augforge.data.images import digest
from augforge.data.ledger import Ledger
from augforge.data.record import ledger_digest
from augforge.data.store import Store
from augforge.data.vectors import shared_store
from augforge.engine.at_hand import check_embedders
from augforge.engine.embedding import Embedders
from augforge.engine.ingest import known_samples
from augforge.evaluate.arms import Arm, Flags, Outcomes, arms_of
from augforge.evaluate.descent import refuse_descendants, refuse_trained_on_test
from augforge.evaluate.folder import RunFolder
from augforge.evaluate.heldout import HeldOut, read_shifts, read_test
from augforge.evaluate.leaks import refuse_leaks
from augforge.evaluate.learners import Answers, Batches, Learner
from augforge.evaluate.measures import ReferenceSets
from augforge.evaluate.probe import Embeddings
from augforge.evaluate.settings import Settings
from augforge.evaluate.tasks import task_of
from augforge.evaluate.tasks.base import Bench, Record, Task
from augforge.models.devices import check_device
from augforge.optional import require
from augforge.progress import Progress
from augforge.stages.selector import Subsampler
from augforge.stages.selectors.few_shot import FewShot
from augforge.stages.selectors.long_tail import LongTail

FORMAT = 1
FILE = "evaluation.json"


def evaluate(
    folder: Path,
    test: str,
    settings: Settings,
    *,
    test_split: str | None = None,
    shifts: str | None = None,
    device: str = "auto",
    store: Path | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> Record:
    """Train on the arms of the run in `folder`, judge by the source `test`, write `folder`/evaluation.json.

    Args:
        folder: what `augforge run` wrote.
        test: a source with images that no stage of the run has seen; `test_split` names its split.
        settings: how arms are trained and compared.
        shifts: a source of shift sets, judged by family beside the test set.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        store: where embeddings lie that runs share.
        replace: write over an evaluation with other settings or other test images; else it stays, under another name.
        progress: told how far it is.

    Returns:
        What evaluation.json holds; `docs/evaluate.md` has every field.

    Raises:
        AugforgeError: an image to train on is in the test set, was made of images of it, or passed a model that was
            trained on some; or as drawn in `augforge.errors`.
    """
    require("torch", "torchvision", "timm", who="evaluating")
    check_device(device)
    progress = progress or Progress()
    opened = RunFolder(folder)
    kept = Store(folder, progress.say, shared_store(store))
    check_embedders({settings.embedder, settings.judge or settings.embedder}, kept)
    with kept.locked():
        ledger = opened.ledger(kept, progress)
        task = task_of(settings)
        usable = task.learnable(ledger)
        say_left_out(str(folder), ledger, usable, task, progress)
        outcomes = Outcomes(ledger, opened.stages(), usable)
        names = settings.arms or outcomes.differing()
        given = [read_test(test, test_split, kept, progress)]
        if shifts is not None:
            given.append(read_shifts(shifts, kept, progress))
        if settings.queries is not None:
            given.append(read_test(settings.queries, settings.queries_split, kept, progress))
        held_out = [judged(task, some, ledger, progress) for some in given]
        task.checked(held_out)
        embedders = Embedders(kept, opened, device, progress)  # type: ignore[arg-type]  # it has bytes_of
        bench = Bench(opened, outcomes, settings, embedders, device, progress)
        comparisons = Comparisons(bench, task, kept)
        records = [comparisons.record(names, held_out, subsampler) for subsampler in subsamplers(settings)]
        about = {"format": FORMAT, "task": settings.task, "test": test, "tested": held_out[0].about()}
        about |= {"learner": settings.learner, "seeds": settings.seeds, "samples-sha256": ledger_digest(folder)}
        record = {**about, **records[-1], **({"runs": records} if len(records) > 1 else {})}
        record["settings"] = settings.model_dump(mode="json", by_alias=True)
        if not replace:
            keep_other(folder, test, settings, progress)
        write_atomically(folder / FILE, json.dumps(record, indent=1, ensure_ascii=False).encode())
    return record


def judged(task: Task, held_out: HeldOut, ledger: Ledger, progress: Progress) -> HeldOut:
    """Those images that can be judged by what a run's ledger knows; it says how many cannot."""
    found = task.judged(held_out, ledger.classes)
    say_fewer(held_out.source, len(held_out), len(found), task, progress)
    return found


def say_left_out(where: str, ledger: Ledger, usable: Flags, task: Task, progress: Progress) -> None:
    """Say how many of a run's kept images outside evaluation splits nothing can be learned from."""
    rows = ledger.visible()
    rows = rows[~ledger.in_evaluation(rows)]
    say_fewer(where, len(rows), int(usable[rows].sum()), task, progress)


def say_fewer(where: str, there: int, used: int, task: Task, progress: Progress) -> None:
    """Say that only `used` of `there` images have what the task needs, if so."""
    if used < there:
        progress.say(f"{where}: {there - used:,} of {there:,} images have no {task.answer}, and are left out")


def keep_other(folder: Path, test: str, settings: Settings, progress: Progress) -> None:
    """Keep an evaluation with other settings or test images that is in the folder, under another name, and say so."""
    path = folder / FILE
    try:
        content = path.read_bytes()
        there = json.loads(content)
        before = (there["test"], there["settings"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return  # none, or damaged
    if before != (test, settings.model_dump(mode="json", by_alias=True)):
        aside = path.with_name(f"evaluation-{digest(content)[:8]}.json")
        with named(aside):
            path.rename(aside)
        progress.say(f"{path} was of other settings or test images; it is now {aside.name}")


def planned_arms(folder: Path, settings: Settings) -> dict[str, int]:
    """The arms that an evaluation would train on, each with its images; nothing is read but the ledger."""
    opened = RunFolder(folder)
    ledger, _ = known_samples([opened.run], Store(folder))
    outcomes = Outcomes(ledger, opened.stages(), task_of(settings).learnable(ledger))
    arms = arms_of(outcomes, settings.arms or outcomes.differing(), subsamplers(settings)[-1])
    return {arm.name: arm.size for arm in arms}


def subsamplers(settings: Settings) -> list[Subsampler | None]:
    """What the comparisons of an evaluation leave of the real images; None for all of them."""
    if settings.imbalance is not None:
        return [LongTail(imbalance=settings.imbalance)]
    return [FewShot(shots=count) for count in settings.shots] or [None]


@dataclass(frozen=True)
class Comparisons:
    """Compares the arms of a run, with all of its real images or with fewer."""

    bench: Bench
    task: Task
    store: Store

    def record(self, names: Sequence[str], held_out: Sequence[HeldOut], subsampler: Subsampler | None) -> Record:
        """One comparison: all arms, with those of the real images that `subsampler` leaves."""
        bench = self.bench
        arms = arms_of(bench.outcomes, names, subsampler)
        rows = np.unique(np.concatenate([arm.rows for arm in arms]))
        for some in held_out:
            if not some.families:  # shift sets are made of images of the test set
                refuse_leaks(bench.ledger, rows, bench.opened, some, self.store, bench.progress)
                refuse_descendants(bench.opened, bench.ledger, rows, some, self.store, bench.progress)
                refuse_trained_on_test(bench.opened, bench.ledger, rows, some, bench.progress)
        for arm in arms:
            Batches.of(bench.settings, arm.name, (bench.ledger, arm.rows))  # refuses before anything is trained
        learner = self.task.learner(bench, arms, subsampler)
        learner.prepare(arms, held_out)
        answers = self._trained(learner, arms, held_out)
        record: Record = {} if subsampler is None else subsampler.model_dump(include={"shots", "imbalance"})
        record |= {"score": self.task.score, **self.task.results(bench, arms, held_out, answers)}
        record["metrics"] = self._measures(arms, held_out[0])
        return record

    def _measures(self, arms: Sequence[Arm], test: HeldOut) -> dict[str, float]:
        """What the made images are like, beside the test images and the real ones."""
        settings, bench = self.bench.settings, self.bench
        if not (settings.metrics and self.task.has_metrics):
            return {}
        names = (settings.embedder, settings.judge or settings.embedder)
        embeddings, judge = (Embeddings(name, bench.embedders) for name in names)
        sets = ReferenceSets(bench.ledger, bench.outcomes, settings, embeddings, judge, arms[0], test)
        return {name: round(value, 6) for name, value in sets.measures(arms).items()}

    def _trained(
        self, learner: Learner, arms: Sequence[Arm], held_out: Sequence[HeldOut]
    ) -> dict[str, list[list[Answers]]]:
        """For each arm and each of `held_out`, the answers of every seed."""
        answers: dict[str, list[list[Answers]]] = {arm.name: [[] for _ in held_out] for arm in arms}
        seeds = self.bench.settings.seeds
        with self.bench.progress.bar("train", len(arms) * seeds, "trainings") as bar:
            for seed in range(seeds):
                for arm in arms:
                    for place, given in enumerate(learner.predict(arm.drawn(seed), seed, held_out)):
                        answers[arm.name][place].append(given)
                    bar.advance()
        return answers
