"""Hugging Face datasets on disk, as `save_to_disk` leaves them: read straight from their Arrow files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from augforge.data.ids import key
from augforge.errors import BadImage, SourceError
from augforge.io.base import Entry, Source, existing_folder, file_stamp, files_fingerprint, no_split, only, split_name
from augforge.io.cells import NO_IMAGE, image_bytes, numbers_at, with_image
from augforge.io.columns import CHUNK, Chunk, Columns, TableFile, all_classes, find_columns
from augforge.io.tables import feature_list, features_of, groups
from augforge.io.writing import Line, Outlet, Row, Shard, Writer

if TYPE_CHECKING:
    import pyarrow as pa

OPEN_FILES = 64
AGAIN = "make or copy the dataset again"


class DatasetWriter(Writer):
    """A `DatasetDict` directory, as `save_to_disk` would leave it: `train/data-00000-of-00003.arrow`, and so on."""

    def write(self, shard: Shard, rows: Iterable[Row], outlet: Outlet) -> list[Line]:
        """One Arrow file."""
        import pyarrow as pa

        schema = features_of(self.about).arrow_schema
        with outlet.open(_arrow_file(shard)) as file, pa.ipc.new_stream(file, schema) as stream:
            for group in groups(rows, self.about, schema):
                stream.write_table(group)
        return []

    def finish(self, shards: Sequence[Shard], lines: Callable[[Shard], list[Line]], outlet: Outlet) -> None:
        """What `load_from_disk` reads first: the splits, their files and their columns."""
        for split in self.about.splits:
            names = [_arrow_file(shard) for shard in shards if shard.split == split]
            digests = [outlet.files[name][1] for name in names]
            state: dict[str, Any] = {
                "_data_files": [{"filename": name.partition("/")[2]} for name in names],
                "_fingerprint": key("export", digests)[:16],
                "_format_columns": None,
                "_format_kwargs": {},
                "_format_type": None,
                "_output_all_columns": False,
                "_split": split,
            }
            outlet.put(f"{split}/dataset_info.json", _json_bytes({"features": features_of(self.about).to_dict()}))
            outlet.put(f"{split}/state.json", _json_bytes(state))
        outlet.put("dataset_dict.json", _json_bytes({"splits": list(self.about.splits)}))

    def card(self) -> dict[str, Any]:
        """The columns; a directory of `save_to_disk` is loaded with `load_from_disk`, not by the hub."""
        return {"dataset_info": {"features": feature_list(self.about)}}

    def croissant(self) -> dict[str, Any]:
        """The files only: Croissant has no way to read Arrow streams."""
        return {"files": ["*/*.arrow"], "encoding": "application/vnd.apache.arrow.stream", "columns": {}}


class _Part(NamedTuple):
    """One split: its name (None outside of a DatasetDict), its folder below the root, and its features."""

    split: str | None
    inside: str
    features: dict[str, Any]


class Dataset(Source):
    """A `Dataset` or `DatasetDict` directory. A locator is `train/data-00000-of-00001.arrow#12`, row 12 from 0.

    The files are memory-mapped, so that any row is had at once and listing touches no pixels. The options `image`
    and `label` name columns. Rows of a dataset that augforge wrote carry their history.
    """

    writer = DatasetWriter
    format = "Hugging Face dataset"

    def __init__(
        self, value: str, *, split: str | None = None, image: str | None = None, label: str | None = None
    ) -> None:
        self.where = f"dataset {value}" + (f" (image: {image})" if image else "")
        self._root = existing_folder(value)
        self._split = split
        self._wanted = image, label
        self._table = lru_cache(OPEN_FILES)(self._open)
        self._columns = lru_cache(None)(self._find_columns)
        self._files = {file: part for part in self._find_parts() for file in self._files_of(part)}
        for file in self._files:
            self._columns(file)

    def classes(self) -> list[str]:
        """The names of the ClassLabel in their order, or the labels there are, in natural order."""
        return all_classes(self._files, self._columns, self._labels)

    def entries(self) -> Iterator[Entry]:
        """Split by split, file by file, row by row."""
        yield from only((entry for file in self._files for entry in self._rows(file)), self._split, self.where)

    def fingerprint(self) -> str:
        """Changes whenever a file was written."""
        return files_fingerprint(self.where, self._root, self._files, self._split, *self._wanted)

    def read(self, locator: str) -> bytes:
        """The bytes in the image column of a row; of a row with a path and no bytes, those of the file."""
        return self._bytes(locator, "image")

    def read_mask(self, locator: str) -> bytes:
        """The bytes in the column `mask` of a row."""
        return self._bytes(locator, "mask")

    def numbers(self, locators: Sequence[str], column: str) -> list[Sequence[float] | None]:
        """(n,) the lists of numbers in a column."""
        return numbers_at(locators, self.where, column, lambda file: self._column(file, column))

    def _bytes(self, locator: str, what: str) -> bytes:
        file, _, row = locator.rpartition("#")
        try:
            cell = self._table(file).column(getattr(self._columns(file), what))[int(row)].as_py()
        except (IndexError, KeyError, ValueError, TypeError, SourceError) as error:
            raise BadImage(f"there is no {what} in row {locator}") from error
        return image_bytes(cell, self._root / self._files[file].inside)

    @property
    def files(self) -> list[str]:
        """The Arrow files, relative to the dataset, in order."""
        return list(self._files)

    def table(self, file: str) -> pa.Table:
        """A file as a table, mapped into memory."""
        return self._table(file)

    def column(self, file: str, name: str) -> list[Any]:
        """All values of a column of a file; SourceError if there is no such column."""
        return list(self._column(file, name).to_pylist())

    def _column(self, file: str, name: str) -> pa.ChunkedArray:
        table = self._table(file)
        if name not in table.column_names:
            raise SourceError(f"{self.where}: {file} has no column {name!r}", f"it has {', '.join(table.column_names)}")
        return table.column(name)

    def _rows(self, file: str) -> Iterator[Entry]:
        columns = self._columns(file)
        of_file = TableFile(file, self._files[file].split, file_stamp(self._root / file))
        light = [name for name in columns.light if name != columns.image]
        heavy = [columns.image, *([columns.mask] if columns.mask else [])]
        first = 0
        for batch in self._table(file).select([*heavy, *light]).to_batches(max_chunksize=CHUNK):
            rows = batch.select(light).to_pylist() if light else [{}] * batch.num_rows
            problems = ["" if there else NO_IMAGE for there in with_image(batch.column(columns.image))]
            masked = with_image(batch.column(columns.mask)) if columns.mask else [False] * batch.num_rows
            yield from columns.entries(of_file, Chunk(first, rows, masked, problems))
            first += batch.num_rows

    def _find_parts(self) -> list[_Part]:
        listing = self._root / "dataset_dict.json"
        if not listing.exists():
            return [self._part(None, "")]
        names = [self._inside(str(name)) for name in self._json(listing).get("splits", [])]
        wanted = None if self._split is None else split_name(self._split)
        chosen = [name for name in names if wanted in (None, split_name(name))]
        if not chosen:
            raise no_split(str(wanted), names, self.where)
        return [self._part(split_name(name), name) for name in chosen]

    def _part(self, split: str | None, inside: str) -> _Part:
        info = self._root / inside / "dataset_info.json"
        return _Part(split, inside, (self._json(info).get("features") or {}) if info.exists() else {})

    def _files_of(self, part: _Part) -> list[str]:
        state = self._json(self._root / part.inside / "state.json")
        if state.get("_indices_data_files") or state.get("_indices_files"):
            raise SourceError(
                f"{self.where}: its rows are chosen by an indices file, which is not read",
                "load it with `datasets`, call flatten_indices() and save it again",
            )
        names = [self._inside(str(file["filename"])) for file in state.get("_data_files") or ()]
        return [f"{part.inside}/{name}" if part.inside else name for name in names]

    def _inside(self, name: str) -> str:
        """The name of a file or folder that the dataset lists; SourceError if it leads out of its folder."""
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise SourceError(f"{self.where}: it names {name!r}, which leads out of its folder", AGAIN)
        return name

    def _json(self, path: Path) -> dict[str, Any]:
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            name = path.relative_to(self._root)
            raise SourceError(f"{self.where}: {name} is missing or damaged: {error}", AGAIN) from error

    def _open(self, file: str) -> pa.Table:
        import pyarrow as pa

        try:
            table = pa.ipc.open_stream(pa.memory_map(str(self._root / file))).read_all()
            table.validate(full=True)  # of a damaged or hostile file, an offset may point anywhere
            return table
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{self.where}: {file} is missing or damaged: {error}", AGAIN) from error

    def _find_columns(self, file: str) -> Columns:
        return find_columns(self._table(file).schema, self.where, *self._wanted, self._files[file].features)

    def _labels(self, file: str) -> list[Any]:
        label = self._columns(file).label
        return list(self._table(file).column(label).unique().to_pylist()) if label else []


def _arrow_file(shard: Shard) -> str:
    return f"{shard.split}/data-{shard.number:05d}-of-{shard.total:05d}.arrow"


def _json_bytes(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()
