"""What is learned in an evaluation: each task is one file here, and one line in `TASKS`."""

from __future__ import annotations

from importlib import import_module

from augforge.evaluate.settings import Settings
from augforge.evaluate.tasks.base import Task

__all__ = ["TASKS", "Task", "task_of"]

TASKS: dict[str, str] = {
    "classification": "augforge.evaluate.tasks.classification:Classification",
    "detection": "augforge.evaluate.tasks.detection:Detection",
    "multi-label": "augforge.evaluate.tasks.multi_label:MultiLabel",
    "retrieval": "augforge.evaluate.tasks.retrieval:Retrieval",
    "segmentation": "augforge.evaluate.tasks.segmentation:Segmentation",
    "soft-label": "augforge.evaluate.tasks.soft_label:SoftLabels",
}


def task_of(settings: Settings) -> Task:
    """The task that the settings name."""
    module, _, attribute = TASKS[settings.task].partition(":")
    task: Task = getattr(import_module(module), attribute)(settings)
    return task
