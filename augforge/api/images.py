"""The images of a run, kept and dropped ones, as a notebook wants to see them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, overload

from augforge.api.shown import text
from augforge.errors import AugforgeError

if TYPE_CHECKING:
    from PIL.Image import Image

    from augforge.data.sample import Sample
    from augforge.reproduce.remake import Archive, Remade

SHOWN = 24
"""Images in the grid of a notebook."""
SIDE = 96
"""Pixels of the longer side of a thumbnail there."""


class RunImage:
    """One image of a run. `sample` is its row of the ledger: split, digest, scores, sampled parameters and the rest."""

    def __init__(self, sample: Sample, archive: Archive) -> None:
        self.sample = sample
        self._archive = archive

    @property
    def id(self) -> str:
        """The id, as in the ledger."""
        return self.sample.id

    @property
    def label(self) -> str | None:
        """The class; None without one."""
        return self.sample.label

    @property
    def origin(self) -> str:
        """Real or synthetic."""
        return self.sample.origin

    @property
    def kept(self) -> bool:
        """Whether it is in the dataset."""
        return self.sample.kept

    @property
    def dropped(self) -> str | None:
        """Why it was dropped; None if it was kept."""
        return self.sample.dropped

    @property
    def data(self) -> bytes:
        """The encoded bytes: from the dataset, or for dropped images from the source or from what the run made.

        Raises:
            BadImage: they are gone, or have changed.
        """
        return self._archive.bytes_of(self.sample)

    @property
    def image(self) -> Image:
        """The pixels, RGB; BadImage as for `data`, or if they cannot be decoded."""
        from augforge.data import images

        return images.decode(self.data)

    @property
    def pictures(self) -> dict[str, Image]:
        """The pictures that go with the image, by their names: `image.pictures["mask"]`."""
        from PIL import Image

        return {name: Image.open(BytesIO(self._archive.bytes_of(self.sample, name))) for name in self.sample.pictures}

    def __repr__(self) -> str:
        outcome = "kept" if self.kept else f"dropped by {self.sample.dropped_by}: {self.dropped}"
        return f"<{self.origin} image {self.id} of class {self.label!r}, {outcome}>"

    def _repr_png_(self) -> bytes:
        return png(self.image)


class RunImages(Sequence[RunImage]):
    """Images of a run, read when they are asked for; shows the first ones as a grid in a notebook.

    The grid withholds what a report withholds: images that a safety filter flagged or never saw.
    """

    def __init__(self, items: Sequence[RunImage], withheld: Collection[str] = ()) -> None:
        self._items, self._withheld = list(items), frozenset(withheld)

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, place: int) -> RunImage: ...

    @overload
    def __getitem__(self, place: slice) -> RunImages: ...

    def __getitem__(self, place: int | slice) -> RunImage | RunImages:
        if isinstance(place, slice):
            return RunImages(self._items[place], self._withheld)
        return self._items[place]

    def __repr__(self) -> str:
        return f"<{len(self):,} images of a run>"

    def _repr_html_(self) -> str:
        cells = "".join(f"<div style='width:{SIDE + 32}px'>{self._cell(item)}</div>" for item in self._items[:SHOWN])
        rest = f"<p>and {len(self) - SHOWN:,} more</p>" if len(self) > SHOWN else ""
        return f"<div style='display:flex;flex-wrap:wrap;gap:8px;font-size:small'>{cells}</div>{rest}"

    def _cell(self, item: RunImage) -> str:
        about = f"{item.origin} {item.label or '(no class)'}" + ("" if item.kept else f": {item.dropped}")
        return f"{self._picture(item)}<br>{text(about)}<br><code>{text(item.id[:10])}</code>"

    def _picture(self, item: RunImage) -> str:
        if item.id in self._withheld:
            return "<em>withheld</em>"
        try:
            picture = item.image
        except AugforgeError as error:
            return f"<em>{text(error.message)}</em>"
        picture.thumbnail((SIDE, SIDE))
        return f"<img src='data:image/png;base64,{b64encode(png(picture)).decode()}'>"


class Regenerated:
    """An image that was made again from its provenance.

    `apart` is the largest difference of a value from the first one in 255ths: 0 where the bytes are equal, NaN where
    the first one is gone.
    """

    def __init__(self, remade: Remade) -> None:
        self.sample, self.data, self.pictures = remade.sample, remade.data, dict(remade.pictures)
        self.apart, self.equal = remade.apart, remade.equal

    @property
    def same(self) -> bool:
        """Whether no value differs by more than 1/255, as pixels may from batch size to batch size."""
        return self.apart <= 1

    @property
    def image(self) -> Image:
        """The pixels, RGB."""
        from augforge.data import images

        return images.decode(self.data)

    def __repr__(self) -> str:
        how = "equal to the byte" if self.equal else f"at most {self.apart:g}/255 from the first one"
        return f"<image {self.sample.id} made again, {how}>"

    def _repr_png_(self) -> bytes:
        return png(self.image)


def png(image: Image) -> bytes:
    """An image encoded as PNG."""
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
