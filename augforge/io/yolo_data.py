"""`data.yaml` of a YOLO data set: the names of its classes, its splits, and the shape of its keypoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from augforge.errors import SourceError
from augforge.io.base import SPLITS

LARGEST = 1 << 20
"""Bytes of the largest file of names and splits that is read."""
USUAL = frozenset({"data", "dataset"})
"""What the data file is called mostly, in lower case."""
NAMES_FILES = ("classes.txt", "obj.names", "labels/classes.txt", "names.txt")
NO_LABELS = frozenset({"classes.txt", "names.txt", "labels.txt", "readme.txt", "notes.txt"})
"""The names, in lower case, of text files that are no label files."""


@dataclass(frozen=True, slots=True)
class YoloData:
    """What `data.yaml` says.

    `splits` has the folders and lists of each split under its key; `base` is `path`. Of keypoints: `shape` is their
    number and 2 (x, y) or 3 (x, y, visibility), `flip` the place of each in a mirror, `point_names` their names by
    class.
    """

    names: Mapping[int, str]
    splits: Mapping[str, Sequence[str]] = field(default_factory=dict)
    base: str = ""
    shape: tuple[int, int] | None = None
    flip: Sequence[int] | None = None
    point_names: Mapping[int, Sequence[str]] = field(default_factory=dict)
    file: str = ""


def is_data_file(path: Path) -> bool:
    """Whether a YAML file tells of a YOLO data set: of classes, and where a split lies, or by its name."""
    if path.suffix.lower() not in (".yaml", ".yml") or not path.is_file() or path.stat().st_size > LARGEST:
        return False
    try:
        content = _loaded(path)
    except (OSError, ValueError):
        return False
    if not {"names", "nc"} & content.keys():
        return False
    return path.stem.lower() in USUAL or any(key.lower() in SPLITS for key in content)


def read_data_file(path: Path, where: str) -> YoloData:
    """Read `data.yaml`.

    Raises:
        SourceError: it cannot be read, or something in it is of no use.
    """
    try:
        content = _loaded(path)
        return YoloData(
            names=_names(content),
            splits={key: found for key in content if key.lower() in SPLITS and (found := _texts(content[key]))},
            base=_text(content.get("path", "")),
            shape=_shape(content.get("kpt_shape")),
            flip=[int(place) for place in content["flip_idx"]] if content.get("flip_idx") else None,
            point_names=_numbered(content.get("kpt_names") or {}),
            file=path.name,
        )
    except (OSError, ValueError, TypeError) as error:
        raise SourceError(f"{where}: {path.name} cannot be read: {error}", "mend it, or leave it out") from error


def names_beside(root: Path) -> dict[int, str]:
    """The classes that a text file beside the images names, one a line; {} if there is none."""
    for name in NAMES_FILES:
        path = root / name
        if path.is_file() and path.stat().st_size <= LARGEST:
            lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
            return dict(enumerate(line.strip() for line in lines if line.strip()))
    return {}


def _loaded(path: Path) -> dict[str, Any]:
    """A YAML file whose scalars all are texts, so that a class called `no` keeps its name. ValueError if it is none."""
    import yaml

    try:
        content = yaml.load(path.read_bytes(), Loader=yaml.BaseLoader)  # makes texts, lists and dicts only
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(next(iter(str(error).splitlines()), "it is no YAML")) from error
    if not isinstance(content, dict):
        raise ValueError("it is no mapping")
    return {str(key): value for key, value in content.items()}


def _names(content: Mapping[str, Any]) -> dict[int, str]:
    """The names of the classes by number: of a list, of a mapping, or numbers where only their count is given."""
    names = content.get("names")
    if isinstance(names, list):
        return dict(enumerate(map(_text, names)))
    if isinstance(names, dict):
        return {int(number): _text(names[number]) for number in sorted(names, key=int)}
    if names:
        raise ValueError("names is neither a list nor a mapping from numbers")
    return {number: str(number) for number in range(min(int(content.get("nc") or 0), LARGEST))}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError("a name is no text")


def _texts(value: Any) -> list[str]:
    """One path or several."""
    return [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str) and text]


def _shape(value: Any) -> tuple[int, int] | None:
    if not value:
        return None
    count, each = (int(number) for number in value)
    if count < 1 or each not in (2, 3):
        raise ValueError(f"kpt_shape is {value}, not a number of points and 2 or 3")
    return count, each


def _numbered(value: Any) -> dict[int, list[str]]:
    """Lists of names by the number of a class."""
    pairs = value.items() if isinstance(value, dict) else enumerate([value])
    return {int(number): [_text(name) for name in names] for number, names in pairs if isinstance(names, list)}
