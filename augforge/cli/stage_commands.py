"""One command for every stage of the catalog, made from the options of its class: command and recipe are twins."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from augforge.errors import RecipeError
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.catalog import stage_class
from augforge.stages.generator import Generator
from augforge.stages.stage import Stage, kebab
from augforge.stages.trainer import Trainer

COMMON: dict[str, Any] = {
    "out": Annotated[Path, typer.Option("--out", help="The run folder; run again into it to go on.")],
    "seed": Annotated[int, typer.Option("--seed", help="All random draws hang on it.")],
    "limit": Annotated[int | None, typer.Option("--limit", min=1, help="Use only N source images.")],
    "device": Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")],
    "max_bad": Annotated[float, typer.Option("--max-bad", min=0, max=1, help="Share of unusable images allowed.")],
    "store": Annotated[
        Path | None,
        typer.Option("--store", help="Share embeddings between runs in this folder (or set AUGFORGE_STORE)."),
    ],
    "retry": Annotated[
        str | None, typer.Option("--retry", metavar="failed", help="With `failed`: do again what failed, nothing else.")
    ],
    "json": Annotated[bool, typer.Option("--json", help="Print the result as JSON.")],
}
DEFAULTS: dict[str, Any] = {
    "seed": 0, "limit": None, "device": "auto", "max_bad": 0.1, "store": None, "retry": None, "json": False
}  # fmt: skip
RESUME = Annotated[
    bool, typer.Option("--resume/--no-resume", help="Go on from the last checkpoint, or train anew over what is there.")
]
ACCEPT = Annotated[
    list[str] | None,
    typer.Option(
        "--accept", metavar="FILTER", help="A filter that new images must pass, with its options: 'clip min=0.2'."
    ),
]
SOURCES = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE",
        help="Image folder, Hugging Face dataset, Parquet, WebDataset, COCO, run folder, hub:owner/name or sample:NAME",
        show_default=False,
    ),
]


def stage_command(verb: str, name: str) -> Callable[..., None]:
    """A function whose signature has an option for every option of the stage."""
    cls = stage_class(verb, name)
    trainer = cls if issubclass(cls, Trainer) else None

    def command(**given: Any) -> None:
        resume = given.pop("resume", True)
        filters = [_filter(text) for text in given.pop("accept", None) or ()]
        common = {key: given.pop(key) for key in COMMON}
        specs = _sources(trainer, given)
        options = {kebab(key): value for key, value in given.items() if value not in (None, [])}
        stage = _stage(verb, name, options)
        if trainer is None:
            _run((stage, *filters), specs, **common)
        else:
            _train(stage, specs, resume, **common)

    command.__doc__ = cls.__doc__
    command.__signature__ = inspect.Signature(_parameters(cls))  # type: ignore[attr-defined]  # what inspect reads
    command.__annotations__ = {p.name: p.annotation for p in _parameters(cls)}
    return command


def _parameters(cls: type[Stage]) -> list[inspect.Parameter]:
    keyword = inspect.Parameter.KEYWORD_ONLY
    trainer = cls if issubclass(cls, Trainer) else None
    arguments = trainer.arguments if trainer else {}
    parameters = [_source_option(name, about) for name, about in arguments.items()]
    if not arguments:
        parameters.append(inspect.Parameter("sources", keyword, annotation=SOURCES))
    if trainer:
        parameters.append(inspect.Parameter("resume", keyword, default=True, annotation=RESUME))
    for name, info in cls.model_fields.items():
        if name in arguments or (trainer and name == "called"):
            continue
        parameters.append(inspect.Parameter(name, keyword, default=None, annotation=option_of(name, info)))
    if issubclass(cls, Generator):
        parameters.append(inspect.Parameter("accept", keyword, default=None, annotation=ACCEPT))
    for name, annotation in COMMON.items():
        default = DEFAULTS.get(name, inspect.Parameter.empty)
        parameters.append(inspect.Parameter(name, keyword, default=default, annotation=annotation))
    return parameters


def _source_option(name: str, about: str) -> inspect.Parameter:
    annotation = Annotated[list[str] | None, typer.Option(f"--{kebab(name)}", metavar="SOURCE", help=about)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def option_of(name: str, info: FieldInfo) -> Any:
    """The option of the command line for a field, its help and default from the field."""
    flag = f"--{kebab(name)}"
    default = "" if info.default in (None, "", ()) else f" [default: {_shown(info.default)}]"
    about = f"{info.description or ''}{default}"
    if info.annotation is bool:
        return Annotated[bool | None, typer.Option(f"{flag}/--no-{kebab(name)}", help=about)]
    if get_origin(info.annotation) is tuple:
        return Annotated[list[str] | None, typer.Option(flag, metavar="TEXT", help=about)]
    return Annotated[str | None, typer.Option(flag, metavar=_metavar(info.annotation), help=about)]


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _metavar(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "|".join(map(str, get_args(annotation)))
    if get_origin(annotation) is Annotated:
        return _metavar(get_args(annotation)[0])
    if get_args(annotation):
        return "|".join(dict.fromkeys(_metavar(part) for part in get_args(annotation) if part is not type(None)))
    return {int: "N", float: "X", str: "TEXT"}.get(annotation, "VALUE")


def _sources(trainer: type[Trainer] | None, given: dict[str, Any]) -> tuple[SourceSpec, ...]:
    """The sources that the command line names; what names them is taken out of `given`."""
    from augforge.io import detect

    if trainer is None or not trainer.arguments:
        return tuple(SourceSpec(*detect(source)) for source in given.pop("sources"))
    named = {name: given.pop(name) or [] for name in trainer.arguments}
    return tuple(SourceSpec(*detect(source), options) for source, options in trainer.sources_from(named))


def _stage(verb: str, name: str, options: dict[str, Any]) -> Stage:
    try:
        return build_stage(verb, name, options)
    except RecipeError as error:
        raise RecipeError(f"{verb} {name}: {error.message}", error.hint) from error


def _filter(text: str) -> Stage:
    """The filter that a text such as "clip min=0.2" names, on synthetic images unless it says otherwise."""
    name, *pairs = text.split() or [""]
    if loose := [pair for pair in pairs if "=" not in pair]:
        raise RecipeError(f"--accept {text!r}: {loose[0]!r} is no option", "write name=value, as in 'clip min=0.2'")
    return _stage("filter", name, {"on": "synthetic", **dict(pair.split("=", 1) for pair in pairs)})


def _run(stages: tuple[Stage, ...], specs: tuple[SourceSpec, ...], **common: Any) -> None:
    from augforge.cli.render import base as render

    recipe = Recipe(f"{stages[0].verb}-{stages[0].name}", common.pop("seed"), specs, stages)
    render.run_and_show(recipe, common.pop("out"), common.pop("json"), **common)


def _train(stage: Stage, specs: tuple[SourceSpec, ...], resume: bool, **common: Any) -> None:
    from augforge.cli.render import base as render

    if not isinstance(stage, Trainer):
        raise TypeError(f"`{stage.verb}: {stage.name}` trains no model")
    common.pop("store")  # a training embeds its own images
    out: Path = common.pop("out")
    named = stage.model_copy(update={"called": out.resolve().name})
    recipe = Recipe(f"train-{stage.name}", common.pop("seed"), specs, (named,))
    render.train_and_show(recipe, out, common.pop("json"), resume=resume, **common)
