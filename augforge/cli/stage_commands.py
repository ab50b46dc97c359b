"""One command for every stage of the catalog, made from the options of its class: command and recipe are twins."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from augforge.cli.completion import stage_names
from augforge.cli.licences import refuse_others
from augforge.cli.options import (
    RUN,
    Address,
    AllowEmpty,
    AsJson,
    Device,
    DrawSeed,
    DryRun,
    EngineName,
    Flat,
    GpusPerWorker,
    Licence,
    Limit,
    MaxBad,
    Mixed,
    Out,
    Replace,
    Retry,
    SharedStore,
    Workers,
    Yes,
)
from augforge.cli.panels import panel_of, position
from augforge.cli.stage_options import parameter
from augforge.errors import RecipeError
from augforge.stages.catalog import stage_class
from augforge.stages.selector import Selector
from augforge.stages.stage import Stage, kebab

if TYPE_CHECKING:
    from augforge.recipe import SourceSpec

COMMON: dict[str, tuple[Any, Any]] = {
    "out": (Out, inspect.Parameter.empty),
    "seed": (DrawSeed, 0),
    "limit": (Limit, None),
    "device": (Device, "auto"),
    "max_bad": (MaxBad, 0.1),
    "licence": (Licence, None),
    "store": (SharedStore, None),
    "retry": (Retry, None),
    "allow_empty": (AllowEmpty, False),
    "dry_run": (DryRun, False),
    "replace": (Replace, False),
    "flat": (Flat, False),
    "json": (AsJson, False),
    "engine": (EngineName, "local"),
    "workers": (Workers, None),
    "address": (Address, None),
    "gpus_per_worker": (GpusPerWorker, None),
    "mixed": (Mixed, False),
}
"""The options that every stage has, with their defaults."""
NOT_OF_TRAINING = ("flat", "allow_empty", "engine", "workers", "address", "gpus_per_worker", "mixed")
"""A training writes no dataset, and has processes of its own."""
RESUME = Annotated[
    bool,
    typer.Option(
        "--resume/--no-resume",
        help="Go on from the last checkpoint, or train anew over what is there.",
        rich_help_panel=RUN,
    ),
]
ACCEPT = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        metavar="FILTER",
        help="A filter that new images must pass, with its options: 'clip min=0.2'.",
        autocompletion=stage_names("filter"),
        rich_help_panel=panel_of("generate", "accept"),
    ),
]
CHOICE_AGAIN = Annotated[
    bool,
    typer.Option(
        "--again",
        help="SOURCE is a finished run: make its last choice again, with these options, into --out; the run stays.",
        rich_help_panel=panel_of("select", "again"),
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
REHEARSED = frozenset(
    {"steps", "size", "width", "blocks", "downs", "scales", "day", "night", "levels", "timesteps", "batch"}
)
"""Options whose values in a stage's `example` make a rehearsal quick, and nothing that one would want."""
EXAMPLES = {
    ("generate", "controlled"): "--model builtin-sd --controlnet builtin-controlnet --control edges --per-class 20",
    ("generate", "augmented-conditioning"): "--per-class 20 --mode embed-cutmix-dropout",
    ("generate", "outpaint"): "--model builtin-sd --per-class 2",
    ("generate", "latent-shift"): "--model builtin-sd --per-class 2",
    ("generate", "edges"): "--purpose validation",
    ("generate", "cross-class"): "--model builtin-sd --per-class 2 --strength 0.7",
    ("generate", "img2img"): "--model builtin-sd --per-class 2 --strength 0.5",
    ("generate", "text2img"): "--model builtin-sd --per-class 2 --templates usual",
    ("filter", "duplicates"): "--by embedding",
    ("select", "gradient-matching"): "--classifier models/classifier --share 0.3",
    ("select", "hardness"): "--teacher models/large --student models/small --share 0.5",
    ("select", "max-loss"): "--model models/classifier --share 0.5",
}
"""Options of the example in a command's help, where the stage's own `example` is made for its tests."""
SAMPLES = {"day": "photos/day", "night": "photos/night", "images": "photos", "conditions": "masks",
           "good": "photos/good", "other": "photos/other"}  # fmt: skip


