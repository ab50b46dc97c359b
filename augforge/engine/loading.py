"""Says which models a stage loads, and how large they are, while it loads them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from augforge.models import find_model
from augforge.models.sizes import size_of
from augforge.progress import Progress, named
from augforge.stages.stage import Stage


def loading(stage: Stage, progress: Progress) -> AbstractContextManager[None]:
    """Tell `progress` that the models of `stage` are loaded meanwhile; nothing for a stage without one."""
    models = [find_model(name, task) for name, task in stage.models()]
    if not models:
        return nullcontext()
    *others, last = models
    about = ", ".join(filter(None, [size_of(last), stage.trial]))
    return progress.loading(" and ".join([*(named(m.name, size_of(m)) for m in others), last.name]), about)
