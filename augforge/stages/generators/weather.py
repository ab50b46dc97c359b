"""Weather: images as they would look in fog, rain or snow, at night, at dawn, …, by the depth of what they show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from augforge.data.ids import rng
from augforge.data.pool import Pools
from augforge.data.sample import Sample
from augforge.errors import BadImage
from augforge.optional import require
from augforge.stages.generator import GeneratedImage, GenerationInput, LoadedGenerator, SampledParams
from augforge.stages.generators.sized import SizedOperator
from augforge.stages.stage import Share, Task, words_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.algorithms.geometry import Geometry
    from augforge.models.depth import DepthEstimator
    from augforge.models.translators import NightTranslator

DEPTH, NIGHT = "depth", "night"
KindName = Literal["fog", "rain", "snow", "night", "dawn", "dusk", "glare", "motion-blur"]


class Weather(SizedOperator):
    """Put images into other weather or light, by the depth of what they show; their annotations stay.

    Fog is the law of Koschmieder, I = J t + A (1 - t) with t = exp(-beta d); rain and snow fall at three distances, and
    are hidden by what is nearer. The depth is the companion picture `depth` of an image, else what `depth-model` sees,
    else an assumption: a gradient from 3 m at the lower border to 120 m at the upper one. Which it was is recorded. A
    night is a plain darkening, unless `model` names a translator of `train night`. (After *Robust-Depth*, Saunders et
    al., 2023.)
    """

    name: ClassVar[str] = "weather"
    made_with: ClassVar[tuple[str, ...]] = ("numpy", "pillow", "scipy")
    example: ClassVar[Mapping[str, Any]] = {"kind": "fog,night", "per-class": 3, "size": 32}

    kind: tuple[KindName, ...] = Field(..., description="What the weather is like: of several, each is as likely.")
    severity: Share = Field(default=1.0, description="How strong: 0 leaves the image alone, 1 is full strength.")
    depth_scale: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        description="Metres of one step of a depth picture, such as 0.001 (if absent, its largest number is `far`).",
    )
    far: float = Field(
        default=256.0, ge=10, le=100_000, description="Metres to what is furthest away, such as the sky."
    )
    depth_model: Annotated[str | None, Task("depth-estimation")] = Field(
        default=None, description="The model that sees the depth of images without a depth picture."
    )
    model: Annotated[str | None, Task("night")] = Field(
        default=None, description="A trained translator, for nights: a directory, or a recipe's."
    )

    _estimator: DepthEstimator | None = PrivateAttr(None)
    _translator: NightTranslator | None = PrivateAttr(None)

    @field_validator("kind", mode="before")
    @classmethod
    def _known_kinds(cls, kind: Any) -> tuple[str, ...]:
        from augforge.algorithms.weather import WEATHER

        if not (found := words_of(kind, tuple(WEATHER))):
            raise ValueError(f"give one or some of {', '.join(WEATHER)}")
        return found

    @model_validator(mode="after")
    def _translates_nights(self) -> Weather:
        if self.model is not None and NIGHT not in self.kind:
            raise ValueError("model is a translator for nights: add night to kind, or leave it out")
        return self

    def packages(self) -> tuple[str, ...]:
        """What the models run in, if there are any."""
        night = ("torch", "safetensors") if self.model is not None else ()
        return (*night, *(("torch", "transformers") if self.depth_model is not None else ()))

    def processes_for(self, images: int) -> int:
        """One where a model is loaded, unless more are asked for."""
        with_model = self.model is not None or self.depth_model is not None
        return self.processes or (1 if with_model else super().processes_for(images))

    def draw(self, label: str | None, parent: Sample, pools: Pools, variant: int, seed: int) -> SampledParams:
        """The kind, its parameters, and where the depth comes from."""
        from augforge.algorithms.weather import WEATHER

        random = rng(seed, "weather")
        name = self.kind[int(random.integers(len(self.kind)))]
        if name == NIGHT and self.model is not None:
            return [parent], {"variant": variant, "kind": name, "translated": self.severity}
        drawn = {"variant": variant, "kind": name, "parameters": WEATHER[name].draw(random, self.severity)}
        return [parent], {**drawn, "depth": self._depth_from(parent)} if WEATHER[name].uses_depth else drawn

    def load(self, device: str) -> LoadedGenerator:
        """Load the models, if there are any."""
        loaded = super().load(device)
        facts = dict(loaded.facts)
        if self.depth_model is not None:
            require("torch", "transformers")
            from augforge.models.depth import DepthEstimator

            self._estimator = DepthEstimator(self.depth_model, device)
            facts |= {"device": self._estimator.device, "depth-model": self._estimator.facts["model"]}
        if self.model is not None:
            require("torch")
            from augforge.models.translators import NightTranslator

            self._translator = NightTranslator(self.model, device)
            facts |= self._translator.facts
        return LoadedGenerator(loaded.generate, facts, loaded.summary, loaded.refusal)

    def operate(self, item: GenerationInput) -> GeneratedImage:
        """In the weather that was drawn."""
        from augforge.algorithms.weather import WEATHER

        drawn = item.job.sample.sampled_params
        pixels, moves = self.resized(item)
        if "translated" in drawn:
            return self.followed(item, self._night(pixels, drawn["translated"]), moves)
        depth = self._depth(item, pixels, moves) if DEPTH in drawn else None
        return self.followed(item, WEATHER[drawn["kind"]](pixels, depth, drawn["parameters"]), moves)

    def _depth_from(self, parent: Sample) -> str:
        if DEPTH in parent.pictures:
            return "picture"
        return "gradient" if self.depth_model is None else "model"

    def _depth(self, item: GenerationInput, pixels: NDArray[np.uint8], moves: Geometry) -> NDArray[np.float64]:
        """(h, w) metres, from where the row says."""
        from PIL import Image

        from augforge.algorithms.weather import gradient

        source = item.job.sample.sampled_params[DEPTH]
        if source == "picture":
            return self._pictured(item.pictures[0][DEPTH], moves)
        if source == "model" and self._estimator is not None:
            return self._estimator.depth(Image.fromarray(pixels), self.far)
        return gradient(pixels.shape[:2])

    def _pictured(self, data: bytes, moves: Geometry) -> NDArray[np.float64]:
        from augforge.algorithms.weather import metres
        from augforge.data.pictures import kind_of

        values = kind_of(DEPTH).decoded(data)
        scale = self.far / (2 ** bits_of(data) - 1) if self.depth_scale is None else self.depth_scale
        try:
            return metres(moves.apply_label(values, void=0), scale)
        except ValueError as error:
            raise BadImage(str(error)) from error

    def _night(self, pixels: NDArray[np.uint8], severity: float) -> NDArray[np.uint8] | NDArray[np.float32]:
        import numpy as np
        from PIL import Image

        if self._translator is None or severity == 0:
            return pixels
        night = self._translator.translate([Image.fromarray(pixels)])[0]
        faded: NDArray[np.float32] = (1 - severity) * pixels.astype(np.float32) / np.float32(255) + severity * night
        return faded.clip(0, 1).astype(np.float32)


def bits_of(data: bytes) -> int:
    """Bits of a number in an encoded picture: 16, or 8."""
    import io

    from PIL import Image

    with Image.open(io.BytesIO(data)) as stored:
        return 16 if stored.mode.startswith("I") else 8
