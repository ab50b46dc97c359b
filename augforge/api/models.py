"""Train a model on your own images, as `augforge train` does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from augforge.api.given import limit_of, share_of
from augforge.api.recipe import Source, sources_of
from augforge.api.shown import progress_of
from augforge.data.places import on_disk
from augforge.errors import RecipeError
from augforge.progress import Progress
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.catalog import stage_class
from augforge.stages.stage import kebab
from augforge.stages.trainer import Trainer


def train(
    name: str,
    out: str | os.PathLike[str],
    *,
    source: Source | None = None,
    resume: bool = True,
    seed: int = 0,
    device: str = "auto",
    limit: int | None = None,
    max_bad: float = 0.1,
    retry: str | None = None,
    replace: bool = False,
    progress: bool | Progress = False,
    **options: Any,
) -> Mapping[str, Any]:
    """Train a model into the directory `out`, going on from its last checkpoint.

    Args:
        name: `classifier`, `night` or `paired`.
        out: the model directory; new, empty, or of this training. Later stages take it as a model.
        source: what to learn from, as the source of a recipe. Trainers with several roles take them by name instead:
            `day=` and `night=`, or `images=` and `conditions=`, each a text, a path, or a list of these.
        resume: False trains over whatever is in `out`.
        seed: the seed of all random draws.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        limit: use only this many source images, chosen by a hash.
        max_bad: the share of unusable source images, in [0, 1], that is allowed.
        retry: "failed" reads again what could not be read before.
        replace: train over a model of another training in `out`, which is refused otherwise.
        progress: True for lines on stderr that say how far it is.
        options: of the trainer, such as `steps=100`; `augforge.stage("train", name)` shows them all.

    Returns:
        What model.json holds: among others `measured` and `history`; with `out`, and `trained`, the steps trained now.

    Raises:
        AugforgeError: an option or source is wrong, or the training diverged; the last checkpoint is kept.
    """
    from augforge.engine.runners.train import train_alone

    cls = stage_class("train", name)
    if not issubclass(cls, Trainer):  # the catalog says so; for the type checker
        raise RecipeError(f"train: {name} is no trainer")
    specs = _sources(cls, source, options)
    stage = build_stage("train", name, {kebab(option): value for option, value in options.items()})
    folder = on_disk(out)
    called = stage.model_copy(update={"called": folder.resolve().name})
    return train_alone(
        Recipe(f"train-{name}", seed, specs, (called,)),
        folder,
        resume=resume,
        device=device,
        limit=limit_of(limit),
        max_bad=share_of(max_bad),
        retry=retry,
        replace=replace,
        progress=progress_of(progress),
    )


def _sources(cls: type[Trainer], source: Source | None, options: dict[str, Any]) -> tuple[SourceSpec, ...]:
    """The sources that `source` or the trainer's roles name; what names them is taken out of `options`."""
    from augforge.io import detect

    if not cls.arguments:
        if source is None:
            raise RecipeError(f"train {cls.name}: source is missing", "give source=, such as a folder of images")
        return sources_of(source)
    if source is not None:
        roles = " and ".join(f"{role}=" for role in cls.arguments)
        raise RecipeError(f"train {cls.name}: it takes no source", f"give {roles}")
    given = {role: _texts(options.pop(role, None)) for role in cls.arguments}
    return tuple(SourceSpec(*detect(text), extra) for text, extra in cls.sources_from(given))


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    return [os.fspath(one) for one in (value if isinstance(value, (list, tuple)) else [value])]
