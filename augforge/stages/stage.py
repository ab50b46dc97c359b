"""What every stage is: typed options and one or two methods. CONTRIBUTING.md shows how to add one.

    Generator         generates images                               `sample_params` of one image, `load` the model
    PixelFilter       scores from the pixels of one image            `measure`
    EmbeddingFilter   scores from embeddings                         `compare`
    QuestionFilter    scores from a model's answers                  `question_of` a class, `load` the model
    Selector          selects a subset, looking at all images        `choose`
    Subsampler        keeps at most so many real images per class    `max_per_class`
    Captioner         says in words what images show                 `load` the model, `about` it
    Labeler           labels unlabelled images                       `decide`
    Splitter          assigns images to splits                       `assign`
    Trainer           trains a model on the images so far            `roles` of the images, `training_task`

Each kind has a module beside this one (`generator.py`, `filter.py`, ...) and a folder with its stages, one class per
file (`generators/`, `filters/`, ...); each stage has one line in `catalog.py`.
Importing a stage must not import torch, diffusers, transformers, open_clip or datasets.
"""

from __future__ import annotations

import re
from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from augforge.errors import ModelError, shortened

Share = Annotated[float, Field(ge=0.0, le=1.0)]


def _filled_by(*known: str) -> AfterValidator:
    """Refuses a template with something else in braces."""

    def check(template: str) -> str:
        unknown = set(re.findall(r"{(.*?)}", template)) - set(known)
        if unknown:
            can = " and ".join(f"{{{name}}}" for name in known)
            raise ValueError(f"{{{sorted(unknown)[0]}}} cannot be filled in; only {can} can")
        return template

    return AfterValidator(check)


Mark = TypeVar("Mark")
Prompt = Annotated[str, _filled_by("label")]
"""A text in which {label} stands for the name of a class."""
CaptionPrompt = Annotated[str, _filled_by("label", "caption")]
"""A text in which {label} stands for the name of a class, and {caption} for what a caption says of an image."""


@dataclass(frozen=True)
class Task:
    """Marks an option as the name of a model that can do `name`."""

    name: str


@dataclass(frozen=True)
class Column:
    """Marks an option as the name of a column of the sources that holds equally many numbers in every row."""


def kebab(name: str) -> str:
    """The name of an option in YAML and on the command line."""
    return name.replace("_", "-")


def words_of(given: Any, known: Sequence[str], nothing: str = "") -> tuple[str, ...]:
    """The words of a list, or of a text with commas, each once and in the order of `known`.

    `nothing` is a word that stands for none of them. ValueError at any other.
    """
    if not isinstance(given, (str, list, tuple)):
        raise ValueError(f"{given!r} is none of {', '.join(known)}")
    texts = [given] if isinstance(given, str) else given
    words = [
        stripped for text in texts for word in str(text).split(",") if (stripped := word.strip()) not in ("", nothing)
    ]
    for word in words:
        if word not in known:
            raise ValueError(f"{word!r} is none of {', '.join(known)}")
    return tuple(word for word in known if word in words)


