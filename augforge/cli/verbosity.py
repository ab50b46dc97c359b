"""How much a command says: `-q` nothing but errors and what was asked for, `-v` all that there is to say."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from augforge.cli.options import RUN
from augforge.errors import RecipeError

FLAGS: dict[str, Any] = {
    "quiet": Annotated[
        bool,
        typer.Option("-q", "--quiet", help="Say nothing but errors, and the result with --json.", rich_help_panel=RUN),
    ],
    "verbose": Annotated[
        bool,
        typer.Option(
            "-v", "--verbose", help="Say when each remark came, and every reason for a drop.", rich_help_panel=RUN
        ),
    ],
}


def with_verbosity(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function with typer's annotations that takes `quiet` and `verbose` beside the arguments of `function`."""

    def command(*, quiet: bool = False, verbose: bool = False, **given: Any) -> None:
        with saying(quiet, verbose):
            function(**given)

    own = inspect.signature(function, eval_str=True).parameters.values()
    keyword = inspect.Parameter.KEYWORD_ONLY
    flags = [inspect.Parameter(name, keyword, default=False, annotation=flag) for name, flag in FLAGS.items()]
    command.__doc__ = function.__doc__
    command.__signature__ = inspect.Signature([*own, *flags])  # type: ignore[attr-defined]  # what inspect reads
    command.__annotations__ = {p.name: p.annotation for p in (*own, *flags)}
    return command


@contextmanager
def saying(quiet: bool, verbose: bool) -> Iterator[None]:
    """Say little or much until the block ends; RecipeError where both are asked for."""
    if quiet and verbose:
        raise RecipeError("--quiet and --verbose exclude each other", "give one of them")
    if not (quiet or verbose):
        yield
        return
    from augforge.cli.render import base

    base.level.take(base.QUIET if quiet else base.VERBOSE)
    try:
        yield
    finally:
        base.level.take(base.NORMAL)
