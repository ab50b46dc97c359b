"""WebDataset: tar archives in which files of one sample share a name: `NAME.png`, `NAME.json`, `NAME.cls`, and so on.

Archives are read where they lie, never unpacked: a member costs its row if its name leads out of the archive, if it is
no plain file, or if it is too big.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from augforge.errors import BadImage, SourceError
from augforge.io.base import Entry, Source, existing, file_stamp, files_fingerprint, natural, only, split_name
from augforge.io.columns import file_split
from augforge.io.records import declared_classes, known_of, label_of, parsed, text_of
from augforge.io.tree import SUFFIXES
from augforge.io.writing import RECORD, Line, Outlet, Row, Shard, Writer, dumped, safe_name, suffix_of

OPEN_FILES = 64
LARGEST = 256 << 20
"""Bytes of the largest image that is read out of an archive."""
SMALL = 4 << 20
"""Bytes of the largest text (label, record) that is read."""
MASK = "mask"


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
                for kind, data in _members(row, places):
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
        known: dict[str, Line] = {"cls": {"dtype": "int64"}, "json": {"struct": texts}}
        columns = [{"name": kind, **known.get(kind, {"dtype": "image"})} for kind in self._kinds]
        columns += [{"name": name, "dtype": "string"} for name in ("__key__", "__url__")]
        configs = [{"config_name": "default", "data_files": files}]
        return {"configs": configs, "dataset_info": {"features": columns}}

    def croissant(self) -> dict[str, Any]:
        """The archives only."""
        return {"files": ["*.tar"], "encoding": "application/x-tar", "columns": {}}


def _members(row: Row, places: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """Kind and bytes of every member of a sample."""
    yield row.suffix, row.image
    if row.label is not None:
        yield "cls", str(places[row.label]).encode()
    yield "json", dumped(row.record())
    if row.mask is not None:
        yield f"{MASK}.{suffix_of(row.mask)}", row.mask


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


class _Place(NamedTuple):
    """Where the bytes of a member lie in its archive."""

    offset: int
    size: int


@dataclass(slots=True)
class _Sample:
    """The members of one sample."""

    image: _Place | None = None
    mask: _Place | None = None
    texts: dict[str, _Place] = field(default_factory=dict)


class WebDataset(Source):
    """A tar archive, or all in a folder, in natural order. A locator is `train-00000.tar#ID`.

    The label is what `ID.json` says under `label`, else the number or text in `ID.cls`. The split is told by the
    record, else by the archive's name. Several images of one name are one sample: the first counts, and of a name that
    comes twice the second is dropped.
    """

    writer = WebDatasetWriter
    format = "WebDataset"

    def __init__(self, value: str, *, split: str | None = None) -> None:
        path = existing(value)
        self.where = f"webdataset {value}"
        self._split = split
        self._root = path if path.is_dir() else path.parent
        found = (p.relative_to(path).as_posix() for p in path.rglob("*.tar")) if path.is_dir() else iter([path.name])
        self._names = sorted((name for name in found if not name.startswith(".")), key=natural)
        if not self._names:
            raise SourceError(f"{self.where}: there are no archives in it", "give a .tar file, or the folder of them")
        self._declared = declared_classes(self._root)
        self._samples = lru_cache(OPEN_FILES)(self._scan)

    def classes(self) -> list[str]:
        """The classes that the export declares, else the labels that are met, in natural order."""
        met = {entry.label for entry in self._all() if entry.label is not None} if not self._declared else set()
        return self._declared or sorted(met, key=natural)

    def entries(self) -> Iterator[Entry]:
        """Archive by archive, sample by sample."""
        yield from only(self._all(), self._split, self.where)

    def fingerprint(self) -> str:
        """Changes whenever an archive was written."""
        return files_fingerprint(self.where, self._root, self._names, self._split)

    def read(self, locator: str) -> bytes:
        """The bytes of the image of a sample."""
        return self._bytes(locator, "image")

    def read_mask(self, locator: str) -> bytes:
        """The bytes of the mask of a sample."""
        return self._bytes(locator, "mask")

    def _bytes(self, locator: str, what: str) -> bytes:
        name, _, stem = locator.partition("#")
        sample = self._samples(name)[0].get(stem) if name in self._names else None
        place = getattr(sample, what, None)
        if place is None:
            raise BadImage(f"there is no {what} {locator}")
        return self._part(name, place)

    def _part(self, name: str, place: _Place) -> bytes:
        try:
            with (self._root / name).open("rb") as file:
                file.seek(place.offset)
                data = file.read(place.size)
        except OSError as error:
            raise BadImage(f"cannot be read: {error.strerror or error}") from error
        if len(data) < place.size:
            raise BadImage("truncated: its archive ends before it")
        return data

    def _all(self) -> Iterator[Entry]:
        for name in self._names:
            stamp = file_stamp(self._root / name)
            samples, refused = self._samples(name)
            for stem, sample in samples.items():
                if sample.image:
                    yield self._entry(name, stem, sample, stamp)
            for number, (what, problem) in enumerate(refused):
                yield Entry(f"{name}#refused-{number}: {what}", None, file_split(name), stamp, problem=problem)

    def _entry(self, name: str, stem: str, sample: _Sample, stamp: str) -> Entry:
        record = parsed(self._text(name, sample, "json")) or {}
        split = text_of(record.get("split")) if record else None
        carried = known_of(record)
        told = None if carried is not None else file_split(name)
        return Entry(
            locator=f"{name}#{stem}",
            label=label_of(record, "cls" in sample.texts) if "label" in record else self._class_of(name, sample),
            split=split_name(split) if split else told,
            stamp=stamp,
            carried=carried,
            mask=stamp if sample.mask else "",
        )

    def _class_of(self, name: str, sample: _Sample) -> str | None:
        text = self._text(name, sample, "cls").decode(errors="replace").strip()
        if text.isascii() and text.isdigit() and len(text) < 9 and int(text) < len(self._declared):
            return self._declared[int(text)]
        return text or None

    def _text(self, name: str, sample: _Sample, kind: str) -> bytes:
        place = sample.texts.get(kind)
        return b"" if place is None or place.size > SMALL else self._part(name, place)

    def _scan(self, name: str) -> tuple[dict[str, _Sample], list[tuple[str, str]]]:
        """The samples of an archive by their names, and what was refused, with the reason. Reads headers only."""
        samples: dict[str, _Sample] = {}
        refused: list[tuple[str, str]] = []
        try:
            with tarfile.open(self._root / name, "r:", errors="backslashreplace") as tar:
                for member in tar:
                    _take(member, samples, refused)
        except (tarfile.TarError, OSError, ValueError, OverflowError, RecursionError) as error:
            refused.append((name, f"its archive is damaged: {str(error) or type(error).__name__}"))
        return samples, refused


def _take(member: tarfile.TarInfo, samples: dict[str, _Sample], refused: list[tuple[str, str]]) -> None:
    """Put a member into its sample, or say why not."""
    if member.isdir():
        return
    stem, kind = _split_member(member.name)
    suffix = kind.rpartition(".")[2]
    if suffix not in (*SUFFIXES, "json", "cls"):
        return
    if problem := _problem(member):
        refused.append((member.name[:200], problem))
        return
    sample = samples.setdefault(stem, _Sample())
    place = _Place(member.offset_data, member.size)
    if suffix in ("json", "cls"):
        sample.texts.setdefault(suffix, place)
    elif kind.startswith(f"{MASK}."):
        sample.mask = sample.mask or place
    elif sample.image is None:
        sample.image = place
    else:
        refused.append((member.name[:200], "there is another image of its name"))


def _problem(member: tarfile.TarInfo) -> str:
    parts = member.name.replace("\\", "/").split("/")
    if member.name.startswith(("/", "\\")) or ".." in parts or "\0" in member.name or ":" in parts[0]:
        return "its name leads out of the archive"
    if not member.isreg() or member.issparse():
        return "a link, a device or a file with holes, not a plain file"
    return f"{member.size:,} bytes, over {LARGEST:,}" if member.size > LARGEST else ""


def _split_member(name: str) -> tuple[str, str]:
    """Stem (with its folder) and kind of a member's name: at the first dot of the last part, as webdataset does it."""
    folder, slash, last = name.rpartition("/")
    stem, _, kind = last.partition(".")
    return f"{folder}{slash}{stem}", kind.lower()
