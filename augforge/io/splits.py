"""Which split a path names, and which folders are of a layout and never a class."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from urllib.parse import unquote

from augforge.data.sample import is_evaluation
from augforge.errors import SourceError
from augforge.io.base import SPLITS
from augforge.remote.places import absolute_path, is_file

LAYOUT = frozenset({
    "annotations", "annotation", "data", "dataset", "gtfine", "gtcoarse", "image", "imagesets", "images", "img", "imgs",
    "jpegimages", "jpgs", "label", "labels", "leftimg8bit", "photos", "pictures", "pngs", "segmentationclass",
    "segmentationobject",
})  # fmt: skip
"""Names of folders, in lower case, by which public data sets keep images and annotations apart."""


PLAIN = frozenset({
    "data", "dataset", "image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "samples", "set",
    "split",
})  # fmt: skip
"""Words beside that of a split in the name of a folder that say nothing more, as in `val_set` and `test-images`."""


@lru_cache(4096)
def folder_split(name: str) -> str | None:
    """The split that a folder is named as: `val`, `split=val`, `val_set`, `val2017`; None for all others."""
    plain = name.lower().removeprefix("split=")
    if plain in SPLITS:
        return SPLITS[plain]
    words = [word for word in _words(plain) if word not in PLAIN and not re.fullmatch(r"(19|20)\d\d", word)]
    return SPLITS.get(words[0].removesuffix("set")) if len(words) == 1 else None


def is_split_like(name: str) -> bool:
    """Whether a folder is named as a split, be it with a number: `val`, `test1`."""
    letters = [word for word in _words(name.lower()) if not word.isdecimal()]
    return folder_split(name) is not None or (len(letters) == 1 and letters[0] in SPLITS)


def _words(name: str) -> list[str]:
    """The words and numbers in a name."""
    return re.findall(r"[^\W\d_]+|\d+", name)


def path_split(path: str) -> str | None:
    """The split that a path names: the innermost folder that is named as one, or an evaluation split as a word of the
    file's name (`val_0001.jpg`, `cat-test.png`).
    """
    *folders, file = path.split("/")
    named = next((split for name in reversed(folders) if (split := folder_split(name))), None)
    if named is not None:
        return named
    words = re.split(r"[-._ 0-9]+", file.lower())
    return next((split for word in words[:-1] if is_evaluation(split := SPLITS.get(word))), None)


def own_split(value: str) -> str | None:
    """The evaluation split that a file or folder is named as itself: `data/test`, `data/val.csv`, `data/val/all.csv`.

    Only the last folder counts: what lies in /data/test/birds need not be a test set.
    """
    path = absolute_path(value) if value else ""
    folder, file = os.path.split(path) if is_file(path) else (path, "")
    named = path_split(file) or folder_split(os.path.basename(folder))  # noqa: PTH119 - of texts
    return named if is_evaluation(named) else None


def paired_splits(names: Iterable[str]) -> tuple[str, str] | None:
    """Two of `names` that differ only in the split that a word of theirs names, and one of these is for evaluation:
    `cat_train` and `cat_val`, `train2017` and `val2017`; None where there are none.
    """
    met: dict[tuple[str, ...], dict[str, str]] = {}
    for name in names:
        words = _words(name.lower())
        named = [SPLITS[word] for word in words if word in SPLITS]
        if len(named) != 1:
            continue
        alike = met.setdefault(tuple(word for word in words if word not in SPLITS), {})
        alike.setdefault(named[0], name)
        if len(alike) > 1:
            first, second, *_ = alike.values()
            return first, second  # of two splits, one is no `train`
    return None


def no_classes(where: str, names: tuple[str, str]) -> SourceError:
    """The error of folders that would be classes and are named as splits of the same images."""
    return SourceError(
        f"{where}: the folders {names[0]} and {names[1]} are named as splits, not as classes",
        "put train, val, … at the top and the classes below them; or say `splits: false` of the source in a recipe, "
        "if they are classes",
    )


def evaluation_first(*named: str | None) -> str | None:
    """Of the splits that several things name, the first to evaluate on, else the first; None where none is named."""
    known = [split for split in named if split is not None]
    return next((split for split in known if is_evaluation(split)), next(iter(known), None))


HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


def hive_keys(path: str) -> dict[str, str | None]:
    """The keys and values that the folders of a path have in the manner of Hive: `split=val/label=a%20b/0.parquet`."""
    pairs = (name.partition("=") for name in path.split("/")[:-1] if re.match(r"[\w.-]+=", name))
    return {key: None if value == HIVE_NULL else unquote(value) for key, _, value in pairs}


def configurations(paths: Iterable[str]) -> list[str]:
    """The folders above those of splits, as `CONFIG/train/0000.parquet`, if there are several."""
    folders = (path.split("/")[:-1] for path in paths if not hive_keys(path))
    found = dict.fromkeys("/".join(names[:-1]) for names in folders if len(names) > 1 and folder_split(names[-1]))
    return [*found] if len(found) > 1 else []


def table_split(path: str, labels: Iterable[str] = ()) -> str | None:
    """The split that the path of a table tells; where several are told, one for evaluation goes first.

    In this order: a word of the file's name that is an evaluation split, the value of a Hive key (but of `labels`),
    the innermost folder of a split, a split as a word anywhere in the path.
    """
    told = list(_splits_in(path, labels))
    return evaluation_first(*told)


def _splits_in(path: str, labels: Iterable[str]) -> Iterator[str]:
    """All splits that a path tells, in the order of `table_split`."""
    *folders, file = path.split("/")
    values = [value for key, value in hive_keys(path).items() if value and key.lower() not in labels]
    exact = [split for name in reversed(folders) if (split := folder_split(name))]
    plain = [name for name in folders if "=" not in name]
    words = re.split(r"[-._ /0-9]+", "/".join([*plain, file]).lower())
    told = [path_split(file), *map(_value_split, values), *exact[:1], *map(SPLITS.get, words)]
    yield from filter(None, told)


def _value_split(value: str) -> str | None:
    """The split that the value of a key names: a usual one, or one that has a word of an evaluation split."""
    return SPLITS.get(value.lower(), value if is_evaluation(value) else None)


def no_class(where: str, root: str, inside: str, beside: Iterable[str]) -> SourceError:
    """The error of a folder, at the path `inside` below `root`, that would be a class by its place, not by its name."""
    name = inside.rpartition("/")[2]
    others = ", ".join(other for other in beside if other != name)
    if not is_split_like(name):
        return SourceError(
            f"{where}: {inside} is named as a folder of a layout, not as a class",
            f"give {root}/{inside}; or say `classes: false` of the source in a recipe, if no folder is a class",
        )
    return SourceError(
        f"{where}: the folder {inside} is named as a split" + (f", but lies beside {others}" if others else ""),
        "put train, val, … at the top and the classes below them; or say `splits: false` of the source in a recipe, "
        "if it is a class",
    )


def no_one_class(where: str, root: str, names: Sequence[str]) -> SourceError:
    """The error of folders `names` of `root` that would be classes, and hold folders of splits with folders in them."""
    several = len(names) > 1
    listed = f"{', '.join(names[:-1])} and {names[-1]}" if several else names[0]
    paths = ", ".join(f"{root}/{name}" for name in names)
    return SourceError(
        f"{where}: {listed} hold{'' if several else 's'} splits with folders in them, as data sets do, not as classes",
        f"give {'each as a source of its own: ' if several else ''}{paths}; "
        f"in a recipe with class: {names[0]}, if that is the class of all of its images",
    )
