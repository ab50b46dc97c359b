"""The command line: `augforge`. What commands there are says `commands`, what each does lies in the library."""

from __future__ import annotations

import gc
from typing import Annotated

import typer

from augforge import __version__
from augforge.cli.commands import SINGLE
from augforge.cli.groups import Root

__all__ = ["SINGLE", "app", "main"]

app = typer.Typer(
    name="augforge",
    cls=Root,
    help="Synthesize and curate image datasets; every row knows where it came from.",
    epilog="augforge run recipes/quickstart.yaml --out runs/quickstart",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"augforge {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Synthesize and curate image datasets."""


def main() -> None:
    """The `augforge` command. Exit code 0: done; 2: an error to fix; 3: too many bad, or drift; 130: interrupted."""
    gc.disable()  # until a command runs (`groups.Command`): all that is loaded before stays, none of it is garbage
    try:
        app()
    finally:
        if not gc.isenabled():
            gc.freeze()  # nor is it searched at exit; both together are a quarter of the time of `--help`


if __name__ == "__main__":
    main()
