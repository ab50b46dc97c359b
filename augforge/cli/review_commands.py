"""The commands about what people decide: review, and below it merge and suggest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from augforge.cli.completion import among
from augforge.cli.options import HERE, AsJson, Folder, as_it_is

File = Annotated[
    Path | None,
    typer.Option("--file", **HERE, help="The review file; review.jsonl beside the recipe if not given."),
]
Beside = Annotated[
    Path | None,
    typer.Option("--recipe", **HERE, help="The recipe that it lies beside; that of the run if not given."),
]


def look(
    folder: Folder,
    sample: Annotated[int, typer.Option("--sample", min=1, max=1_000_000, help="How many images to look at.")] = 200,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            help="doubt: the nearest to the cut of a filter first; or random.",
            autocompletion=among("doubt", "random"),
        ),
    ] = "doubt",
    seed: Annotated[int, typer.Option("--seed", help="Of the order: the same one gives the same sample.")] = 0,
    file: File = None,
    recipe: Beside = None,
    who: Annotated[
        str | None, typer.Option("--who", help="Who decides; git's user.name if not given.", show_default=False)
    ] = None,
    pictures: Annotated[
        str,
        typer.Option(
            "--pictures",
            help="How images are shown: auto, kitty, iterm, sixel, open (another program) or path.",
            autocompletion=among("auto", "kitty", "iterm", "sixel", "open", "path"),
        ),
    ] = "auto",
    withheld: Annotated[
        bool, typer.Option("--withheld", help="Show what a safety filter flagged or never saw, too.")
    ] = False,
) -> None:
    """Look at images in the terminal and decide about them, a key each; the next time it goes on where it stopped."""
    from augforge.cli.render.review import Showing, review_in_terminal
    from augforge.engine.beside import default_who, review_file

    read = as_it_is(folder)
    chosen = {"count": sample, "by": by, "seed": seed}
    place = review_file(read, file, recipe)
    review_in_terminal(read, place, who or default_who(), chosen, Showing(pictures, withheld, recipe))


def merge(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Review files.", show_default=False)],
    out: Annotated[
        Path, typer.Option("-o", "--out", **HERE, help="The file to write; it may be one of them.", show_default=False)
    ],
    json: AsJson = False,
) -> None:
    """Make one review file of several: every line once, by time; say where people disagree."""
    from augforge.cli.render.review import show_merged
    from augforge.review.merge import merge as merge_files

    show_merged(merge_files(files, out), out, json)


def suggest(
    folder: Folder,
    file: File = None,
    recipe: Beside = None,
    precision: Annotated[
        float | None,
        typer.Option("--precision", help="The least precision; else the cut of the largest F1.", show_default=False),
    ] = None,
    json: AsJson = False,
) -> None:
    """Suggest a cut for each score filter from what people decided, and say how sure that is."""
    from augforge.cli.render.review import show_suggestions
    from augforge.engine.beside import review_file
    from augforge.review.suggest import suggest as suggest_cuts

    read = as_it_is(folder)
    show_suggestions(suggest_cuts(read, review_file(read, file, recipe), precision), json)
