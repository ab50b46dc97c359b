"""Photographs for benchmarks, and the same with faults planted in some of them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image, ImageFilter

CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SHARE = 0.05
FAULTS = ("black", "noise", "blurred", "intruder", "wrong label")


@dataclass(frozen=True)
class Photos:
    """n images, and the class of each."""

    images: list[Image.Image]
    labels: list[str]


def of_folder(folder: Path, most: int | None = None) -> Photos:
    """The images below a folder, `most` of them at random; the class is the folder of each."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    paths = [path for path in paths if "masks" not in path.parts]
    if most is not None:
        paths = [paths[i] for i in np.random.default_rng(0).permutation(len(paths))[:most]]
    return Photos([Image.open(path).convert("RGB") for path in paths], [path.parent.name for path in paths])


def of_cifar(folder: Path, part: str, most: int) -> Photos:
    """`most` images of CIFAR-10 at random."""
    table = pq.read_table(folder / f"cifar10_{part}.parquet")
    table = table.take(np.random.default_rng(0).permutation(len(table))[:most])
    images = [Image.open(io.BytesIO(row["bytes"])).convert("RGB") for row in table.column("image").to_pylist()]
    return Photos(images, [CIFAR[label] for label in table.column("label").to_pylist()])


def blurred(image: Image.Image, share: float) -> Image.Image:
    """By a Gaussian whose std is a share of the shorter side."""
    return image.filter(ImageFilter.GaussianBlur(share * min(image.size)))


def spoilt(photos: Photos, strangers: Photos, fault: str) -> tuple[Photos, NDArray[np.bool_]]:
    """The photos with a fault planted in 5 % of them, and which these are; all as they are for `none`."""
    random = np.random.default_rng(7)
    images, labels, n = list(photos.images), list(photos.labels), len(photos.images)
    picked = random.permutation(n)[: int(SHARE * n)] if fault != "none" else np.zeros(0, np.int64)
    classes = sorted(set(labels))
    for place in picked.tolist():
        image = images[place]
        if fault == "wrong label":
            labels[place] = str(random.choice([name for name in classes if name != labels[place]]))
        elif fault == "black":
            images[place] = Image.new("RGB", image.size)
        elif fault == "noise":
            images[place] = Image.fromarray(random.integers(0, 256, (image.height, image.width, 3), dtype=np.uint8))
        elif fault == "blurred":
            images[place] = blurred(image, 0.05)
        else:
            images[place] = strangers.images[int(random.integers(len(strangers.images)))]
    return Photos(images, labels), np.isin(np.arange(n), picked)
