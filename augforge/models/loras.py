"""LoRA weights as they lie on the disk: of one training of ours, or a file of anybody's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from augforge.errors import ModelError
from augforge.models.directory import RECORD, check_weights, read_record
from augforge.models.table import Model
from augforge.models.tasks import LORA_WEIGHTS, TOKEN_WEIGHTS

SET, CLASS, IMAGE = "set", "class", "image"


@dataclass(frozen=True, slots=True)
class LoraFile:
    """One LoRA: what it is of ("" for all images, a class, or the first digits of an image's digest), and its file."""

    of: str
    path: Path


@dataclass(frozen=True, slots=True)
class LoraFiles:
    """The LoRAs of one model: `per` is set, class or image; `words` is the file of new words that go with them.

    Of a training of rank 0 there are no files.
    """

    per: str
    files: tuple[LoraFile, ...]
    words: Path | None = None

    @property
    def known(self) -> frozenset[str]:
        """What there is a LoRA of."""
        return frozenset(file.of for file in self.files)


def lora_files(model: Model) -> LoraFiles:
    """The LoRAs of a local model.

    Raises:
        ModelError: there are none, they are damaged, or the model lies on a hub.
    """
    path = model.directory
    if path is None:
        raise ModelError(f"{model.name!r} lies on a hub", "it is fetched when it is loaded")
    if path.is_file():
        return LoraFiles(SET, (LoraFile("", path),))
    record = path / RECORD
    if record.is_file():
        return _ours(path, record.stat().st_mtime_ns)
    if (path / LORA_WEIGHTS).is_file():
        return LoraFiles(SET, (LoraFile("", path / LORA_WEIGHTS),))
    raise ModelError(
        f"there are no LoRA weights in {path}", f"give a directory with {LORA_WEIGHTS}, or the file itself"
    )


@lru_cache(maxsize=64)
def _ours(folder: Path, stamp: int) -> LoraFiles:
    """Those of a training; read again only when its record has changed."""
    record = read_record(folder)
    if record is None or "loras" not in record.get("facts", {}):
        raise ModelError(f"{folder} holds no LoRA", "give the directory that augforge train lora wrote")
    check_weights(folder, record)
    facts = record["facts"]
    files = tuple(LoraFile(str(each["of"]), folder / str(each["file"])) for each in facts["loras"])
    return LoraFiles(
        str(facts["per"]), files if facts.get("rank", 1) else (), folder / TOKEN_WEIGHTS if facts.get("words") else None
    )
