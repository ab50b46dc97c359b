"""The options of `augforge evaluate`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from augforge.errors import RecipeError, did_you_mean
from augforge.stages.stage import Task, kebab

ARMS = ("real", "real+classical", "real+synthetic", "real+kept", "real+selected", "real+random")
PROBE, RESNET, TIMM = "probe", "resnet", "timm:"


class Settings(BaseModel):
    """How arms are compared. Unknown options are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=kebab, populate_by_name=True, allow_inf_nan=False, defer_build=True
    )

    arms: tuple[str, ...] = Field(
        default=(), description=f"Which arms, separated by commas: {', '.join(ARMS)}. Those that differ, if absent."
    )
    shots: tuple[int, ...] = Field(
        default=(),
        description="Use K real images per class, and what was made from them; several K separated by commas.",
    )
    imbalance: float | None = Field(
        default=None,
        ge=1,
        description="Use a long tail of the real images, as select long-tail, and what was made from them.",
    )
    learner: str = Field(default=PROBE, description="probe, resnet (small, from scratch) or timm:NAME.")
    embedder: Annotated[str, Task("image-embedding")] = Field(
        default="builtin-clip", description="The model whose embeddings the probe and the metrics see."
    )
    judge: Annotated[str | None, Task("image-embedding")] = Field(
        default=None, description="The model behind the classifier that says whether a made image is of its class."
    )
    loss: Literal["cross-entropy", "balanced-softmax"] = Field(
        default="cross-entropy",
        description="balanced-softmax makes up for classes of different size, by their real images.",
    )
    mix: Literal["none", "mixup", "cutmix", "resizemix"] = Field(
        default="none", description="Mix the images of a batch and their labels; not for the probe."
    )
    seeds: int = Field(default=5, ge=1, le=1000, description="How often each arm is trained.")
    steps: int | None = Field(
        default=None, ge=1, le=10_000_000, description="Training steps, as many for every arm (500; 1500 of a network)."
    )
    batch: int = Field(
        default=64, ge=2, le=16_384, description="Images per step; half of them real where an arm has others."
    )
    rate: float | None = Field(
        default=None, gt=0, le=10, description="Learning rate (0.01 of the probe, 0.002, 0.0003 of timm's)."
    )
    size: int = Field(default=32, ge=8, le=4096, description="Networks: side in px that images are brought to.")
    flip: bool = Field(default=True, description="Networks: mirror half of the images; not for digits.")
    weights: str | None = Field(default=None, description="timm: a safetensors file to begin from, or `pretrained`.")
    metrics: bool = Field(
        default=True, description="Measure the images themselves, too: FID, coverage, Vendi score and others."
    )

    @field_validator("arms", "shots", mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        """Words between commas, in one text or in several."""
        texts = [value] if isinstance(value, str) else value
        return tuple(word.strip() for text in texts for word in str(text).split(",") if word.strip())

    @field_validator("arms")
    @classmethod
    def _known(cls, arms: tuple[str, ...]) -> tuple[str, ...]:
        for arm in arms:
            if arm not in ARMS:
                raise ValueError(f"there is no arm {arm!r}; there are {', '.join(ARMS)}")
        if arms and "real" not in arms:
            raise ValueError("all arms are compared with the arm real: name it, too")
        return tuple(arm for arm in ARMS if arm in arms)

    @field_validator("shots")
    @classmethod
    def _rising(cls, shots: tuple[int, ...]) -> tuple[int, ...]:
        if any(count < 1 for count in shots):
            raise ValueError("at least 1 shot")
        return tuple(sorted(set(shots)))

    @field_validator("learner")
    @classmethod
    def _learner(cls, learner: str) -> str:
        if learner not in (PROBE, RESNET) and not learner.startswith(TIMM):
            raise ValueError(f"{learner!r} is none of probe, resnet and timm:NAME")
        return learner

    @field_validator("batch")
    @classmethod
    def _even(cls, batch: int) -> int:
        if batch % 2:
            raise ValueError("half a batch is real: give an even number")
        return batch


def settings_of(options: dict[str, Any]) -> Settings:
    """Checked settings from options named as on the command line; RecipeError says which one is wrong."""
    try:
        settings = Settings.model_validate(options, by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        field = Settings.model_fields.get(name.replace("-", "_"))
        about = (field.description or "") if field else did_you_mean(name, list(map(kebab, Settings.model_fields)))
        raise RecipeError(f"--{name}: {first['msg'].removeprefix('Value error, ')}", about) from error
    if settings.learner == PROBE and settings.mix != "none":
        raise RecipeError(f"--mix: the probe sees embeddings, so {settings.mix} has no pixels", "use --learner resnet")
    if settings.imbalance and settings.shots:
        raise RecipeError("--imbalance: shots are as many of every class, so they have no tail", "give one of the two")
    if settings.weights and not settings.learner.startswith(TIMM):
        raise RecipeError("--weights: only timm's networks begin from a file", "use --learner timm:NAME")
    return settings
