"""Whether the models of a run can be had: asked before its source is read, and before a library of models is imported.

A model that has already left results in the run folder is not asked for here: it may not be needed again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from augforge.data.store import Store
from augforge.data.vectors import shared_store
from augforge.engine.embedding import ADAPTERS, vectors_key
from augforge.engine.runners.ask import answer_parts
from augforge.engine.runners.caption import caption_parts
from augforge.engine.runners.classes import list_parts
from augforge.engine.runners.generate import generator_parts
from augforge.errors import ModelError
from augforge.models import find_model
from augforge.models.hub import check_at_hand
from augforge.progress import Progress
from augforge.recipe import Recipe
from augforge.stages.captioner import Captioner
from augforge.stages.captioners.classes import Classes
from augforge.stages.generator import Generator
from augforge.stages.question_filter import QuestionFilter
from augforge.stages.stage import Stage
from augforge.stages.trainer import Trainer


def with_models_at_hand(recipe: Recipe, progress: Progress) -> Recipe:
    """The recipe with every default that depends on what is at hand replaced by what it comes to, which is said."""
    stages = tuple(stage.settled(progress.say) for stage in recipe.stages)
    return recipe if stages == recipe.stages else replace(recipe, stages=stages)


def check_models(recipe: Recipe, store: Store) -> None:
    """ModelError, with the stage, where a model that has left no results in `store` can be had from nowhere."""
    trained: set[str] = set()
    for stage in recipe.stages:
        wanted = [pair for pair in stage.models() if pair[0] not in trained]
        try:
            _check_stage(stage, wanted, store, recipe.seed)
        except ModelError as error:
            raise ModelError(f"{stage.verb} {stage.name}: {error.message}", error.hint) from error
        if isinstance(stage, Trainer):
            trained.add(stage.called)


def check_embedders(names: Iterable[str], store: Store) -> None:
    """The same for models that only embed images."""
    for name in names:
        if not _has_vectors(store, name, "image-embedding"):
            check_at_hand(find_model(name, "image-embedding"), "image-embedding")


def _check_stage(stage: Stage, wanted: list[tuple[str, str]], store: Store, seed: int) -> None:
    if isinstance(stage, Trainer) and (store.folder / "models").is_dir():
        return
    if isinstance(stage, Generator) and wanted and _has_images(stage, wanted, store, seed):
        return
    if _has_words(stage, store):
        return
    for name, task in wanted:
        if task not in ADAPTERS or not _has_vectors(store, name, task):
            check_at_hand(find_model(name, task), task, revision=getattr(stage, "revision", None))
    stage.check_weights()


def _has_images(stage: Generator, wanted: list[tuple[str, str]], store: Store, seed: int) -> bool:
    """Whether the stage has made images in this folder; no, as none can know, if a model is yet to be trained."""
    return len(wanted) == len(stage.models()) and generator_parts(stage, store, seed)[1].folder.is_dir()


def _has_words(stage: Stage, store: Store) -> bool:
    """Whether a model has written or answered anything for this stage into the folder."""
    if isinstance(stage, Captioner):
        return caption_parts(stage, store).folder.is_dir()
    if isinstance(stage, Classes):
        return list_parts(stage, store).folder.is_dir()
    return isinstance(stage, QuestionFilter) and stage.asks_a_model and answer_parts(stage, store).folder.is_dir()


def _has_vectors(store: Store, name: str, task: str) -> bool:
    """Whether the model has embedded anything into this folder or the shared one, in whatever precision."""
    root: Path = shared_store(store.shared) or store.folder
    return any((root / "vectors").glob(f"{vectors_key(name, task)}*"))
