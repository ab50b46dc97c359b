"""The options of `augforge evaluate`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from augforge.errors import RecipeError, did_you_mean
from augforge.stages.stage import Task, kebab

ARMS = ("real", "real+classical", "real+synthetic", "real+kept", "real+selected", "real+random")
PROBE, RESNET, TIMM = "probe", "resnet", "timm:"
UNET, LRASPP, GEM, FCOS, SSDLITE = "unet", "lraspp", "gem", "fcos", "ssdlite"
LEARNERS = {
    "classification": (PROBE, RESNET),
    "segmentation": (UNET, LRASPP),
    "detection": (FCOS, SSDLITE),
    "retrieval": (GEM,),
    "multi-label": (PROBE, RESNET),
    "soft-label": (PROBE, RESNET),
}
"""Who learns each task, the usual one first."""
OF_TIMM = ("classification", "retrieval", "multi-label", "soft-label")
"""What networks of timm learn, too."""
USUAL: dict[str, dict[str, Any]] = {
    "classification": {},
    "segmentation": {"learner": UNET, "size": 96, "batch": 8, "metrics": False},
    "detection": {"learner": FCOS, "size": 128, "batch": 8, "metrics": False},
    "retrieval": {"learner": GEM, "size": 64, "batch": 32, "metrics": False},
    "multi-label": {"metrics": False},
    "soft-label": {"metrics": False},
}
"""What the options of a task are where they are not given, other than those of classification."""


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
    task: Literal["classification", "multi-label", "soft-label", "segmentation", "detection", "retrieval"] = Field(
        default="classification",
        description="What is learned: the class of an image, its several classes or soft label, the class of every "
        "pixel; to draw boxes around things; to find images of a class.",
    )
    learner: str = Field(
        default=PROBE,
        description="probe, resnet (small, from scratch) or timm:NAME; of segmentation: unet (small) or lraspp; of "
        "detection: fcos (small) or ssdlite; of retrieval: gem (small) or timm:NAME.",
    )
    queries: str | None = Field(
        default=None,
        description="Retrieval: a source of images that ask the test set; else each of its images asks the others.",
    )
    queries_split: str | None = Field(default=None, description="Retrieval: this split of the queries.")
    classical: Literal["randaugment", "darken"] = Field(
        default="randaugment",
        description="What the arm real+classical does to images; darken (a gamma) is the fair one beside nights.",
    )
    ignore_index: int = Field(
        default=255, ge=0, le=255, description="Segmentation: the value of a mask's pixels that do not count."
    )
    embedder: Annotated[str, Task("image-embedding")] = Field(
        default="builtin-clip", description="The model whose embeddings the probe and the metrics see."
    )
    judge: Annotated[str | None, Task("image-embedding")] = Field(
        default=None, description="The model behind the classifier that says whether a made image is of its class."
    )
    loss: Literal["cross-entropy", "balanced-softmax"] = Field(
        default="cross-entropy",
        description="balanced-softmax makes up for classes of different size, by their real images (or pixels).",
    )
    mix: Literal["none", "mixup", "cutmix", "resizemix"] = Field(
        default="none", description="Mix the images of a batch and their labels; not for the probe."
    )
    seeds: int = Field(default=5, ge=1, le=1000, description="How often each arm is trained.")
    steps: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Training steps, as many for every arm (500; 1500 of a network, 800 of segmentation).",
    )
    batch: int = Field(
        default=64,
        ge=2,
        le=16_384,
        description="Images per step (segmentation: 8); half of them real where an arm has others.",
    )
    replacement: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Add nothing, but replace each real image of a batch with this probability by one made from it.",
    )
    rate: float | None = Field(
        default=None, gt=0, le=10, description="Learning rate (0.01 of the probe, 0.002, 0.0003 of timm's)."
    )
    size: int = Field(
        default=32,
        ge=8,
        le=4096,
        description="Networks: side in px that images are brought to (segmentation: the shorter side, 96).",
    )
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
    def _learner(cls, learner: str, info: ValidationInfo) -> str:
        task = info.data.get("task", "classification")
        if learner not in LEARNERS[task] and not (task in OF_TIMM and learner.startswith(TIMM)):
            more = " and timm:NAME" if task in OF_TIMM else ""
            raise ValueError(f"{learner!r} is none of {', '.join(LEARNERS[task])}{more}, which learn {task}")
        return learner

    @field_validator("batch")
    @classmethod
    def _even(cls, batch: int) -> int:
        if batch % 2:
            raise ValueError("half a batch is real: give an even number")
        return batch


def settings_of(options: dict[str, Any]) -> Settings:
    """Checked settings from options named as on the command line; RecipeError says which one is wrong."""
    usual = USUAL.get(str(options.get("task", "classification")), {})
    try:
        settings = Settings.model_validate({**usual, **options}, by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        field = Settings.model_fields.get(name.replace("-", "_"))
        about = (field.description or "") if field else did_you_mean(name, list(map(kebab, Settings.model_fields)))
        raise RecipeError(f"--{name}: {first['msg'].removeprefix('Value error, ')}", about) from error
    _refuse_contradictions(settings)
    return settings


def _refuse_contradictions(settings: Settings) -> None:
    """RecipeError if two options do not go together."""
    for holds, message, hint in (*_about_labels(settings), *_about_tasks(settings), *_about_options(settings)):
        if holds:
            raise RecipeError(message, hint)


Contradiction = tuple[object, str, str]
"""Whether it is there, and what is said of it and what to do."""


def _about_labels(settings: Settings) -> list[Contradiction]:
    """Options that need one class for each image, or whole images."""
    whole_images = settings.task in ("classification", "multi-label", "soft-label")
    counted = "shots" if settings.shots else "imbalance"
    return [
        (
            settings.learner == PROBE and settings.mix != "none",
            f"--mix: the probe sees embeddings, so {settings.mix} has no pixels",
            "use --learner resnet",
        ),
        (
            not whole_images and settings.mix != "none",
            f"--mix: {settings.mix} mixes the labels of whole images",
            "leave it out",
        ),
        (
            settings.task != "classification" and bool(settings.shots or settings.imbalance),
            f"--{counted}: it counts images of each class, which {settings.task} does not",
            "leave it out",
        ),
    ]


def _about_tasks(settings: Settings) -> list[Contradiction]:
    """Options that other tasks have."""
    return [
        (
            settings.task in ("multi-label", "soft-label") and settings.loss != "cross-entropy",
            f"--loss: {settings.loss} makes up for the sizes of classes, and an image of {settings.task} is of several",
            "leave it out",
        ),
        (
            settings.task in ("detection", "retrieval") and settings.loss != "cross-entropy",
            f"--loss: {settings.task} has a loss of its own",
            "leave it out",
        ),
        (
            settings.queries and settings.task != "retrieval",
            f"--queries: {settings.task} judges every image of the test set by itself",
            "use --task retrieval, or leave it out",
        ),
        (
            settings.classical == "darken" and settings.task in ("segmentation", "detection"),
            f"--classical: {settings.task} has a classical arm of its own, which changes light and colours, too",
            "leave it out",
        ),
    ]


def _about_options(settings: Settings) -> list[Contradiction]:
    """Options that need or exclude each other."""
    return [
        (
            settings.queries_split and not settings.queries,
            f"--queries-split: there are no queries to take the split {settings.queries_split!r} of",
            "name them with --queries, or leave it out",
        ),
        (
            settings.imbalance and settings.shots,
            "--imbalance: shots are as many of every class, so they have no tail",
            "give one of the two",
        ),
        (
            settings.weights and not settings.learner.startswith(TIMM),
            "--weights: only timm's networks begin from a file",
            "use --learner timm:NAME",
        ),
    ]
