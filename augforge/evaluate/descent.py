"""Leaks at second hand: images made of test images, and images that a model judged which was trained on some."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augforge.data.ledger import Indices, Ledger
from augforge.data.store import Store
from augforge.errors import AugforgeError
from augforge.evaluate.folder import RunFolder
from augforge.evaluate.heldout import HeldOut
from augforge.evaluate.leaks import find_leaks
from augforge.models.directory import DIGITS, trained_on
from augforge.progress import Progress
from augforge.provenance.chain import runs_before
from augforge.stages.generator import Generator
from augforge.stages.labeler import Labeler
from augforge.stages.selector import Selector
from augforge.stages.stage import Stage
from augforge.stages.trainer import Trainer

NAMED = 3


def refuse_descendants(
    opened: RunFolder, ledger: Ledger, rows: Indices, test: HeldOut, store: Store, progress: Progress
) -> None:
    """AugforgeError if a sample at `rows` (n,) was made of images of the test set, at whatever remove.

    Parents are followed through the ledger, and through those of the runs before where this one lacks them; a parent
    in no ledger is known by its id alone, which follows from its bytes and its label.
    """
    tree = _Ancestry(opened, ledger, rows, store, progress)
    found = tree.descendants(tree.of_test(test))
    if not found:
        return
    named = [f"{mine} is made of {theirs}" for mine, theirs in found.items()]
    raise AugforgeError(
        f"{len(found)} of {len(rows)} images to train on were made of images of the test set {test.source}: "
        + "; ".join(named[:NAMED])
        + ("; …" if len(found) > NAMED else ""),
        f"generate them again without those images: augforge filter duplicates SOURCE --against {test.source} "
        "--out DIR, then generate from DIR",
    )


class _Ancestry:
    """What the samples at `rows` of a run's ledger were made of, by ids."""

    def __init__(self, opened: RunFolder, ledger: Ledger, rows: Indices, store: Store, progress: Progress) -> None:
        self._store, self._progress = store, progress
        self._mine = dict.fromkeys(ledger.column("id", rows))
        self._children: dict[str, set[str]] = defaultdict(set)
        self._met: set[str] = set()
        self._found: list[tuple[RunFolder, Ledger, Indices]] = []
        self._unknown = self._climb(opened, ledger, self._mine)
        for folder in _runs(opened.folder) if self._unknown else ():
            earlier = RunFolder(folder)
            self._unknown = self._climb(earlier, earlier.ledger(store, progress), self._unknown)

    def _climb(self, opened: RunFolder, ledger: Ledger, ids: Iterable[str]) -> set[str]:
        """Follow `ids` up through one ledger; those that are not in it."""
        places = {identity: place for place, identity in enumerate(ledger.column("id"))}
        parents, waiting, unknown = ledger.column("parents"), list(ids), set[str]()
        here = []
        while waiting:
            identity = waiting.pop()
            if identity not in places:
                unknown.add(identity)
            elif identity not in self._met:
                self._met.add(identity)
                here.append(places[identity])
                for parent in parents[places[identity]]:
                    self._children[parent].add(identity)
                    waiting.append(parent)
        self._found.append((opened, ledger, np.array(sorted(here), dtype=np.int64)))
        return unknown

    def of_test(self, test: HeldOut) -> dict[str, str]:
        """The ancestors that are images of the test set, by id, each with what people call it."""
        known = set(test.ledger.column("id", test.rows))
        found = {identity: f"the test image {identity}" for identity in self._unknown & known}
        for opened, ledger, rows in self._found:
            ids = ledger.column("id", rows)
            above = rows[np.array([identity not in self._mine for identity in ids], dtype=bool)]
            leaks = find_leaks(ledger, above, opened, test, self._store, self._progress) if len(above) else []
            for sample in ledger.samples(np.unique(np.array([leak.row for leak in leaks], dtype=np.int64))):
                found[sample.id] = sample.source or sample.id
        return found

    def descendants(self, above: Mapping[str, str]) -> dict[str, str]:
        """Those of the samples that come from the ids `above`, each with the name of one that it comes from."""
        origin, waiting = dict(above), list(above)
        while waiting:
            identity = waiting.pop()
            for child in sorted(self._children[identity] - origin.keys()):
                origin[child] = origin[identity]
                waiting.append(child)
        return {identity: origin[identity] for identity in self._mine if identity in origin}


def _runs(folder: Path) -> Iterator[Path]:
    """The runs before the one in `folder`, nearest first, each once."""
    waiting, met = runs_before(folder), set[Path]()
    while waiting:
        step = waiting.pop(0)
        if step not in met:
            met.add(step)
            yield step
            waiting += runs_before(step)


@dataclass(frozen=True, slots=True)
class Use:
    """A stage's use of a model that lies in `folder`."""

    title: str
    stage: Stage
    folder: Path

    def rows(self, ledger: Ledger) -> NDArray[np.bool_]:
        """(n,) which samples of the ledger the model made, labelled, judged or was asked about."""
        if isinstance(self.stage, (Generator, Labeler)):
            name = "stage" if isinstance(self.stage, Generator) else "labelled_by"
            return np.array([by == self.title for by in ledger.column(name)], dtype=bool)
        on = getattr(self.stage, "on", "all")
        return np.array([on == "all" or origin == on for origin in ledger.column("origin")], dtype=bool)

    @property
    def did(self) -> str:
        """What it did with them."""
        kinds = {Generator: "generated", Labeler: "labelled", Selector: "chosen"}
        return next((word for kind, word in kinds.items() if isinstance(self.stage, kind)), "judged")


def refuse_trained_on_test(opened: RunFolder, ledger: Ledger, rows: Indices, test: HeldOut, progress: Progress) -> None:
    """AugforgeError if samples at `rows` (n,) passed a model of ours that was trained on images of the test set."""
    wanted = set(test.ledger.column("digest", test.rows))
    for use in _uses(opened):
        touched = int(use.rows(ledger)[rows].sum())
        images = trained_on(use.folder)
        if images is None and touched:
            progress.say(
                f"{use.title}: {use.folder} does not say what it was trained on, so that test images among it would "
                "not be found; train it again to know"
            )
        shared = 0 if images is None else sum(digest[:DIGITS] in images for digest in wanted)
        if shared and touched:
            raise _trained_on_test(use, f"{touched} of {len(rows)}", f"{shared} images of the test set {test.source}")


def _trained_on_test(use: Use, count: str, images: str) -> AugforgeError:
    return AugforgeError(
        f"{count} images to train on were {use.did} ({use.title}) with {use.folder}, a model that was trained on "
        f"{images}",
        "train the model without them (augforge filter duplicates drops what --against names), then run the stages "
        "again",
    )


def _uses(opened: RunFolder) -> Iterator[Use]:
    """Every use of a model that augforge trained, in the stages of the run and of those that it goes on from."""
    for title, stage, folder in opened.located_stages():
        for name, _ in () if isinstance(stage, Trainer) else stage.models():
            for model in _directories(name, folder):
                yield Use(title, stage, model)


def _directories(name: str, folder: RunFolder) -> Sequence[Path]:
    """Where a model lies that is named by its directory, or was trained by the recipe of the run in `folder`."""
    here = Path(name)
    if here.is_dir():
        return [here]
    trainers = [stage for stage in folder.recipe.stages if isinstance(stage, Trainer) and stage.called == name]
    return sorted(path for stage in trainers for path in (folder.folder / "models").glob(f"{stage.name}-*"))
