"""Networks that carry the layout of a picture into a diffusion model: ControlNets and T2I-Adapters, and their files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augforge.errors import ModelError
from augforge.models.backends.checkpoint import digest, fetch, refuse_pickles
from augforge.models.backends.options import Options
from augforge.models.hub import failure

FILES = ["*.json", "*.safetensors"]


@dataclass(frozen=True, slots=True)
class ControlOptions(Options):
    """Options of the back-ends that follow a control picture.

    Attributes:
        control: the control network: a directory, a `.safetensors` file, or a hub id, of a repository or of a file.
        control_revision: branch, tag or commit of its hub id.
        control_mode: which of its kinds of control a "union" ControlNet of Flux gets, by its number.
    """

    control: str = ""
    control_revision: str | None = None
    control_mode: int | None = None

    def locations(self) -> tuple[str, ...]:
        """That of the control network."""
        return (self.control,) if self.control else ()


def control_options(options: Options) -> ControlOptions:
    """The options as those of a back-end with a control network; TypeError where they are others."""
    if not isinstance(options, ControlOptions):
        raise TypeError(f"it takes ControlOptions, not {type(options).__name__}")
    return options


def find_control(options: ControlOptions) -> Path:
    """The local directory or file of the control network; ModelError where it cannot be had or is pickled."""
    location = options.control
    if not location:
        raise ModelError("no control network is named", "give the directory, file or hub id of one as `control`")
    repository = location.removeprefix("hub:")
    if Path(location).exists() or repository.count("/") != 1:
        path = fetch(location, options.control_revision, options)
    else:
        path = _from_hub(repository, options.control_revision)
    refuse_pickles(path.parent if path.is_dir() else path, [path.name] if path.is_dir() else [], options)
    return path


def _from_hub(repository: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=FILES))
    except (OSError, ValueError) as error:  # huggingface_hub's errors are of these
        raise ModelError(
            f"the control network {repository!r} cannot be had from the hub: {failure(error)}",
            "is the hub in reach, and is the name right?",
        ) from error


def load_control(path: Path, usual: str, kinds: tuple[str, ...], dtype: Any, options: ControlOptions) -> Any:
    """The control network of a directory or a file.

    Args:
        path: of the directory or file.
        usual: the class of diffusers that a single file is read as, "" where none is.
        kinds: the classes that fit the model.
        dtype: the torch.dtype of the weights.
        options: variant, configuration and whether pickles may be read.

    Raises:
        ModelError: it is of another kind, for another model, or damaged.
    """
    import diffusers

    name = kind_of(path) if path.is_dir() else usual
    if name not in kinds:
        raise ModelError(
            f"the control network in {path} is a {name or 'file of weights'}, which does not fit this model",
            "give one for this model: " + " or ".join(kinds),
        )
    found = getattr(diffusers, name)
    try:
        if path.is_file():
            config = {"config": options.config} if options.config else {}
            return found.from_single_file(str(path), dtype=dtype, **config)
        kept = None if options.allow_pickle else True
        return found.from_pretrained(path, dtype=dtype, variant=options.variant, use_safetensors=kept)
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError, KeyError) as error:
        raise ModelError(f"the control network in {path} cannot be loaded: {error}", "is it complete?") from error


def kind_of(folder: Path) -> str:
    """The class of diffusers that the network in a directory was saved from; "" where it does not say."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(config.get("_class_name", "")) if isinstance(config, dict) else ""


def control_facts(options: ControlOptions, path: Path, net: Any) -> dict[str, Any]:
    """What provenance records of a control network."""
    return {
        "control-network": {
            "name": options.control,
            "kind": type(net).__name__,
            "revision": options.control_revision,
            "mode": options.control_mode,
            "digest": digest(path),
        }
    }
