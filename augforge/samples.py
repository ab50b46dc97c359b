"""Small real data sets to begin with, made from what is installed anyway."""

from __future__ import annotations

import hashlib
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from augforge.errors import SourceError
from augforge.images import encode_png

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPLITS = ("train", "test")
SIDE = 32
LARGEST = 100
IMBALANCE = 10


@dataclass(frozen=True, slots=True)
class Picture:
    """One image of a sample data set: its path below the folder, its class and its encoded bytes."""

    path: str
    label: str
    data: bytes


@dataclass(frozen=True, slots=True)
class SampleSet:
    """A sample data set: one line about it, the README of its folder, and what makes the pictures of a split."""

    about: str
    readme: str
    make: Callable[[str], Iterable[Picture]]


def pictures(name: str, split: str = "train") -> list[Picture]:
    """The pictures of a sample data set, class by class and then by file name.

    Raises:
        SourceError: there is no such data set or split.
    """
    from augforge.catalog import did_you_mean

    if name not in SETS:
        raise SourceError(f"there is no sample data set called {name!r}", did_you_mean(name, list(SETS)))
    if split not in SPLITS:
        raise SourceError(f"sample {name}: there is no split {split!r}", f"it has {', '.join(SPLITS)}")
    return sorted(SETS[name].make(split), key=lambda picture: picture.path)


def write(name: str, out: Path, split: str = "train") -> None:
    """Write a sample data set as PNG files in class folders, with a README; all of it or nothing.

    A folder that already holds exactly this is left as it is.

    Raises:
        SourceError: there is no such data set or split, or `out` holds something else.
    """
    files = {picture.path: picture.data for picture in pictures(name, split)}
    files["README.md"] = SETS[name].readme.encode()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if _holds(out, files):
            return
        raise SourceError(f"{out} is not empty", "choose an empty or new folder for --out")
    fresh = out.with_name(f".{out.name}.new")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        for path, data in files.items():
            (fresh / path).parent.mkdir(parents=True, exist_ok=True)
            (fresh / path).write_bytes(data)
        fresh.replace(out)
    except OSError as error:
        raise SourceError(f"{out} cannot be written: {error.strerror}", "choose another --out") from error


def _holds(folder: Path, files: Mapping[str, bytes]) -> bool:
    if not folder.is_dir():
        return False
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
    return there.keys() == files.keys() and all(there[path].read_bytes() == data for path, data in files.items())


def _digits(split: str) -> list[Picture]:
    """scikit-learn's handwritten digits: 20 % for testing, complete; the rest for training, long-tailed."""
    classes: dict[int, list[tuple[str, int, NDArray[np.uint8]]]] = defaultdict(list)
    table = _digits_table()
    for index, (values, digit) in enumerate(zip(table[:, :64], table[:, 64], strict=True)):
        grey = (values.reshape(8, 8) * 255 / 16).round().astype("uint8")
        digest = hashlib.sha256(grey.tobytes()).hexdigest()
        if (int(digest[-4:], 16) / 16**4 < 0.2) == (split == "test"):
            classes[int(digit)].append((digest, index, grey))
    return [
        Picture(f"{digit}/digit-{index:04d}.png", str(digit), _png(grey))
        for digit, found in classes.items()
        for _, index, grey in sorted(found, key=lambda item: item[:2])[: _kept(digit, split)]
    ]


def _digits_table() -> NDArray[np.float64]:
    """(1797, 65) the file behind `sklearn.datasets.load_digits`: 64 grey values and the class, row by row.

    Importing scikit-learn takes seconds, which would be most of the time of a run that finds all done.
    """
    import importlib.util

    import numpy as np

    found = importlib.util.find_spec("sklearn")
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if path.is_file():
            return np.loadtxt(path, delimiter=",")
    raise SourceError("scikit-learn's file of handwritten digits is not there", "install scikit-learn")


def _kept(digit: int, split: str) -> int | None:
    """How many images of a digit a split keeps: of class c of ten, LARGEST * IMBALANCE^(-c/9) for training."""
    return None if split == "test" else round(LARGEST * IMBALANCE ** (-digit / 9))


def _png(grey: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    return encode_png(Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


SETS = {
    "digits": SampleSet(
        about="handwritten digits of scikit-learn, 32x32 grey, 10 classes, long-tailed from 100 images to 10",
        readme="""# Handwritten digits

Pictures of the data set *Optical Recognition of Handwritten Digits* by E. Alpaydin and C. Kaynak (UCI Machine
Learning Repository, 1998, doi:10.24432/C50P49, CC BY 4.0) as it comes with scikit-learn (`load_digits`), enlarged
from 8x8 to 32x32 px by `augforge samples digits`. The number in a file's name is the index in `load_digits`.

The test split is a fifth of all pictures, chosen by a hash of their content. The train split is made long-tailed:
digit c keeps 100 * 10^(-c/9) pictures.
""",
        make=_digits,
    ),
}
NAMES = {name: found.about for name, found in SETS.items()}