def stage_command(verb: str, name: str) -> Callable[..., None]:
    """A function whose signature has an option for every option of the stage."""
    cls = stage_class(verb, name)

    def command(**given: Any) -> None:
        from augforge.engine.limits import check_asked
        from augforge.models.devices import check_device_name
        from augforge.stages.trainer import Trainer

        trainer = cls if issubclass(cls, Trainer) else None
        resume = given.pop("resume", True)
        filters = [_filter(text) for text in given.pop("accept", None) or ()]
        common = {key: given.pop(key) for key in (*COMMON, "yes") if key in given}
        again = given.pop("again", False)
        named = _named(trainer, given)
        options = {kebab(key): value for key, value in given.items() if value not in (None, [])}
        stage = _stage(verb, name, options)
        refuse_others((stage, *filters), common.pop("licence"))
        check_asked([stage], common.get("yes", False))
        check_device_name(common["device"])
        if again:
            _choose_again(stage, named["sources"], **common)
            return
        specs = _sources(trainer, named)
        if trainer is None:
            _run((stage, *filters), specs, **common)
        else:
            _train(stage, specs, resume, **common)

    parameters = _parameters(cls)
    command.__doc__ = cls.__doc__
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what inspect reads
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def stage_example(verb: str, name: str, words: str) -> str:
    """A whole command that begins with `words`, from the `example` of the stage's class."""
    cls = stage_class(verb, name)
    arguments = [f"--{kebab(key)} {SAMPLES.get(key, key)}" for key in _arguments(cls)] or [_source(cls)]
    options = EXAMPLES.get((verb, name), " ".join(_usual(cls)))
    required = [
        f"--{kebab(key)} models/{name}"
        for key, info in cls.model_fields.items()
        if info.is_required() and kebab(key) not in cls.example and f"--{kebab(key)} " not in options
    ]
    folder = "models" if verb == "train" else "runs"
    return " ".join(filter(None, [words, *arguments, *required, options, f"--out {folder}/{name}"]))


def _source(cls: type[Stage]) -> str:
    """What the example of a stage takes: a run where it only looks at generated images."""
    looks_at = cls.model_fields.get("on")
    return "runs/img2img" if looks_at and get_args(looks_at.annotation) == ("synthetic",) else "photos"


def _usual(cls: type[Stage]) -> Iterator[str]:
    """The options of the `example` of a stage's class, but for those that only make a rehearsal quick."""
    for key, value in cls.example.items():
        if kebab(key) not in REHEARSED:
            yield from (f"--{kebab(key)} {each}" for each in (value if isinstance(value, list) else [value]))


def _parameters(cls: type[Stage]) -> list[inspect.Parameter]:
    """The sources, then the options panel by panel."""
    keyword, verb, arguments = inspect.Parameter.KEYWORD_ONLY, cls.verb, _arguments(cls)
    first = [_source_option(name, about) for name, about in arguments.items()]
    sources = [] if arguments else [inspect.Parameter("sources", keyword, annotation=SOURCES)]
    options = [
        parameter(verb, name, info)
        for name, info in cls.model_fields.items()
        if name not in arguments and not (verb == "train" and name == "called")
    ]
    if verb == "train":
        options.append(inspect.Parameter("resume", keyword, default=True, annotation=RESUME))
    if issubclass(cls, Selector):
        options.append(inspect.Parameter("again", keyword, default=False, annotation=CHOICE_AGAIN))
    if verb == "generate":
        options.append(inspect.Parameter("accept", keyword, default=None, annotation=ACCEPT))
        options.append(inspect.Parameter("yes", keyword, default=False, annotation=Yes))
    common = _common(verb)
    out, rest = common[0], [*options, *common[1:]]
    return [*sources, *first, out, *sorted(rest, key=lambda p: position(verb, kebab(p.name)))]


