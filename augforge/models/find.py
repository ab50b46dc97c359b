"""From what the user calls a model to its row: a name of the table, a path, a hub id, or a name of open_clip's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as short

from augforge.errors import ModelError, did_you_mean
from augforge.models.hub import open_clip_name, open_clip_weights
from augforge.models.table import MODELS, Model, names_for
from augforge.models.tasks import PIPELINES, TASKS, backends_of, classes_of

OPEN_CLIP = re.compile(r"[\w.-]+/[\w.-]+")
"""What an `arch/pretrained` of open_clip looks like."""
TRAINERS = {
    "night": "night",
    "paired": "paired",
    "classification": "classifier",
    "anomaly": "efficientad",
    "unconditional": "diffusion",
    "lora": "lora",
}
"""The trainer that makes the models of a task."""
_OPEN_CLIP_TASKS = ("image-text", "image-embedding", "safety", "preference")
_WEIGHTS_ALONE = ("score-head",)
"""Tasks whose models are a file of weights, with nothing that says what they are."""
_OF_FILES_TOO = ("edges", "lora", "control")
"""Tasks whose models may be a file of weights, too."""
_PIPELINE_TASKS = (
    *("conditioning", "text-to-image", "image-to-image", "variation", "outpainting", "autoencoder", "fine-tuning"),
    *("inpainting", "controlled"),
)
_HUB = "hub:owner/name"
_WAYS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_PIPELINE_TASKS, ("the directory of a diffusers pipeline", "a .safetensors file", _HUB)),
    **dict.fromkeys(_OPEN_CLIP_TASKS, ("a model directory", _HUB, "ARCH/PRETRAINED of open_clip")),
    "image-reward": ("the directory of ImageReward", _HUB),
    **dict.fromkeys(_WEIGHTS_ALONE, ("a .safetensors file", "a directory with one", _HUB)),
    "attention": ("the directory of a vision transformer of timm or transformers", _HUB),
    "classification": ("the directory of an image classifier of transformers or timm", _HUB),
    "control": ("the directory or .safetensors file of a ControlNet", "that of a T2I-Adapter", _HUB),
    "depth-estimation": ("the directory of a depth model of transformers", _HUB),
    "image-text-to-text": ("the directory of a vision-language model of transformers", _HUB),
    "lora": ("a .safetensors file", _HUB),
    "text-detection": ("the directory of a text detector of transformers (PP-OCR)", _HUB),
    "text-generation": ("the directory of a language model of transformers", _HUB),
}
_WAYS["safety"] += ("package.module:function",)


def find_model(name: str, task: str) -> Model:
    """The row called `name`, or one made up for a directory, a file, `hub:owner/name` or `arch/pretrained`.

    Raises:
        ModelError: no such model, or it cannot do `task`; the hint has every way to name one.
    """
    model = _trained.get(name) or MODELS.get(name) or _made_up(name, task)
    if model is None:
        raise ModelError(f"there is no model called {name!r}", _hint(name, task))
    if model.backend_for(task) is None:
        does = sorted(other for other in TASKS if model.backend_for(other))
        told = " and ".join(filter(None, [", ".join(does[:-1]), does[-1]]))
        raise ModelError(f"{model.name!r} is a model for {told}, not for {task}", ways_to_name(task))
    return model


def is_there(name: str, task: str) -> bool:
    """Whether `find_model` finds a model; one that a recipe is still to train is not there. ModelError as there."""
    return (_trained.get(name) or MODELS.get(name) or _made_up(name, task)) is not None


def ways_to_name(task: str) -> str:
    """Everything that can be given as a model for `task`, as a hint."""
    ways = list(names_for(task))
    if task in TRAINERS:
        ways += [f"the directory that `augforge train {TRAINERS[task]}` wrote", "a model that the recipe trains"]
    ways += _WAYS.get(task, () if task in TRAINERS else ("a directory or file with its weights",))
    return "give " + " or ".join(filter(None, [", ".join(ways[:-1]), ways[-1]]))


def _hint(name: str, task: str) -> str:
    return _likely(name, names_for(task)) + ways_to_name(task)


def _likely(name: str, known: list[str]) -> str:
    """The question whether a near name was meant, "" where none is near."""
    likely = did_you_mean(name, known)
    return f"{likely} Else " if likely.startswith("did you mean") else ""


_trained: dict[str, Model] = {}


@contextmanager
def trained_models(rows: Mapping[str, Model] | None = None) -> Iterator[dict[str, Model]]:
    """The models that a run trains, by name: `find_model` knows those that are put into it, as long as it is open."""
    before = dict(_trained)
    _trained.clear()
    _trained.update(rows or {})
    try:
        yield _trained
    finally:
        _trained.clear()
        _trained.update(before)


def trained_rows() -> dict[str, Model]:
    """The models that the present run has trained so far, by name."""
    return dict(_trained)


def _made_up(name: str, task: str) -> Model | None:
    path = Path(name)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:  # too long, or with a byte that no name may have
        why = error.strerror if isinstance(error, OSError) else error
        raise ModelError(f"there is no model called {short(name)}: {why}", ways_to_name(task)) from error
    if path.is_dir() or path.is_file():
        location, knows = str(path.resolve()), classes_of(path) if path.is_dir() else None
        return Model(name, _backends_at(path, task), location, "not stated", "named by the user", knows=knows)
    if name.startswith("hub:"):
        return Model(name, TASKS[task], name, "not stated", "named by the user")
    if task in _OPEN_CLIP_TASKS and OPEN_CLIP.fullmatch(name):
        return _of_open_clip(name, task)
    return None


def _backends_at(path: Path, task: str) -> tuple[str, ...]:
    """The back-ends that load what lies at a path, a file or a directory."""
    if task in _WEIGHTS_ALONE or (task in _OF_FILES_TOO and path.is_file()):
        return TASKS[task]
    return backends_of(path) if path.is_dir() else PIPELINES


def _of_open_clip(name: str, task: str) -> Model:
    """The row of an `arch/pretrained`; ModelError where the open_clip that is installed has none of that name."""
    known = open_clip_weights()
    if known and open_clip_name(name) not in known:
        hint = _likely(name, list(known)) + ways_to_name(task)
        raise ModelError(f"there is no model called {name!r}: open_clip has no weights of that name", hint)
    return Model(name, ("open_clip",), name, "not stated", "named by the user")
