"""The command `augforge evaluate`, made from its settings."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from augforge.cli.options import AsJson, Device, DryRun, Folder, Replace, SharedStore, as_it_is
from augforge.cli.panels import panel_of, position
from augforge.cli.stage_options import parameter
from augforge.evaluate.settings import Settings, settings_of
from augforge.stages.stage import kebab

NONE = inspect.Parameter.empty
OWN: dict[str, tuple[Any, Any]] = {
    "folder": (Folder, NONE),
    "test": (
        Annotated[
            str,
            typer.Option("--test", metavar="SOURCE", help="Images that nothing was trained on.", show_default=False),
        ],
        NONE,
    ),
    "test_split": (
        Annotated[
            str | None,
            typer.Option("--test-split", help="This split of them; else their evaluation splits, if they have any."),
        ],
        None,
    ),
    "on_shifts": (
        Annotated[
            str | None,
            typer.Option(
                "--on-shifts",
                metavar="SOURCE",
                help="Judge by shift sets too: what generate shifts made.",
                rich_help_panel=panel_of("evaluate", "on-shifts"),
            ),
        ],
        None,
    ),
    "device": (Device, "auto"),
    "store": (SharedStore, None),
    "dry_run": (DryRun, False),
    "replace": (Replace, False),
    "json": (AsJson, False),
}
"""What the command has beside the settings, with defaults."""


def evaluate_command(**given: Any) -> None:
    """Train on real images alone and on more, and say what the difference is.

    The terminal gets the arms and what else was measured; accuracy by class, shift sets and every seed stand in
    evaluation.json of the run folder, in --json and in the report.
    """
    from augforge.cli.render.evaluation import evaluate_and_show

    own = {name: given.pop(name) for name in OWN}
    settings = settings_of({kebab(name): value for name, value in given.items() if value not in (None, [])})
    folder, test, as_json = own.pop("folder"), own.pop("test"), own.pop("json")
    evaluate_and_show(as_it_is(folder), test, settings, as_json, shifts=own.pop("on_shifts"), **own)


def _parameters() -> list[inspect.Parameter]:
    own = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in OWN.items()
    ]
    fields = [parameter("evaluate", name, info) for name, info in Settings.model_fields.items()]
    first, rest = own[:3], [*fields, *own[3:]]
    return [*first, *sorted(rest, key=lambda p: position("evaluate", kebab(p.name)))]


evaluate_command.__signature__ = inspect.Signature(_parameters())  # type: ignore[attr-defined]  # what inspect reads
evaluate_command.__annotations__ = {p.name: p.annotation for p in _parameters()}
