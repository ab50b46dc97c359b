"""Groups that build a command when it is asked for, so that help and completion load no more than they show."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from augforge.cli.commands import COMMANDS, LISTS, REVIEW, WRITES, Entry
from augforge.cli.verbosity import with_verbosity
from augforge.errors import AugforgeError, RecipeError, did_you_mean
from augforge.printable import printable
from augforge.stages.catalog import STAGES, stage_about

UsageError: Any = typer.BadParameter.__base__
"""What typer raises where it cannot understand what was typed; it has no public name."""


class Ours:
    """What our commands and groups have in common."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        from augforge.cli.help import show_help

        show_help(self, ctx)

    def get_params(self, ctx: Any) -> list[Any]:
        """All parameters. A flag that was not given is False: to read None, typer would load pydantic."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # it stands beside a command of typer
        for param in params:
            if getattr(param, "is_flag", False) and param.default is None and not param.secondary_opts:
                param.default = False
        return params


class Command(Ours, TyperCommand):
    """A command that stops what `main` did for the start."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command, with the garbage collector that `main` has stopped; its paths can be names of something."""
        from augforge.data.files import check_name

        gc.enable()
        for value in ctx.params.values():
            if isinstance(value, Path):
                check_name(value)
        return super().invoke(ctx)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """The names of options, or what else there is. Without their help, for which typer would load rich."""
        found = list(super().shell_complete(ctx, incomplete))
        for item in found:
            item.help = None
        return found


class OnlyStage(Command):
    """The command of a verb with a single stage, whose name may be typed and need not."""

    stage: str

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what is typed, without the name of the stage."""
        rest: list[str] = super().parse_args(ctx, args[1:] if args[:1] == [self.stage] else args)
        return rest


class Named(TyperCommand):
    """The name of a command and a sentence about it."""

    def get_short_help_str(self, limit: int = 45) -> str:
        """The sentence, whole."""
        return self.help or ""


class Group(Ours, TyperGroup):
    """A group whose subclass says what commands there are."""

    _named_only = False

    def listed(self, ctx: Any, name: str) -> tuple[str, str]:
        """The panel and the sentence of a command in the list of all, for which the command itself is not built."""
        raise NotImplementedError

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """The names of commands with their sentences, and of options once a dash is typed."""
        self._named_only = True
        try:
            return list(super().shell_complete(ctx, incomplete))
        finally:
            self._named_only = False

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command; while names are completed, one that only has its name and its sentence."""
        if self._named_only:
            return Named(name=cmd_name, help=self.listed(ctx, cmd_name)[1])
        return self.built(ctx, cmd_name)

    def built(self, ctx: Any, name: str) -> Any:
        """The whole command."""
        raise NotImplementedError


class StageGroup(Group):
    """A group whose commands are the stages of one verb; `words` is what is typed before the name of one."""

    verb: str
    words: str

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the verb's stages."""
        return [name for verb, name in STAGES if verb == self.verb]

    def listed(self, ctx: Any, name: str) -> tuple[str, str]:
        """The first sentence of the stage's docstring."""
        return "", stage_about(self.verb, name)

    def built(self, ctx: Any, name: str) -> Any:
        """The command of one stage; RecipeError with the likely name if there is none."""
        if (self.verb, name) not in STAGES:
            raise RecipeError(
                f"there is no {self.verb} stage called {name!r}", did_you_mean(name, self.list_commands(ctx))
            )
        return _stage(self.verb, name, name, f"{self.words} {name}")


class Root(Group):
    """The commands of COMMANDS. Our own errors become two lines and an exit code; a defect keeps its traceback."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The options before the name of a command; what typer says of completion in one line, as the help fills a
        screen."""
        params: list[Any] = super().get_params(ctx)
        for param in params:
            if param.name == "show_completion":
                param.help = "Show completion for the current shell, to copy it."
        return params

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands, panel by panel."""
        return list(COMMANDS)

    def listed(self, ctx: Any, name: str) -> tuple[str, str]:
        """The panel and the sentence of a command."""
        return COMMANDS[name].panel, COMMANDS[name].sentence

    def built(self, ctx: Any, name: str) -> Any:
        """A command; RecipeError with the likely name if there is none."""
        if name in COMMANDS:
            return build(name)
        if name.startswith("-") or ctx.resilient_parsing:
            return None
        raise RecipeError(f"there is no command {name!r}", did_you_mean(name, self.list_commands(ctx)))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what stands before the name of a command."""
        with _told():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _told():
            return super().invoke(ctx)


@contextmanager
def _told() -> Iterator[None]:
    """Tell our own errors, and those of typing, in two lines on stderr, and exit."""
    try:
        yield
    except AugforgeError as error:
        _tell(error.message, error.hint)
        sys.exit(error.exit_code)
    except UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help, which stands there already
            raise
        _tell(*_in_our_words(error))
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("\naugforge: interrupted; what was done is kept, run the same command to go on", err=True)
        sys.exit(130)


