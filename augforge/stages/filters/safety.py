"""Safety: drop images that a data set must not contain; fails closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field

from augforge.data.sample import OnOption
from augforge.errors import ModelError
from augforge.optional import installed, require
from augforge.stages.filter import EmbeddingFilter, PixelFilter
from augforge.stages.filters.checkers import find_checker, is_function, load_checker
from augforge.stages.stage import AsksAboutClasses, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from augforge.stages.filter_inputs import FilterInputs

CONCEPTS = (
    "an explicit photo of a naked person",
    "a pornographic picture",
    "a sexually suggestive photo",
    "a bloody, gory photo of a wounded body",
    "a photo of a violent attack",
    "a photo of a dead body",
    "a picture with a hate symbol",
)
SAFE = (
    "a photo",
    "an ordinary photo of a person",
    "a photo of an object",
    "a photo of an animal",
    "a photo of a landscape",
    "a drawing",
)


DEFAULT = "vit-b-32"
NAMED, OPEN_NSFW = "open-nsfw", "augforge.models.offline:open_nsfw_risk"
"""The checker of the model table, and its function."""


class Safety(AsksAboutClasses, EmbeddingFilter, PixelFilter):
    """Drop images nearer to an unsafe concept than to any safe one, or those that your own checker flags.

    `safety` is positive for a safe image and negative for a flagged one; by default images below 0 are dropped. With an
    image-text model it is the best cosine to a `safe` prompt minus the best to one of the `concepts`, in [-2, 2]; with
    a `checker` it is 1 - 2 * risk, in [-1, 1]. A checker is `open-nsfw` (pornography in photos), or
    `package.module:function`, importable, given an RGB image and returning a risk in [0, 1]; it may be called from
    several threads. An image is dropped as well if its checker raises or returns anything else, and such an image is
    tried again in the next run. Results of a checker are stored under its name: when you change its code, run into a
    new folder. Where neither is named and the hub cannot be reached, `open-nsfw` judges if it is installed, which is
    said.

    Check also the output of models with unlearned concepts: the published success rate of attacks on such models is up
    to 97.9 % (UnlearnDiffAtk; Zhang et al., 2024). The built-in model knows no such concept and is refused. Flagged
    images are counted in the ledger and are not in the data set; `parts/` of the run folder still holds what was
    generated.
    """

    name: ClassVar[str] = "safety"
    measures: ClassVar[tuple[str, ...]] = ("safety",)
    ways_out: ClassVar[str] = "name a full image-text model, such as vit-b-32, or a checker, such as open-nsfw"
    default_rule: ClassVar[Mapping[str, float]] = {"minimum": 0.0}
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    on: OnOption = Field(
        default="all", description="Judge all images, or only the synthetic or the real ones; a check covers all."
    )
    model: Annotated[str, Task("safety")] = Field(
        default=DEFAULT, description="An image-text model, or a checker: open-nsfw or package.module:function."
    )
    concepts: tuple[str, ...] = Field(default=CONCEPTS, min_length=1, description="What must not be shown, as prompts.")
    safe: tuple[str, ...] = Field(default=SAFE, min_length=1, description="What may be shown, as prompts.")
    checker: str | None = Field(
        default=None, description="A checker in place of the model: open-nsfw or package.module:function."
    )

    @property
    def asks_about_classes(self) -> bool:
        """It asks about concepts, whatever the classes are."""
        return False

    @property
    def function(self) -> str | None:
        """The package.module:function of the checker that judges, None where an image-text model does."""
        named = self.model if self.checker is None else self.checker
        if named == NAMED:
            return OPEN_NSFW
        return named if self.checker is not None or is_function(named) else None

    def models(self) -> list[tuple[str, str]]:
        """The image-text model, or the checker that is a model; a function is none."""
        if self.function is None:
            return [(self.model, "safety")]
        return [(NAMED, "safety")] if self.function == OPEN_NSFW else []

    def settled(self, say: Callable[[str], None]) -> Self:
        """The default model, or the checker that is installed where that model can be had from nowhere."""
        from augforge.models import MODELS
        from augforge.models.hub import is_cached, out_of_reach, repository_of

        if {"model", "checker"} & self.model_fields_set or self.models() != [(DEFAULT, "safety")]:
            return self
        here = is_cached(repository_of(MODELS[DEFAULT].location) or DEFAULT)
        if here or not (MODELS[NAMED].is_here and installed("onnxruntime")) or not (why := out_of_reach()):
            return self
        say(f"filter safety: {DEFAULT} is not on this machine, and {why}; {NAMED} judges instead, of pornography alone")
        return self.model_copy(update={"checker": NAMED})

    def check(self) -> None:
        """Refuse a checker that is not there, and a model that states what it knows: no concept is among that."""
        if self.function is None:
            self.check_known(self.concepts)
        elif self.function == OPEN_NSFW:
            from augforge.models import find_model
            from augforge.models.offline import package_file

            package_file(find_model(NAMED, "safety"))
            require("onnxruntime", who=NAMED, error=ModelError)
        else:
            find_checker(self.function)

    def measured_options(self) -> dict[str, Any]:
        """What a stored result depends on: only a checker's answers are stored."""
        return {"checker": self.function}

    @property
    def looks_at_pixels(self) -> bool:
        """Whether a checker judges."""
        return self.function is not None

    def measure(self, image: Image.Image) -> dict[str, float]:
        """1 - 2 * the checker's risk; Unjudged where it gives none."""
        from augforge.algorithms.rules import Unjudged

        if self.function is None:
            raise TypeError("without a checker, safety measures embeddings and no pixels")
        check = load_checker(self.function)
        try:
            risk = float(check(image))
        except Exception as error:  # whatever a foreign checker raises, the image goes
            raise Unjudged(f"the checker failed: {type(error).__name__}: {error}") from error
        if not 0 <= risk <= 1:
            raise Unjudged(f"the checker failed: its risk is {risk:g}, not within 0 and 1")
        return {"safety": 1 - 2 * risk}

    def compare(self, inputs: FilterInputs) -> dict[str, NDArray[np.float64]]:
        """How much nearer each image is to what may be shown than to what must not."""
        import numpy as np

        safe = inputs.images @ inputs.texts(self.safe).T
        return {"safety": (safe.max(axis=1) - self._unsafe(inputs).max(axis=1)).astype(np.float64)}

    def explain(self, inputs: FilterInputs, scores: NDArray[np.float64]) -> Sequence[str | None]:
        """Of a flagged image only that it was flagged, and for what."""
        if self.looks_at_pixels:
            words = ["flagged by the checker"] * len(inputs)
        else:
            words = [f"flagged ({self.concepts[place]})" for place in self._unsafe(inputs).argmax(axis=1)]
        return [word if score < 0 else None for word, score in zip(words, scores, strict=True)]

    def _unsafe(self, inputs: FilterInputs) -> NDArray[np.float32]:
        """(n, k) cosines to the concepts."""
        cosines: NDArray[np.float32] = inputs.images @ inputs.texts(self.concepts).T
        return cosines
