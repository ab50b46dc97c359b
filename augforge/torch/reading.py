"""Datasets that augforge wrote as PyTorch reads them: every image of one mode, decoded as the stages saw it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from augforge.data.pictures import kind_of
from augforge.data.uniform import Uniform
from augforge.errors import SourceError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from PIL import Image
    from torch import Tensor

NO_LABEL = -100
"""The label of an image without one: the class that `torch.nn.functional.cross_entropy` ignores."""
ORIENTATION, SIDEWAYS = 0x0112, 5
"""The tag of EXIF that says how an image is turned, and the values from which on width and height change places."""
TARGET = "target"
"""What stands in place of the column `boxes`."""
Data = TypeVar("Data", "Dataset", "DatasetDict")


def as_tensors(
    data: Data,
    *,
    mode: str = "RGB",
    size: int | None = None,
    transform: Callable[[Image.Image], Any] | None = None,
    columns: Sequence[str] | None = None,
) -> Data:
    """The dataset with a transform that decodes each row when it is read; nothing is copied.

    A row then has `image`, (3, h, w) float32 in [0, 1] (1 channel in mode "L"), `label`, int64, and, by their names,
    the pictures that go with it: (h, w) int64 of a `mask`, of `instances` and of a `depth`, (h, w, 3) uint8 of others,
    None where there is none. Its other columns are as they were, but for annotations:

    - `boxes` gives `target`, as the detectors of torchvision take it: `boxes`, (n, 4) float32 (x0, y0, x1, y1) in px;
      `labels`, (n,) int64, 1 for the first class, as 0 is the background (1 for all where no box has a class,
      NO_LABEL for one without a class among others); `iscrowd`, (n,) int64. None if it is not known what there is.
    - `keypoints` is a list of (k, 3) float32 tensors: x, y, visibility.
    - `labels` is (n,) int64, `soft_label` (classes,) float32.

    Boxes and keypoints are moved with the image where `size` crops it.

    Args:
        data: what `datasets.load_from_disk` or `load_dataset` gives; images as files in bytes, in the column `image`.
        mode: "RGB" or "L".
        size: the shorter side is scaled to so many px and the centre cropped, of masks too.
        transform: takes the decoded PIL image and gives what stands in `image` instead, such as one of torchvision.
            It does not see the mask and the annotations: use it for what moves no pixels.
        columns: keep only these; all if None.

    Raises:
        SourceError: there is no column `image`.
        RecipeError: as `augforge.data.uniform.Uniform`.
    """
    from datasets import DatasetDict
    from datasets import Image as ImageFeature

    uniform = Uniform(mode, size)
    parts = list(data.values()) if isinstance(data, DatasetDict) else [data]
    for part in parts:
        if "image" not in part.column_names:
            raise SourceError("the dataset has no column 'image'", f"it has {', '.join(part.column_names)}")
    found = data if columns is None else data.select_columns(list(columns))
    pictures = _pictures(parts[0].features, columns)
    for name in pictures:
        found = found.cast_column(name, ImageFeature(decode=False))
    return found.with_transform(_Reader(uniform, transform, _kinds(parts[0].features), pictures))


def _pictures(features: Mapping[str, Any], columns: Sequence[str] | None) -> list[str]:
    """The columns of pictures among those that are kept."""
    from datasets import Image as ImageFeature

    return [n for n, kind in features.items() if isinstance(kind, ImageFeature) and (columns is None or n in columns)]


def _kinds(features: Mapping[str, Any]) -> dict[str, Any]:
    """The features of the columns that augforge writes annotations to, of those whose cells become tensors."""
    boxes, points = features.get("boxes"), features.get("keypoints")
    there = {"boxes": boxes} if "box" in getattr(boxes, "feature", ()) else {}
    there |= {"keypoints": points} if "points" in getattr(points, "feature", ()) else {}
    plain = {name: features[name] for name in ("labels", "soft_label") if name in features}
    return there | {name: kind for name, kind in plain.items() if hasattr(kind, "feature")}


def collate(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows as one batch: numbers and tensors of one shape are stacked, everything else is a list, None included.

    `target` is always a list, as detectors take it.
    """
    names = rows[0] if rows else ()
    return {n: [row[n] for row in rows] if n == TARGET else _stacked([row[n] for row in rows]) for n in names}