def _tell(message: str, hint: str) -> None:
    typer.echo(printable(f"augforge: {' '.join(message.splitlines())}"), err=True)
    if hint:
        typer.echo(printable(f"  {' '.join(hint.splitlines())}"), err=True)


def _in_our_words(error: Any) -> tuple[str, str]:
    """What is wrong with what was typed, after the name of the command, and the likely option or where all are."""
    words = error.ctx.command_path if error.ctx else ""
    root = error.ctx.find_root().info_name if error.ctx else ""  # "python -m augforge", where that was typed
    possible = list(getattr(error, "possibilities", None) or ())
    message = (error.message if possible else error.format_message()).rstrip(".")
    where = words.removeprefix(root or "").strip()
    told = f"{message[:1].lower()}{message[1:]}"
    named = f"{where}: {told}" if where else told
    return named, f"did you mean {possible[0]}?" if possible else f"{words} --help shows what there is"


class Lists(Group):
    """The commands of LISTS. They are no values of an argument: to check one, typer would load pydantic."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the lists."""
        return list(LISTS)

    def listed(self, ctx: Any, name: str) -> tuple[str, str]:
        """The sentence of a list."""
        return "", LISTS[name].sentence

    def built(self, ctx: Any, name: str) -> Any:
        """The command of one list; RecipeError with the likely name if there is none."""
        if name not in LISTS:
            raise RecipeError(f"there is no list of {name!r}", did_you_mean(name, list(LISTS)))
        return _function(name, LISTS[name])


class Reviews(Group):
    """The commands of REVIEW: the first one is meant where none of them is typed."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        return list(REVIEW)

    def listed(self, ctx: Any, name: str) -> tuple[str, str]:
        """The sentence of one."""
        return "", REVIEW[name].sentence

    def built(self, ctx: Any, name: str) -> Any:
        """The command of that name, None if there is none."""
        return _function(name, REVIEW[name]) if name in REVIEW else None

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what is typed; options before a folder are those of the first command."""
        begins = bool(args) and args[0].startswith("-") and args[0] not in ctx.help_option_names
        rest: list[str] = super().parse_args(ctx, [*([next(iter(REVIEW))] if begins else []), *args])
        return rest

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is typed, or the first one before a folder, and the words after its name."""
        named = args[:1] == [] or args[0] in REVIEW
        return super().resolve_command(ctx, args if named else [next(iter(REVIEW)), *args])


def build(name: str) -> Any:
    """The command or group of a line of COMMANDS."""
    entry = COMMANDS[name]
    kind, _, rest = entry.target.partition(" ")
    if kind == "lists":
        return Lists(**_group_options(name, entry))
    if kind == "review":
        return Reviews(**_group_options(name, entry))
    if kind in ("stage", "stages"):
        verb, *only = rest.split()
        return _only_stage(verb, only[0], name) if only and _has_one_stage(verb) else _stage_group(verb, name)
    return _function(name, entry)


def _has_one_stage(verb: str) -> bool:
    return sum(verb == other for other, _ in STAGES) == 1


def _stage_group(verb: str, name: str) -> StageGroup:
    group = StageGroup(**_group_options(name, COMMANDS[name]))
    group.verb, group.words = verb, f"augforge {name}"
    return group


def _only_stage(verb: str, stage: str, name: str) -> OnlyStage:
    command: OnlyStage = _stage(verb, stage, name, COMMANDS[name].example, OnlyStage)
    command.stage = stage
    return command


def _group_options(name: str, entry: Entry) -> dict[str, Any]:
    text = f"{entry.sentence}\n\nEach has its own help: augforge {name} NAME --help."
    options = {"help": text, "short_help": entry.sentence, "epilog": entry.example, "rich_help_panel": entry.panel}
    return {"name": name, "no_args_is_help": True, "rich_markup_mode": None, **options}


def _function(name: str, entry: Entry) -> Any:
    module, _, attribute = entry.target.partition(":")
    function = getattr(import_module(module), attribute)
    told = with_verbosity(function) if name in WRITES else function
    return _command(name, told, entry.example, entry.sentence, panel=entry.panel or None)


def _stage(verb: str, stage: str, name: str, words: str, cls: type[Command] = Command) -> Any:
    """The command `name` of a stage. `words` is the whole example, or what it begins with."""
    from augforge.cli.stage_commands import stage_command, stage_example

    command = with_verbosity(stage_command(verb, stage))
    if cls is OnlyStage:
        return _command(name, command, words, cls=cls, panel=COMMANDS[name].panel)
    return _command(name, command, stage_example(verb, stage, words), cls=cls)


def _command(
    name: str,
    function: Any,
    example: str,
    sentence: str | None = None,
    cls: type[Command] = Command,
    panel: str | None = None,
) -> Any:
    """The command that calls a function with typer's annotations; `panel` is where the root lists it."""
    one = typer.Typer(add_completion=False, rich_markup_mode=None)
    one.command(name=name, cls=cls, epilog=example, short_help=sentence, rich_help_panel=panel)(function)
    return typer.main.get_command(one)
