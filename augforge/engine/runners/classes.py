"""Run what lists attributes of classes: each list is written once, kept in the run, and told to the prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from augforge.algorithms.phrases import phrases
from augforge.data.ids import key
from augforge.data.ledger import Ledger
from augforge.data.parts import Parts
from augforge.data.store import Store
from augforge.engine.context import RunContext
from augforge.engine.loading import loading
from augforge.errors import ModelError
from augforge.models import find_model, model_key
from augforge.recipe import Recipe
from augforge.stages.captioners.classes import Classes

LISTS = pa.schema([("key", pa.string()), ("text", pa.string())])
UNSAID = "..."
"""The one entry of a list that is still to be written."""


def run_classes(stage: Classes, title: str, context: RunContext) -> dict[str, int]:
    """Have the lists written that are not there, and tell all of them to the ledger; counts both."""
    parts = list_parts(stage, context.store)
    todo = unwritten(stage, context.ledger, parts)
    if todo:
        with loading(stage, context.progress):
            model = stage.load(context.device)
        with context.progress.bar(stage.name, len(todo), "lists") as bar, parts.writing() as writer:
            for label, attribute in todo:
                text = model.write(stage.question_of(label, attribute), stage.longest)
                writer.add([{"key": key(label, attribute), "text": text}])
                bar.advance(1)
    tell_lists(stage, title, context.ledger, parts)
    count = len(context.ledger.classes) * len(stage.attributes)
    context.progress.about(f"{title}: {', '.join(stage.attributes)} of {len(context.ledger.classes):,} classes")
    return {"measured": len(todo), "reused": count - len(todo)}


def list_parts(stage: Classes, store: Store) -> Parts:
    """Where the lists lie, by class and attribute, as the model wrote them."""
    models = [model_key(find_model(name, task)) for name, task in stage.models()]
    left_out = {"attributes", *stage.tasks()}
    options = {name: value for name, value in stage.measured_options().items() if name not in left_out}
    name = key(stage.name, stage.version, options, models)
    return store.parts(f"{stage.verb}-{stage.name}-{name[:12]}", LISTS, by="key")


def unwritten(stage: Classes, ledger: Ledger, parts: Parts) -> list[tuple[str, str]]:
    """The classes and attributes of which there is no list yet."""
    wanted = [(label, attribute) for label in ledger.classes for attribute in stage.attributes]
    missing = set(parts.missing([key(*each) for each in wanted]))
    return [each for each in wanted if key(*each) in missing]


def tell_lists(stage: Classes, title: str, ledger: Ledger, parts: Parts) -> None:
    """Put the lists into the ledger; ModelError where one has no entry."""
    for attribute in stage.attributes:
        texts = [row["text"] for row in parts.rows([key(label, attribute) for label in ledger.classes], ["text"])]
        lists = {label: phrases(text, stage.count) for label, text in zip(ledger.classes, texts, strict=True)}
        if lacking := [label for label, found in lists.items() if not found]:
            problem = f"{title}: the model wrote no list of the {attribute} of {lacking[0]!r}"
            raise ModelError(problem, "ask another model, or otherwise")
        ledger.words[attribute] = lists


def foresee_lists(stage: Classes, ledger: Ledger, store: Store) -> tuple[int, int]:
    """How many lists are to be written, and how many were; the ledger has an entry for each of them after it."""
    parts = list_parts(stage, store)
    todo = unwritten(stage, ledger, parts)
    for attribute in stage.attributes:
        there = [label for label in ledger.classes if (label, attribute) not in todo]
        rows = parts.rows([key(label, attribute) for label in there], ["text"])
        lists = {label: phrases(row["text"], stage.count) for label, row in zip(there, rows, strict=True)}
        ledger.words[attribute] = {label: lists.get(label, [UNSAID]) for label in ledger.classes}
    return len(todo), len(ledger.classes) * len(stage.attributes) - len(todo)


def bring_lists(recipe: Recipe, words: Mapping[str, Mapping[str, Sequence[str]]], store: Store) -> None:
    """Put the lists of a lock, by attribute and class, where the stages of `recipe` look for those that were written.

    A list that is there already stays.
    """
    for stage in recipe.stages:
        if not isinstance(stage, Classes):
            continue
        parts = list_parts(stage, store)
        told = [(label, name) for name in stage.attributes for label in words.get(name, {})]
        missing = set(parts.missing([key(*each) for each in told]))
        rows = [
            {"key": key(label, name), "text": "\n".join(f"- {entry}" for entry in words[name][label])}
            for label, name in told
            if key(label, name) in missing
        ]
        if rows:
            parts.commit(rows)
