"""Small real data sets to begin with, made from what is installed anyway."""

from __future__ import annotations

import hashlib
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from augforge.data.images import encode_png
from augforge.errors import SourceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPLITS = ("train", "test")
UNLABELLED = "unlabelled"
SIDE = 32
LARGEST = 100
IMBALANCE = 10


@dataclass(frozen=True, slots=True)
class SampleImage:
    """One image of a sample data set: its path below the folder, its class, its encoded bytes and those of its mask."""

    path: str
    label: str | None
    data: bytes
    mask: bytes | None = None

    @property
    def mask_path(self) -> str:
        """Where the mask is written, below the folder."""
        return f"masks/{Path(self.path).name}"


@dataclass(frozen=True, slots=True)
class SampleSet:
    """A sample data set: a line about it, the README of its folder, what makes the pictures of a split, its splits."""

    about: str
    readme: Callable[[], str]
    make: Callable[[str], Iterable[SampleImage]]
    splits: tuple[str, ...] = SPLITS


def sample_images(name: str, split: str = "train") -> list[SampleImage]:
    """The pictures of a sample data set, class by class and then by file name.

    Raises:
        SourceError: there is no such data set or split.
    """
    from augforge.errors import did_you_mean

    if name not in SETS:
        raise SourceError(f"there is no sample data set called {name!r}", did_you_mean(name, list(SETS)))
    if split not in SETS[name].splits:
        raise SourceError(f"sample {name}: there is no split {split!r}", f"it has {', '.join(SETS[name].splits)}")
    return sorted(SETS[name].make(split), key=lambda picture: picture.path)


def write(name: str, out: Path, split: str = "train", *, replace: bool = False) -> None:
    """Write a sample data set as PNG files in class folders, masks in `masks/`, with a README; all of it or nothing.

    A folder that already holds exactly this is left as it is. One that holds another split, or another sample data
    set, is only written over with `replace`.

    Raises:
        SourceError: there is no such data set or split, or `out` holds something else.
    """
    if check_free(name, out, split, replace):
        return
    files = _files(name, split)
    fresh = out.with_name(f".{out.name}.new")
    try:
        if out.is_dir() and any(out.iterdir()):
            shutil.rmtree(out)
        shutil.rmtree(fresh, ignore_errors=True)
        for path, data in files.items():
            (fresh / path).parent.mkdir(parents=True, exist_ok=True)
            (fresh / path).write_bytes(data)
        fresh.replace(out)
    except OSError as error:
        raise SourceError(f"{out} cannot be written: {error.strerror}", "choose another --out") from error


def check_free(name: str, out: Path, split: str, replace: bool) -> bool:
    """Whether `out` holds this sample data set already; SourceError if it holds what may not be replaced."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if _holds(out, _files(name, split)):
        return True
    ours = _is_sample_set(out)
    if not (replace and ours):
        hint = ", or --replace for this sample data set" if ours else ""
        raise SourceError(f"{out} is not empty", f"choose an empty or new folder for --out{hint}")
    return False


def _is_sample_set(folder: Path) -> bool:
    """Whether a folder was written by `write`, as its README tells."""
    readme = folder / "README.md"
    return readme.is_file() and readme.read_bytes() in {each.readme().encode() for each in SETS.values()}


def _files(name: str, split: str) -> dict[str, bytes]:
    """All files of a data set by their paths: pictures, masks and the README."""
    found = sample_images(name, split)
    images = {picture.path: picture.data for picture in found}
    masks = {picture.mask_path: picture.mask for picture in found if picture.mask is not None}
    return {**images, **masks, "README.md": SETS[name].readme().encode()}


def _holds(folder: Path, files: Mapping[str, bytes]) -> bool:
    if not folder.is_dir():
        return False
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
    return there.keys() == files.keys() and all(there[path].read_bytes() == data for path, data in files.items())


def _digits(split: str) -> list[SampleImage]:
    """scikit-learn's handwritten digits: 20 % for testing; of the rest a long tail for training, and what it left."""
    classes: dict[int, list[tuple[str, int, NDArray[np.uint8]]]] = defaultdict(list)
    table = _digits_table()
    for index, (values, digit) in enumerate(zip(table[:, :64], table[:, 64], strict=True)):
        grey = (values.reshape(8, 8) * 255 / 16).round().astype("uint8")
        digest = hashlib.sha256(grey.tobytes()).hexdigest()
        if (int(digest[-4:], 16) / 16**4 < 0.2) == (split == "test"):
            classes[int(digit)].append((digest, index, grey))
    return [
        _digit(digit if split != UNLABELLED else None, index, grey)
        for digit, found in classes.items()
        for _, index, grey in sorted(found, key=lambda item: item[:2])[_kept(digit, split)]
    ]


def _digit(label: int | None, index: int, grey: NDArray[np.uint8]) -> SampleImage:
    """A picture in the folder of its class; loose without one."""
    name = f"digit-{index:04d}.png"
    return (
        SampleImage(name, None, _png(grey)) if label is None else SampleImage(f"{label}/{name}", str(label), _png(grey))
    )


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


def _kept(digit: int, split: str) -> slice:
    """Which images of a digit a split has: of class c of ten LARGEST * IMBALANCE^(-c/9) for training."""
    tail = round(LARGEST * IMBALANCE ** (-digit / 9))
    return {"test": slice(None), "train": slice(tail), UNLABELLED: slice(tail, None)}[split]


def _png(grey: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    return encode_png(Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


@cache
def _streets(split: str) -> tuple[SampleImage, ...]:
    """Drawn scenes: by day with masks, and others at night."""
    from PIL import Image

    from augforge.data.images import encode_mask
    from augforge.io.sample_sets.streets import RANGES, TIMES, Time, draw_scene

    def picture(time: Time, number: int) -> SampleImage:
        scene = draw_scene(time, number)
        mask = encode_mask(scene.mask) if time == "day" else None
        return SampleImage(f"{time}/{time}-{number:04d}.png", time, encode_png(Image.fromarray(scene.image)), mask)

    return tuple(picture(time, number) for time in TIMES for number in RANGES[split])


def _streets_readme() -> str:
    from augforge.io.sample_sets.streets import README

    return README


DIGITS_README = """# Handwritten digits

Pictures of the data set *Optical Recognition of Handwritten Digits* by E. Alpaydin and C. Kaynak (UCI Machine
Learning Repository, 1998, doi:10.24432/C50P49, CC BY 4.0) as it comes with scikit-learn (`load_digits`), enlarged
from 8x8 to 32x32 px by `augforge samples digits`. The number in a file's name is the index in `load_digits`.

The test split is a fifth of all pictures, chosen by a hash of their content. The train split is made long-tailed:
digit c keeps 100 * 10^(-c/9) pictures. What it leaves over is the split `unlabelled`, without class folders.
"""


SETS = {
    "digits": SampleSet(
        about="handwritten digits of scikit-learn, 32x32 grey, 10 classes, long-tailed from 100 images to 10",
        readme=lambda: DIGITS_README,
        make=_digits,
        splits=(*SPLITS, UNLABELLED),
    ),
    "streets": SampleSet(
        about="drawn street scenes, 128x96 px: day with exact masks, and other scenes at night, unpaired",
        readme=_streets_readme,
        make=_streets,
    ),
}
NAMES = {name: found.about for name, found in SETS.items()}