class _Reader:
    """Makes tensors of a batch of undecoded rows; a class, so that worker processes can be given it."""

    def __init__(
        self,
        uniform: Uniform,
        transform: Callable[[Image.Image], Any] | None,
        kinds: Mapping[str, Any],
        pictures: Sequence[str],
    ) -> None:
        self._uniform, self._transform, self._kinds = uniform, transform, kinds
        self._others = {name: partial(self._picture, name) for name in pictures if name != "image"}

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
        read: dict[str, Callable[[Any], Any]] = {"image": self._image, "label": _label, **self._others}
        found = {name: [read[name](cell) for cell in cells] if name in read else cells for name, cells in batch.items()}
        if not self._kinds.keys() & batch.keys():
            return found
        rows = [self._said(dict(zip(batch, cells, strict=True))) for cells in zip(*batch.values(), strict=True)]
        kept = {name: cells for name, cells in found.items() if name not in self._kinds}
        return {**kept, **{name: [row[name] for row in rows] for name in rows[0]}}

    def _said(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The annotations of a row as tensors."""
        raw = self._moved({name: row[name] for name in self._kinds if name in row}, row.get("image"))
        classed = "label" in self._kinds["boxes"].feature if "boxes" in self._kinds else False
        make: dict[str, Callable[[Any], Any]] = {
            "boxes": lambda boxes: _target(boxes, classed),
            "keypoints": _points,
            "labels": _whole,
            "soft_label": _shares,
        }
        return {
            TARGET if name == "boxes" else name: None if value is None else make[name](value)
            for name, value in raw.items()
        }

    def _moved(self, raw: Mapping[str, Any], image: Mapping[str, Any] | None) -> dict[str, Any]:
        """What has a place in an image, moved as the image is; the rest as it was."""
        placed = {name: raw[name] for name in ("boxes", "keypoints") if raw.get(name) is not None}
        if not placed or image is None or self._uniform.size is None:
            return dict(raw)
        return {**raw, **self._uniform.annotations(placed, _size(image["bytes"]))}

    def _image(self, cell: Mapping[str, Any]) -> Any:
        image = self._uniform.decode(cell["bytes"])
        return _tensor(image) if self._transform is None else self._transform(image)

    def _picture(self, name: str, cell: Mapping[str, Any] | None) -> Tensor | None:
        import torch

        if cell is None:
            return None
        pixels = kind_of(name).decoded(self._uniform.picture(name, cell["bytes"]))
        return torch.from_numpy(pixels.astype("int64") if pixels.ndim == 2 else pixels.copy())


def _tensor(image: Image.Image) -> Tensor:
    """(c, h, w) float32 in [0, 1]."""
    import torch

    pixels = torch.from_numpy(np.array(image, ndmin=3 if image.mode == "RGB" else 2))
    return (pixels.permute(2, 0, 1) if pixels.ndim == 3 else pixels[None]).float().div_(255).contiguous()


def _size(data: bytes) -> tuple[int, int]:
    """Width and height of an upright image, without decoding it."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        turned = image.getexif().get(ORIENTATION, 1) >= SIDEWAYS
        return image.size[::-1] if turned else image.size


def _target(boxes: Sequence[Mapping[str, Any]], classed: bool) -> dict[str, Tensor]:
    """Boxes as torchvision's detectors take them."""
    import torch

    known = [box.get("label") for box in boxes] if classed else [0] * len(boxes)
    return {
        "boxes": torch.tensor([box["box"] for box in boxes], dtype=torch.float32).reshape(-1, 4),
        "labels": _whole([NO_LABEL if label is None else label + 1 for label in known]),
        "iscrowd": _whole([int(bool(box.get("iscrowd"))) for box in boxes]),
    }


def _points(instances: Sequence[Mapping[str, Any]]) -> list[Tensor]:
    return [_shares(one["points"]).reshape(-1, 3) for one in instances]


def _whole(values: Sequence[int]) -> Tensor:
    import torch

    return torch.tensor(values, dtype=torch.int64)


def _shares(values: Sequence[Any]) -> Tensor:
    import torch

    return torch.tensor(values, dtype=torch.float32)


def _label(value: Any) -> Any:
    return NO_LABEL if value is None else value


def _stacked(values: list[Any]) -> Any:
    import torch

    if all(isinstance(value, torch.Tensor) for value in values) and len({value.shape for value in values}) == 1:
        return torch.stack(values)
    if all(isinstance(value, (int, float)) for value in values):
        return torch.tensor(values)
    if all(isinstance(value, Mapping) for value in values):
        return collate(values)
    return values
