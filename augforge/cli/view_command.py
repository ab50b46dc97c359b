"""The command that serves a run to the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from augforge.cli.options import HERE, TO_WRITE, Folder, as_it_is


def view(
    folder: Folder,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="The port; 0 for any free one. Else 8421, or the next free one."),
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    read_only: Annotated[bool, typer.Option("--read-only", help="Let nothing be decided, changed or run.")] = False,
    compare: Annotated[
        Path | None, typer.Option("--compare", **TO_WRITE, help="Another run folder, to compare with.")
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe",
            **HERE,
            help="The recipe to change; that of the run if not given. With it, its sources at URLs are read, too.",
        ),
    ] = None,
    review: Annotated[
        Path | None,
        typer.Option("--review", **HERE, help="The file of decisions; review.jsonl beside the recipe if not given."),
    ] = None,
    who: Annotated[
        str | None, typer.Option("--who", help="Whose decisions they are; the name that git knows if not given.")
    ] = None,
) -> None:
    """Explore a run in the browser, and decide about its images; Ctrl-C ends it."""
    from augforge.cli.render.base import say
    from augforge.view.serve import serve, settings

    second = None if compare is None else as_it_is(compare)
    options = settings(as_it_is(folder), read_only=read_only, compare=second, recipe=recipe, review=review, who=who)
    serve(options, port, browser, say)