class Stage(BaseModel, ABC):
    """The options of one step of a recipe. Unknown options are refused; YAML keys are the options' names in kebab case.

    `decision_options` names the options that only decide what to do with stored results, or how many images to
    generate: changing one of them never makes a stored result stale. `earlier_names` are what options were called
    before, which is still read. `trial` says what is done with a model after it is loaded, before it is used.
    `lists_of_models` has the options that each name several models, and the task of these.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=kebab, populate_by_name=True, allow_inf_nan=False, defer_build=True
    )

    verb: ClassVar[str]
    name: ClassVar[str]
    version: ClassVar[int] = 1
    decision_options: ClassVar[frozenset[str]] = frozenset()
    earlier_names: ClassVar[Mapping[str, str]] = {}
    example: ClassVar[Mapping[str, Any]] = {}
    trial: ClassVar[str] = ""
    lists_of_models: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, given: Any) -> Any:
        """Options of older recipes and run folders, under their present names."""
        if not isinstance(given, dict):
            return given
        return {cls.earlier_names.get(name, name): value for name, value in given.items()}

    @classmethod
    def tasks(cls) -> dict[str, str]:
        """The options that name a model, and the task it must be able to do."""
        return {name: mark.name for name, mark in _marks(cls, Task).items()}

    def models(self) -> list[tuple[str, str]]:
        """The models that the options name, each with the task that it is for."""
        named = [(getattr(self, option), task) for option, task in self.tasks().items()]
        several = [(name, task) for option, task in self.lists_of_models.items() for name in getattr(self, option)]
        return [(name, task) for name, task in [*named, *several] if name is not None]

    @classmethod
    def column_options(cls) -> list[str]:
        """The options that name a column of the sources."""
        return list(_marks(cls, Column))

    @property
    def needs_one_label(self) -> bool:
        """Whether it cannot take images with several labels or a soft label, and says so."""
        return False

    def companions(self) -> tuple[str, ...]:
        """Where more weights lie than those of its models, such as an adapter's: on a hub or on this disk."""
        return ()

    def check(self) -> None:
        """Raise RecipeError or ModelError if the options contradict each other; nothing is loaded here."""

    def packages(self) -> tuple[str, ...]:
        """The optional packages without which the stage cannot run; asked for before a run computes anything."""
        return ()

    def settled(self, say: Callable[[str], None]) -> Self:
        """The stage with defaults that depend on this machine replaced by what they come to; `say` tells what did."""
        return self

    def check_weights(self) -> None:
        """ModelError where weights beside those of `models` can be had from nowhere; asked before a run begins."""

    def idle_options(self) -> frozenset[str]:
        """Options, named as in a recipe, that change nothing as the others stand: what is stored depends on none."""
        return frozenset()

    def measured_options(self) -> dict[str, Any]:
        """The options that a stored result depends on."""
        return self._without_idle(self.model_dump(mode="json", by_alias=True, exclude=set(self.decision_options)))

    def options(self) -> dict[str, Any]:
        """Every option that is not idle, as in a recipe."""
        return self._without_idle(self.model_dump(mode="json", by_alias=True, exclude_none=True))

    def _without_idle(self, options: dict[str, Any]) -> dict[str, Any]:
        idle = self.idle_options()
        return {name: value for name, value in options.items() if name not in idle}


class AsksAboutClasses(Stage):
    """A stage that asks its `model` about classes by their names, which a small model may never have seen.

    `ways_out` says what else there is, in the hint of the error.
    """

    ways_out: ClassVar[str]

    any_class: bool = Field(
        default=False, description="Ask about classes that the model does not know, for a rehearsal."
    )

    @property
    def asks_about_classes(self) -> bool:
        """Whether it asks, with these options."""
        return True

    def check_classes(self, classes: Sequence[str]) -> None:
        """ModelError where it would ask about one of `classes` that its model does not know."""
        only = getattr(self, "of", None)
        if self.asks_about_classes:
            self.check_known(classes if only is None else [only])

    def check_known(self, names: Sequence[str]) -> None:
        """ModelError where its model states what it knows, and one of `names` is none of that."""
        from augforge.models import MODELS, unknown_classes

        model = MODELS.get(getattr(self, "model"))  # noqa: B009  # every subclass declares `model`
        if self.any_class or model is None or model.knows is None:
            return
        if unknown := unknown_classes(names, model.knows):
            names = shortened(repr(name) for name in unknown)
            raise ModelError(
                f"{self.verb} {self.name}: {model.name} does not know {names}; it is {model.about}",
                f"{self.ways_out}; or rehearse with `any-class: true` of the stage (--any-class of its command)",
            )


def check_classes(stages: Sequence[Stage], classes: Sequence[str]) -> None:
    """ModelError where `stages` would ask their models about one of `classes` that these do not know."""
    problems = []
    for stage in stages:
        if isinstance(stage, AsksAboutClasses):
            try:
                stage.check_classes(classes)
            except ModelError as problem:
                problems.append((f"{stage.verb} {stage.name}", problem))
    if problems:
        _, first = problems[0]
        others = "".join(f"; likewise {title}" for title, _ in problems[1:])
        raise ModelError(f"{first.message}{others}", first.hint)


def _marks(cls: type[BaseModel], kind: type[Mark]) -> dict[str, Mark]:
    """The marks of one kind that options carry, by the name of the option."""
    found = {name: next((m for m in f.metadata if isinstance(m, kind)), None) for name, f in cls.model_fields.items()}
    return {name: mark for name, mark in found.items() if mark is not None}
