"""The command `augforge evaluate`, made from its settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from augforge.cli.stage_commands import option_of
from augforge.evaluate.settings import Settings, settings_of
from augforge.stages.stage import kebab

OWN: dict[str, Any] = {
    "folder": Annotated[Path, typer.Argument(metavar="DIR", help="A run folder.", show_default=False)],
    "test": Annotated[
        str, typer.Option("--test", metavar="SOURCE", help="Images that nothing was trained on.", show_default=False)
    ],
    "test_split": Annotated[
        str | None,
        typer.Option("--test-split", help="This split of them; else their evaluation splits, if they have any."),
    ],
    "on_shifts": Annotated[
        str | None,
        typer.Option("--on-shifts", metavar="SOURCE", help="Judge by shift sets too: what generate shifts made."),
    ],
    "device": Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")],
    "store": Annotated[
        Path | None,
        typer.Option("--store", help="Share embeddings between runs in this folder (or set AUGFORGE_STORE)."),
    ],
    "json": Annotated[bool, typer.Option("--json", help="Print the result as JSON.")],
}
DEFAULTS = {"test_split": None, "on_shifts": None, "device": "auto", "store": None, "json": False}


def evaluate_command() -> Callable[..., None]:
    """A function whose signature has an option for every setting."""

    def command(**given: Any) -> None:
        """Train on real images alone and on more, and say what the difference is."""
        from augforge.cli.render.evaluation import evaluate_and_show

        own = {name: given.pop(name) for name in OWN}
        settings = settings_of({kebab(name): value for name, value in given.items() if value not in (None, [])})
        folder, test, as_json = own.pop("folder"), own.pop("test"), own.pop("json")
        evaluate_and_show(folder, test, settings, as_json, shifts=own.pop("on_shifts"), **own)

    parameters = _parameters()
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what inspect reads
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _parameters() -> list[inspect.Parameter]:
    keyword = inspect.Parameter.KEYWORD_ONLY
    fields = [
        inspect.Parameter(name, keyword, default=None, annotation=option_of(name, info))
        for name, info in Settings.model_fields.items()
    ]
    own = [
        inspect.Parameter(name, keyword, default=DEFAULTS.get(name, inspect.Parameter.empty), annotation=annotation)
        for name, annotation in OWN.items()
    ]
    return [*own[:4], *fields, *own[4:]]
