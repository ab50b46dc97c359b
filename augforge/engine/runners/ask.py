"""Ask a model about images: each question about each image once, and the answers stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from augforge.data.ids import key
from augforge.data.ledger import Indices, Ledger
from augforge.data.memberships import Memberships, memberships_of
from augforge.data.parts import Parts
from augforge.data.store import Store
from augforge.engine.context import RunContext
from augforge.engine.loading import loading
from augforge.engine.pixels import Located, Pixels, located
from augforge.engine.rows import decoded, drop_all
from augforge.engine.work import Made, Maker, Refused, Work
from augforge.models import find_model, model_key
from augforge.progress import Progress
from augforge.recipe.looked_at import looked_at
from augforge.stages.question_filter import QuestionFilter

ANSWERS = pa.schema([("key", pa.string()), ("score", pa.float64())])


class Question(NamedTuple):
    """A question about an image, and the key of its answer."""

    key: str
    sample: Located
    text: str


class Questions:
    """What is to be asked about the samples at `indices` (n,), and where the answers lie.

    There is a row for each image, or for each class of each where the question names the class.
    """

    def __init__(self, stage: QuestionFilter, ledger: Ledger, indices: Indices, store: Store) -> None:
        self._stage, self._ledger, self._indices = stage, ledger, indices
        self.parts = answer_parts(stage, store)
        several: Memberships | None = memberships_of(ledger, indices) if stage.asks_by_class else None
        self._several = several
        self._images = np.arange(len(indices)) if several is None else several.rows
        self._classes = ledger.class_index(indices) if several is None else several.classes

    @cached_property
    def _rows(self) -> tuple[NDArray[np.bool_], list[str], list[str]]:
        """(m,) which rows can be asked about, and of those the keys and the questions."""
        digests = self._ledger.column("digest", self._indices)
        there, texts = self._by_prompt() if self._stage.asks_by_prompt else self._by_class()
        of = [digests[image] for image in self._images[there].tolist()]
        return there, [key(digest, text) for digest, text in zip(of, texts, strict=True)], texts

    def _by_class(self) -> tuple[NDArray[np.bool_], list[str]]:
        there = (self._classes >= 0) | (not self._stage.asks_by_class)
        names = self._ledger.classes
        return there, [self._stage.question_of(names[at] if at >= 0 else None) for at in self._classes[there].tolist()]

    def _by_prompt(self) -> tuple[NDArray[np.bool_], list[str]]:
        texts = prompts_of(self._ledger, self._indices)
        return np.array([bool(text) for text in texts], dtype=bool), [text for text in texts if text]

    def todo(self) -> list[Question]:
        """The questions without an answer, each once, those with the same words side by side."""
        there, keys, texts = self._rows
        missing = set(self.parts.missing(keys))
        samples = located(self._ledger, self._indices[self._images[there]])
        rows = zip(keys, samples, texts, strict=True)
        found = {name: Question(name, sample, text) for name, sample, text in rows if name in missing}
        return sorted(found.values(), key=lambda question: (question.text, question.key))

    def scores(self) -> NDArray[np.float64]:
        """(n,) what the answers about each image come to; NaN where there is none."""
        there, keys, _ = self._rows
        answers = np.full(len(keys), np.nan)
        known = self.parts.find(keys) >= 0
        asked = [name for name, found in zip(keys, known.tolist(), strict=True) if found]
        answers[known] = self.parts.numbers(asked, "score") if asked else []
        scores = np.full(len(there), np.nan)
        scores[there] = answers
        lower = self._stage.primary_measure in self._stage.lower_is_better
        return scores if self._several is None else self._several.joined(scores, lower)


def prompts_of(ledger: Ledger, indices: Indices) -> list[str]:
    """(n,) the text that each sample was made from, or its caption; "" where there is neither."""
    samples = ledger.samples(indices)
    return [str(s.sampled_params.get("prompt") or s.annotations.get("caption") or "") for s in samples]


def ask(stage: QuestionFilter, title: str, indices: Indices, context: RunContext) -> tuple[NDArray[np.float64], int]:
    """(n,) the scores of the samples at `indices` (n,), and how many questions had to be asked.

    Images that cannot be read are dropped, and have no score.
    """
    questions = Questions(stage, context.ledger, indices, context.store)
    todo = questions.todo()
    work = Asking(stage.name, stage)
    refused = context.engine.run(work, todo, len(todo), questions.parts, context.place)
    drop_all(refused.dropped, context.drop_as(title))
    return questions.scores(), len(todo)


def unanswered(stage: QuestionFilter, ledger: Ledger, store: Store) -> int:
    """How many questions about the images of the ledger that `stage` looks at have no answer yet."""
    return len(Questions(stage, ledger, looked_at(stage, ledger), store).todo())


def answer_parts(stage: QuestionFilter, store: Store) -> Parts:
    """Where the answers lie, by image and question: neither the question nor the rule is part of the folder's name."""
    models = [model_key(find_model(name, task)) for name, task in stage.models()]
    left_out = {"question", "prompt", *stage.tasks()}
    options = {name: value for name, value in stage.measured_options().items() if name not in left_out}
    name = key(stage.name, stage.version, options, models, stage.primary_measure)
    return store.parts(f"filter-{stage.name}-{name[:12]}", ANSWERS, by="key")


@dataclass(frozen=True)
class Asking(Work[Question]):
    """Asks about images."""

    title: str
    stage: QuestionFilter
    per_batch: int = 64
    per_unit: int = 256
    uses_device: ClassVar[bool] = True

    def open(self, pixels: Pixels, device: str, progress: Progress) -> Maker:
        """As `Work.open`."""
        return _Asker(self.stage, pixels, device, progress)

    def models(self) -> Sequence[tuple[str, str]]:
        """As `Work.models`."""
        return self.stage.models()

    def name_of(self, item: Question) -> str:
        """As `Work.name_of`."""
        return item.key

    def lost(self, items: Sequence[Question], why: str) -> Made:
        """As `Work.lost`: the images are dropped."""
        return Made([], refused=Refused({question.sample.digest: why for question in items}))


class _Asker(Maker):
    """A filter with its model: loading decodes."""

    def __init__(self, stage: QuestionFilter, pixels: Pixels, device: str, progress: Progress) -> None:
        with loading(stage, progress):
            self._answer = stage.load(device)
        self._pixels = pixels

    def load(self, batch: Sequence[Question]) -> tuple[list[Question], Mapping[str, Any], dict[str, str]]:
        """The questions about images that can be read, those images by digest, and why the others cannot."""
        pictures, dropped = decoded([question.sample for question in batch], self._pixels)
        return [question for question in batch if question.sample.digest in pictures], pictures, dropped

    def make(self, loaded: tuple[list[Question], Mapping[str, Any], dict[str, str]]) -> Made:
        """The answers."""
        questions, pictures, dropped = loaded
        if not questions:
            return Made([], refused=Refused(dropped))
        scores = self._answer([pictures[each.sample.digest] for each in questions], [each.text for each in questions])
        rows = [{"key": each.key, "score": float(score)} for each, score in zip(questions, scores, strict=True)]
        return Made(rows, refused=Refused(dropped))

    def rows(self, made: Made) -> Made:
        """As they are."""
        return made