def _common(verb: str) -> list[inspect.Parameter]:
    """The options that all stages of a verb have."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    wanted = {name: told for name, told in COMMON.items() if verb != "train" or name not in NOT_OF_TRAINING}
    return [inspect.Parameter(name, keyword, default=d, annotation=a) for name, (a, d) in wanted.items()]


def _arguments(cls: type[Stage]) -> Mapping[str, str]:
    """The sources that have options of their own, with what they are."""
    found: Mapping[str, str] = getattr(cls, "arguments", {})
    return found


def _source_option(name: str, about: str) -> inspect.Parameter:
    annotation = Annotated[list[str] | None, typer.Option(f"--{kebab(name)}", metavar="SOURCE", help=about)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _named(trainer: Any, given: dict[str, Any]) -> dict[str, list[str]]:
    """The sources as the command line names them, by role; they are taken out of `given`."""
    names = ("sources",) if trainer is None or not trainer.arguments else trainer.arguments
    return {name: given.pop(name) or [] for name in names}


def _sources(trainer: Any, named: dict[str, list[str]]) -> tuple[SourceSpec, ...]:
    """The sources that the command line names, each of the kind that it is found to be."""
    from augforge.io import detect
    from augforge.recipe import SourceSpec

    if trainer is None or not trainer.arguments:
        return tuple(SourceSpec(*detect(source)) for source in named["sources"])
    return tuple(SourceSpec(*detect(source), options) for source, options in trainer.sources_from(named))


def _stage(verb: str, name: str, options: dict[str, Any]) -> Stage:
    from augforge.recipe import build_stage

    try:
        return build_stage(verb, name, options)
    except RecipeError as error:
        message = re.sub(r"^key '([\w-]+)' is missing", r"--\1 is missing", error.message)
        raise RecipeError(f"{verb} {name}: {message}", error.hint) from error


def _filter(text: str) -> Stage:
    """The filter that a text such as "clip min=0.2" names, on synthetic images unless it says otherwise."""
    name, *pairs = text.split() or [""]
    if loose := [pair for pair in pairs if "=" not in pair]:
        raise RecipeError(f"--accept {text!r}: {loose[0]!r} is no option", "write name=value, as in 'clip min=0.2'")
    return _stage("filter", name, {"on": "synthetic", **dict(pair.split("=", 1) for pair in pairs)})


def _run(stages: tuple[Stage, ...], specs: tuple[SourceSpec, ...], **common: Any) -> None:
    from augforge.cli.render import run as render
    from augforge.recipe import Recipe

    recipe = Recipe(f"{stages[0].verb}-{stages[0].name}", common.pop("seed"), specs, stages)
    render.run_and_show(recipe, common.pop("out"), common.pop("json"), **common)


def _choose_again(stage: Any, sources: list[str], **common: Any) -> None:
    from augforge.cli.render import run as render
    from augforge.cli.render.progress import terminal_progress
    from augforge.engine.again import bring_work, chosen_again

    if len(sources) != 1:
        raise RecipeError(f"--again takes one run, not {len(sources)} sources", "name the folder of a finished run")
    if common.pop("seed"):
        raise RecipeError("--again keeps the run's own seed", "options of the selector give another choice: --draw")
    folder, out = Path(sources[0]), common.pop("out")
    recipe = chosen_again(folder, stage)
    if not common["dry_run"]:
        bring_work(folder, out, terminal_progress())
    render.run_and_show(recipe, out, common.pop("json"), **common)


def _train(stage: Stage, specs: tuple[SourceSpec, ...], resume: bool, **common: Any) -> None:
    from augforge.cli.render import run as render
    from augforge.recipe import Recipe

    common.pop("store")  # a training embeds its own images
    out: Path = common.pop("out")
    named = stage.model_copy(update={"called": out.resolve().name})
    recipe = Recipe(f"train-{stage.name}", common.pop("seed"), specs, (named,))
    render.train_and_show(recipe, out, common.pop("json"), resume=resume, **common)
