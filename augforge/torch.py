"""Datasets that augforge wrote as PyTorch reads them: every image of one mode, decoded as the stages saw it.

    from datasets import load_from_disk
    from torch.utils.data import DataLoader
    from augforge.torch import as_tensors, collate

    data = as_tensors(load_from_disk("runs/birds/dataset"), size=64)
    for batch in DataLoader(data["train"], batch_size=32, shuffle=True, collate_fn=collate):
        batch["image"], batch["label"]  # (32, 3, 64, 64) float32 in [0, 1], (32,) int64

Nothing is copied: each row is decoded when it is read, by the function that the stages use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from augforge.data import images
from augforge.data.uniform import Uniform
from augforge.errors import SourceError
from augforge.optional import require

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from PIL import Image
    from torch import Tensor

__all__ = ["NO_LABEL", "as_tensors", "collate"]

require("torch", who="augforge.torch")
NO_LABEL = -100
"""The label of an image without one: the class that `torch.nn.functional.cross_entropy` ignores."""
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

    A row then has `image`, (3, h, w) float32 in [0, 1] (1 channel in mode "L"), `label`, int64, and `mask` where there
    is one, (h, w) int64 labels or (h, w, 3) uint8; its other columns are as they were.

    Args:
        data: what `datasets.load_from_disk` or `load_dataset` gives; images as files in bytes, in the column `image`.
        mode: "RGB" or "L".
        size: the shorter side is scaled to so many px and the centre cropped, of masks too.
        transform: takes the decoded PIL image and gives what stands in `image` instead, such as one of torchvision.
            It does not see the mask.
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
    for name in ("image", "mask"):
        if name in parts[0].column_names and (columns is None or name in columns):
            found = found.cast_column(name, ImageFeature(decode=False))
    return found.with_transform(_Reader(uniform, transform))


def collate(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows as one batch: numbers and tensors of one shape are stacked, everything else is a list, None included."""
    return {name: _stacked([row[name] for row in rows]) for name in rows[0]} if rows else {}


class _Reader:
    """Makes tensors of a batch of undecoded rows; a class, so that worker processes can be given it."""

    def __init__(self, uniform: Uniform, transform: Callable[[Image.Image], Any] | None) -> None:
        self._uniform, self._transform = uniform, transform

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
        read: dict[str, Callable[[Any], Any]] = {"image": self._image, "mask": self._mask, "label": _label}
        return {name: [read[name](cell) for cell in cells] if name in read else cells for name, cells in batch.items()}

    def _image(self, cell: Mapping[str, Any]) -> Any:
        image = self._uniform.decode(cell["bytes"])
        return _tensor(image) if self._transform is None else self._transform(image)

    def _mask(self, cell: Mapping[str, Any] | None) -> Tensor | None:
        import torch

        if cell is None:
            return None
        mask = torch.from_numpy(images.decode_condition(self._uniform.mask(cell["bytes"])).copy())
        return mask.long() if mask.ndim == 2 else mask


def _tensor(image: Image.Image) -> Tensor:
    """(c, h, w) float32 in [0, 1]."""
    import numpy as np
    import torch

    pixels = torch.from_numpy(np.array(image, ndmin=3 if image.mode == "RGB" else 2))
    return (pixels.permute(2, 0, 1) if pixels.ndim == 3 else pixels[None]).float().div_(255).contiguous()


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
