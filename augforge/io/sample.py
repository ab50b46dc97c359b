"""The sample data sets, made in memory: what `augforge samples NAME` would write."""

from __future__ import annotations

from collections.abc import Iterator

from augforge.data.images import digest
from augforge.data.pictures import MASK
from augforge.errors import BadImage
from augforge.io import sample_sets as samples
from augforge.io.base import Entry, Source, natural, split_name


class SampleSource(Source):
    """A sample data set by name, such as `digits`; the option `split` is train (unless said otherwise) or test.

    What the set calls unlabelled is of the split train.
    """

    format = "sample data set"

    def __init__(self, value: str, *, split: str = "train") -> None:
        self._split = split_name(split)
        self.where = f"sample {value}" + ("" if self._split == "train" else f" ({self._split})")
        self._pictures = {picture.path: picture for picture in samples.sample_images(value, self._split)}

    def classes(self) -> list[str]:
        """The classes in natural order."""
        labels = {picture.label for picture in self._pictures.values()}
        return sorted((label for label in labels if label is not None), key=natural)

    def entries(self) -> Iterator[Entry]:
        """Class by class, in the order of the file names."""
        split = "train" if self._split == samples.UNLABELLED else self._split
        for picture in self._pictures.values():
            mask = self._mask(picture.path)
            pictures = {} if mask is None else {MASK: digest(mask)}
            yield Entry(picture.path, picture.label, split, digest(picture.data), pictures=pictures)

    def read(self, locator: str) -> bytes:
        """The PNG bytes of a picture."""
        if locator not in self._pictures:
            raise BadImage(f"there is no picture {locator}")
        return self._pictures[locator].data

    def read_picture(self, locator: str, name: str) -> bytes:
        """The PNG bytes of a picture's mask."""
        mask = self._mask(locator) if name == MASK else None
        return super().read_picture(locator, name) if mask is None else mask

    def _mask(self, locator: str) -> bytes | None:
        picture = self._pictures.get(locator)
        return None if picture is None else picture.mask
