"""The evaluation itself: arms, leaks, trainings, intervals, and what is written of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.labels import classification_metrics
from augforge.data.files import named, write_atomically
from augforge.data.images import digest
from augforge.data.ledger import Ledger
from augforge.data.store import Store
from augforge.data.vectors import shared_store
from augforge.engine.at_hand import check_embedders
from augforge.engine.embedding import Embedders
from augforge.engine.ingest import known_samples
from augforge.evaluate.arms import Arm, Outcomes, arms_of, by_rarity, class_sizes
from augforge.evaluate.descent import refuse_descendants, refuse_trained_on_test
from augforge.evaluate.folder import RunFolder
from augforge.evaluate.heldout import HeldOut, read_shifts, read_test
from augforge.evaluate.intervals import interval, paired, verdict, widened
from augforge.evaluate.leaks import refuse_leaks
from augforge.evaluate.learners import Learner, Predictions
from augforge.evaluate.measures import ReferenceSets
from augforge.evaluate.network import NetworkLearner
from augforge.evaluate.probe import Embeddings, ProbeLearner
from augforge.evaluate.settings import PROBE, Settings
from augforge.models.devices import check_device, pick_device
from augforge.optional import require
from augforge.progress import Progress
from augforge.stages.selector import Subsampler
from augforge.stages.selectors.few_shot import FewShot
from augforge.stages.selectors.long_tail import LongTail

FORMAT = 1
FILE = "evaluation.json"
Record = dict[str, Any]


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
        outcomes = Outcomes(ledger, opened.stages())
        names = settings.arms or outcomes.differing()
        held_out = [read_test(test, test_split, ledger.classes, kept, progress)]
        if shifts is not None:
            held_out.append(read_shifts(shifts, ledger.classes, kept, progress))
        embedders = Embedders(kept, opened, device, progress)  # type: ignore[arg-type]  # it has bytes_of
        bench = Bench(opened, ledger, outcomes, settings, embedders, kept, device, progress)
        records = [bench.record(names, held_out, subsampler) for subsampler in subsamplers(settings)]
        about = {"format": FORMAT, "test": test, "tested": held_out[0].about()}
        about |= {"learner": settings.learner, "seeds": settings.seeds}
        record = {**about, **records[-1], **({"runs": records} if len(records) > 1 else {})}
        record["settings"] = settings.model_dump(mode="json", by_alias=True)
        if not replace:
            keep_other(folder, test, settings, progress)
        write_atomically(folder / FILE, json.dumps(record, indent=1, ensure_ascii=False).encode())
    return record


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
    outcomes = Outcomes(ledger, opened.stages())
    arms = arms_of(outcomes, settings.arms or outcomes.differing(), subsamplers(settings)[-1])
    return {arm.name: arm.size for arm in arms}


def subsamplers(settings: Settings) -> list[Subsampler | None]:
    """What the comparisons of an evaluation leave of the real images; None for all of them."""
    if settings.imbalance is not None:
        return [LongTail(imbalance=settings.imbalance)]
    return [FewShot(shots=count) for count in settings.shots] or [None]


@dataclass(frozen=True)
class Bench:
    """What every comparison of one evaluation shares."""

    opened: RunFolder
    ledger: Ledger
    outcomes: Outcomes
    settings: Settings
    embedders: Embedders
    store: Store
    device: str
    progress: Progress

    def record(self, names: Sequence[str], held_out: Sequence[HeldOut], subsampler: Subsampler | None) -> Record:
        """One comparison: all arms, with those of the real images that `subsampler` leaves."""
        arms = arms_of(self.outcomes, names, subsampler)
        rows = np.unique(np.concatenate([arm.rows for arm in arms]))
        refuse_leaks(self.ledger, rows, self.opened, held_out[0], self.store, self.progress)
        refuse_descendants(self.opened, self.ledger, rows, held_out[0], self.store, self.progress)
        refuse_trained_on_test(self.opened, self.ledger, rows, held_out[0], self.progress)
        learner = self._learner(arms, subsampler)
        learner.prepare(arms, held_out)
        answers = self._trained(learner, arms, held_out)
        counts = class_sizes(self.ledger, arms[0].rows)
        classes = by_rarity(counts)
        results = Results(self.ledger.classes, classes, held_out[0].labels, [answers[arm.name][0] for arm in arms])
        record: Record = {} if subsampler is None else subsampler.model_dump(include={"shots", "imbalance"})
        record |= {"classes": classes, "counts": {label: counts[label] for label in classes}}
        record["arms"] = [
            {"name": arm.name, "images": arm.size, **results.of(number)} for number, arm in enumerate(arms)
        ]
        record["metrics"] = self._measures(arms, held_out[0]) if self.settings.metrics else {}
        if len(held_out) > 1:
            record["shifts"] = by_family(held_out[1], {arm.name: answers[arm.name][1] for arm in arms})
        return record

    def _measures(self, arms: Sequence[Arm], test: HeldOut) -> dict[str, float]:
        """What the made images are like, beside the test images and the real ones."""
        embedder = self.settings.embedder
        embeddings, judge = (Embeddings(name, self.embedders) for name in (embedder, self.settings.judge or embedder))
        real = arms[0]
        measured = ReferenceSets(self.ledger, self.outcomes, self.settings, embeddings, judge, real, test).measures(
            arms
        )
        return {name: round(value, 6) for name, value in measured.items()}

    def _learner(self, arms: Sequence[Arm], subsampler: Subsampler | None) -> Learner:
        all_made = arms_of(
            self.outcomes, ["real", "real+synthetic"] if self.outcomes.made.any() else ["real"], subsampler
        )[-1]
        made = class_sizes(self.ledger, all_made.rows[self.outcomes.made[all_made.rows]])
        if self.settings.learner == PROBE:
            embeddings = Embeddings(self.settings.embedder, self.embedders)
            return ProbeLearner(self.ledger, embeddings, self.settings, arms[0], made, self.opened)
        device = pick_device(self.device)
        return NetworkLearner(self.ledger, self.opened, self.settings, arms[0], device, self.progress)

    def _trained(
        self, learner: Learner, arms: Sequence[Arm], held_out: Sequence[HeldOut]
    ) -> dict[str, list[list[Predictions]]]:
        """For each arm and each of `held_out`, the answers (n,) of every seed."""
        answers: dict[str, list[list[Predictions]]] = {arm.name: [[] for _ in held_out] for arm in arms}
        with self.progress.bar("train", len(arms) * self.settings.seeds, "trainings") as bar:
            for seed in range(self.settings.seeds):
                for arm in arms:
                    for place, given in enumerate(learner.predict(arm.drawn(seed), seed, held_out)):
                        answers[arm.name][place].append(given)
                    bar.advance()
        return answers


@dataclass(frozen=True)
class Results:
    """What the answers of each arm (a list over seeds of (n,)) are worth; `truth` (n,) numbers of `names`."""

    names: Sequence[str]
    order: Sequence[str]
    truth: NDArray[np.int64]
    answers: Sequence[Sequence[Predictions]]

    def of(self, number: int) -> Record:
        """Accuracy, macro-F1, accuracy per class (rare classes first) and the difference to the first arm."""
        answers = self.answers[number]
        right = np.array([given == self.truth for given in answers])
        places = {label: self.truth == self.names.index(label) for label in self.order}
        per_class = {
            label: interval(right[:, place].mean(axis=1)).plain() for label, place in places.items() if place.any()
        }
        return {
            "accuracy": interval(right.mean(axis=1)).plain(),
            "macro-f1": interval([self._macro_f1(given) for given in answers]).plain(),
            "per-class": per_class,
            "difference": self._difference(right) if number else None,
        }

    def _difference(self, right: NDArray[np.bool_]) -> Record:
        base = np.array([given == self.truth for given in self.answers[0]])
        gains = right.mean(axis=0) - base.mean(axis=0)
        found = widened(paired(right.mean(axis=1), base.mean(axis=1)), gains)
        return {"mean": found.mean, "low": found.low, "high": found.high, "verdict": verdict(found)}

    def _macro_f1(self, given: Predictions) -> float:
        truth, said = ([self.names[i] for i in labels.tolist()] for labels in (self.truth, given))
        return classification_metrics(truth, said)["macro-f1"]


def by_family(shifts: HeldOut, answers: Mapping[str, Sequence[Predictions]]) -> dict[str, dict[str, float]]:
    """The mean accuracy over seeds of every arm on every family of shifts."""
    families = np.array(shifts.families, dtype=np.str_)
    return {
        family: {
            name: float(np.mean([(seed == shifts.labels)[families == family].mean() for seed in given]))
            for name, given in answers.items()
        }
        for family in sorted(set(families.tolist()))
    }
