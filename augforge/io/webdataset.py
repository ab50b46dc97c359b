"""WebDataset: tar archives in which files of one sample share a name: `NAME.png`, `NAME.json`, `NAME.cls`, and so on.

Archives are read where they lie, never unpacked: a member costs its row if its name leads out of the archive, if it is
no plain file, or if it is too big.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from augforge.io.own import record_features, record_of
from augforge.io.webdataset_reader import Archived
from augforge.io.writing import RECORD, Line, Outlet, Row, Shard, Writer, dumped, safe_name, suffix_of


class WebDatasetWriter(Writer):
    """`train-00000-of-00003.tar`; the same rows give the same bytes. The label is a number in `.cls`."""

    shard_rows: ClassVar[int] = 10_000
    _kinds: Sequence[str] = ()

    @staticmethod
    def safe(name: str) -> str:
        """A name without dots, which end the name of a sample."""
        return safe_name(name).replace(".", "_")

    def write(self, shard: Shard, rows: Iterable[Row], outlet: Outlet) -> list[Line]:
        """One archive; the kinds of its members."""
        places = {label: place for place, label in enumerate(self.about.classes)}
        kinds: set[str] = set()
        with outlet.open(f"{shard.name}.tar") as file, tarfile.open(fileobj=file, mode="w") as tar:
            for row in rows:
                for kind, data in _members(row, record_of(row, self.about), places):
                    _add(tar, f"{row.name}.{kind}", data)
                    kinds.add(kind)
        return [{"kinds": sorted(kinds)}]

    def finish(self, shards: Sequence[Shard], lines: Callable[[Shard], list[Line]], outlet: Outlet) -> None:
        """Nothing to write; the card has to know which kinds of members there are."""
        self._kinds = sorted({kind for shard in shards for line in lines(shard) for kind in line["kinds"]})

    def card(self) -> dict[str, Any]:
        """An archive pattern a split, and the columns, which `datasets` cannot guess where not every image is alike."""
        files = [{"split": split, "path": f"{split}-*.tar"} for split in self.about.splits]
        texts = [{"name": name, "dtype": "float64" if name == "weight" else "string"} for name in RECORD]
        texts += record_features(self.about)
        known: dict[str, Line] = {"cls": {"dtype": "int64"}, "json": {"struct": texts}}
        columns = [{"name": kind, **known.get(kind, {"dtype": "image"})} for kind in self._kinds]
        columns += [{"name": name, "dtype": "string"} for name in ("__key__", "__url__")]
        configs = [{"config_name": "default", "data_files": files}]
        return {"configs": configs, "dataset_info": {"features": columns}}

    def croissant(self) -> dict[str, Any]:
        """The archives only."""
        return {"files": ["*.tar"], "encoding": "application/x-tar", "columns": {}}


def _members(row: Row, record: Line, places: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """Kind and bytes of every member of a sample."""
    yield row.suffix, row.image
    if row.label is not None:
        yield "cls", str(places[row.label]).encode()
    yield "json", dumped(record)
    for name, data in row.pictures.items():
        yield f"{name}.{suffix_of(data)}", data


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


class WebDataset(Archived):
    """WebDataset, as `Archived` reads it."""

    writer = WebDatasetWriter
