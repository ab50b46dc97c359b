"""Where images come from: one file a format, one line here, loaded when it is used."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from augforge.errors import SourceError
from augforge.io.archives import holds_archives, is_archive
from augforge.io.base import Entry, Source, existing, split_name
from augforge.io.braces import is_list
from augforge.io.coco_notes import looks_like_coco
from augforge.io.coco_reader import annotation_files
from augforge.io.cvat import cvat_files, is_cvat
from augforge.io.imagefolder import holds_metadata, is_table
from augforge.io.label_studio_reader import holds_tasks, is_tasks
from augforge.io.labelme import holds_labelme, is_labelme
from augforge.io.listing import Listing
from augforge.io.open_images import holds_open_images
from augforge.io.open_images_files import is_notes
from augforge.io.segmentation import holds_masks
from augforge.io.splits import folder_split, own_split
from augforge.io.table_files import ARROW_SUFFIXES, PARQUET_SUFFIXES, holds_only
from augforge.io.video import holds_videos, is_video
from augforge.io.voc import holds_voc
from augforge.io.wrapped import NamedSplit, OneClass
from augforge.io.writing import Writer
from augforge.io.yolo import holds_yolo
from augforge.io.yolo_data import is_data_file
from augforge.remote.places import forget_remote, is_folder, is_there, path_of

__all__ = ["KINDS", "Entry", "Source", "Writer", "detect", "open_source", "writer_of"]

KINDS: dict[str, str] = {
    "folder": "augforge.io.folder:Folder",
    "imagefolder": "augforge.io.imagefolder:ImageFolder",
    "table": "augforge.io.imagefolder:ImageTable",
    "dataset": "augforge.io.dataset:Dataset",
    "parquet": "augforge.io.parquet:Parquet",
    "arrow": "augforge.io.parquet:Arrow",
    "webdataset": "augforge.io.webdataset:WebDataset",
    "coco": "augforge.io.coco:Coco",
    "yolo": "augforge.io.yolo:Yolo",
    "voc": "augforge.io.voc:Voc",
    "labelme": "augforge.io.labelme:LabelMe",
    "cvat": "augforge.io.cvat:Cvat",
    "openimages": "augforge.io.open_images:OpenImages",
    "segmentation": "augforge.io.segmentation:Segmentation",
    "video": "augforge.io.video:Video",
    "label-studio": "augforge.io.label_studio_reader:LabelStudio",
    "hub": "augforge.io.hub:Hub",
    "run": "augforge.io.run:Run",
    "sample": "augforge.io.sample:SampleSource",
}
SPLIT_KNOWN = frozenset({"hub", "run", "sample"})
"""Kinds of sources whose name says nothing of a split: what they hold does."""
WRITERS: dict[str, str] = {
    "fiftyone": "augforge.io.fiftyone:FiftyOneWriter",
}
"""Formats that are written and not read."""
ENDINGS = {
    **dict.fromkeys(PARQUET_SUFFIXES, "parquet"),
    **dict.fromkeys(ARROW_SUFFIXES, "arrow"),
}
ADVICE = {
    ".zip": "unpack it and give the folder",
    ".gz": "unpack it and give the folder",
    ".yaml": "to run a recipe: augforge run RECIPE --out DIR",
}


def open_source(kind: str, value: str, **options: Any) -> Source:
    """Open the source `kind: value`, such as `folder: data/digits`, with the options that its format has.

    The option `class` is had by all: every image of the source is of that class. A file or folder whose own name is
    that of an evaluation split holds images of it, unless the option `splits` is false. Where annotations come with the
    size of their picture and that has another one, they are left out, unless the option `sizes` is false.

    Raises:
        SourceError: the kind or an option is unknown, or the source cannot be opened.
    """
    from augforge.errors import did_you_mean

    if kind not in KINDS:
        raise SourceError(f"there is no kind of source called {kind!r}", did_you_mean(kind, list(KINDS)))
    forget_remote(value)
    kind = _with_table(value, options) if kind == "folder" else kind
    only_class = options.pop("class", None)
    if only_class is not None and kind == "folder":
        options["classes"] = False
    named = _named_split(kind, value, options)
    asked = named is not None and split_name(options.get("split") or "") == named
    wanted = options.pop("split") if asked else None
    source = _opened(kind, value, options)
    source = source if only_class is None else OneClass(source, only_class)
    return source if named is None else NamedSplit(source, named, wanted)


def _with_table(value: str, options: Mapping[str, Any]) -> str:
    """The kind that reads a folder: a metadata file of others counts more than the names of folders.

    Raises:
        SourceError: there is one, and an option that only a plain folder has.
    """
    if not is_folder(path_of(value)) or not holds_metadata(Listing(path_of(value))):
        return "folder"
    if beyond := sorted(options.keys() - {"split", "splits", "class"}):
        raise SourceError(
            f"folder {value}: it has a metadata file, which counts, and then there is no option {beyond[0]!r}",
            "take the metadata file away, or leave the option out",
        )
    return "imagefolder"


def _named_split(kind: str, value: str, options: Mapping[str, Any]) -> str | None:
    """The evaluation split that a source is named as; None where what it holds tells, or its name is not to count."""
    return None if kind in SPLIT_KNOWN or not options.get("splits", True) else own_split(value)


def _opened(kind: str, value: str, options: Mapping[str, Any]) -> Source:
    """The source with the options of its format. `splits`, which names are read by, is known to all but SPLIT_KNOWN;
    `sizes` to those that declare sizes.
    """
    from augforge.io.sizes import AnySize

    cls = _class_of(kind)
    known = [p.name for p in inspect.signature(cls).parameters.values() if p.kind is p.KEYWORD_ONLY]
    beside = {"sizes"} if cls.declares_sizes else set()
    beside |= set() if kind in SPLIT_KNOWN else {"splits"}
    _check_options(f"{kind} {value}", options, [*known, *beside])
    own = {name: chosen for name, chosen in options.items() if name in known}
    try:
        source: Source = cls(value, **own)  # type: ignore[call-arg]  # each kind takes its value
    except OSError as error:
        raise SourceError(f"{kind} {value} cannot be opened: {error}", "check the path and its permissions") from error
    return AnySize(source) if cls.declares_sizes and not options.get("sizes", True) else source


def _check_options(where: str, options: Mapping[str, Any], known: Sequence[str]) -> None:
    """SourceError if an option is not among the `known` ones."""
    from augforge.errors import did_you_mean

    for option in options:
        if option not in known:
            raise SourceError(f"{where}: it has no option {option!r}", did_you_mean(option, [*known, "class"]))


def writer_of(kind: str) -> type[Writer]:
    """What writes a format, such as `parquet`; `hf` is another name of `dataset`.

    Raises:
        SourceError: there is no such format, or it can only be read.
    """
    from augforge.errors import did_you_mean

    if kind in WRITERS:
        only_written: type[Writer] = _loaded(WRITERS[kind])
        return only_written
    names = {"hf": "dataset"} | {name: name for name in KINDS if _class_of(name).writer is not None}
    writer = _class_of(names[kind]).writer if kind in names else None
    if writer is None:
        known = [*(name for name in names if name != "dataset"), *WRITERS, "hub"]
        raise SourceError(f"there is no format called {kind!r} to export to", did_you_mean(kind, known))
    return writer


def _class_of(kind: str) -> type[Source]:
    found: type[Source] = _loaded(KINDS[kind])
    return found


def _loaded(place: str) -> Any:
    """What is called `name` in `module:name`."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def detect(text: str) -> tuple[str, str]:
    """The kind and value of a source as people write it: a path, `hub:owner/name` or `sample:digits`.

    Raises:
        SourceError: there is no such file or folder, or it is of no known kind.
    """
    kind, colon, value = text.partition(":")
    if colon and kind in KINDS:
        return kind, value
    if is_list(text) and is_archive(text.rpartition("/")[2]) and not is_there(path_of(text)):
        return "webdataset", text
    forget_remote(text)
    path = _existing(text)
    return (_kind_of_folder(path) if path.is_dir() else _kind_of_file(path, text)), text


def _kind_of_file(path: Path, text: str) -> str:
    found = next((kind for kind, is_one in FILES.items() if is_one(path)), ENDINGS.get(path.suffix.lower()))
    if found is not None:
        return found
    advice = ADVICE.get(path.suffix.lower(), "give the folder that holds the images")
    raise SourceError(f"{text} is a file of no kind that is read as a source", advice)


def _existing(text: str) -> Path:
    from augforge.io import sample_sets as samples

    try:
        return existing(text)
    except SourceError as error:
        if text in samples.NAMES:
            raise SourceError(error.message, f"for the sample data set write sample:{text}") from error
        named = re.fullmatch(r"[\w.-]{1,96}/[\w.-]{1,96}", text) and not Path(text).parent.is_dir()
        if named and not error.hint.startswith("did"):
            raise SourceError(error.message, f"for a data set on the Hugging Face Hub write hub:{text}") from error
        raise


def _kind_of_folder(folder: Path) -> str:
    try:
        return _sign_in(folder)
    except OSError as error:
        raise SourceError(f"{folder} cannot be read: {error.strerror}", "check its permissions") from error


def _sign_in(folder: Path) -> str:
    listing = Listing(folder)
    there = {path.name for path in folder.iterdir()}  # hidden ones too
    if "samples.parquet" in there:
        return "run"
    if _is_saved_dataset(there):
        return "dataset"
    if {"parts", ".lock"} <= there:
        raise SourceError(f"the run in {folder} has no result yet", "run the command that began it again to go on")
    return next((kind for kind, is_one in SIGNS.items() if is_one(listing)), "folder")


def _is_saved_dataset(names: set[str]) -> bool:
    """Whether a folder holds what `save_to_disk` writes."""
    return "dataset_dict.json" in names or {"dataset_info.json", "state.json"} <= names


def _holds_tables(listing: Listing, suffixes: Collection[str]) -> bool:
    """Whether files of some endings lie in a folder, or in one in it that is named as a split, a Hive key or `data`; or
    anywhere below it, if there is no image file.
    """
    for below in listing.folders(1):
        name = below.above.rstrip("/")
        near = not name or folder_split(name) or name.lower() == "data" or "=" in name
        if near and any(Path(file).suffix.lower() in suffixes for file in below.files):
            return True
    return holds_only(listing, suffixes)


SIGNS: dict[str, Callable[[Listing], bool]] = {
    "coco": lambda listing: bool(annotation_files(listing)),
    "imagefolder": holds_metadata,
    "webdataset": holds_archives,
    "parquet": lambda listing: _holds_tables(listing, PARQUET_SUFFIXES),
    "arrow": lambda listing: _holds_tables(listing, ARROW_SUFFIXES),
    "cvat": lambda listing: bool(cvat_files(listing)),
    "label-studio": holds_tasks,
    "yolo": holds_yolo,
    "voc": holds_voc,
    "labelme": holds_labelme,
    "openimages": holds_open_images,
    "segmentation": holds_masks,
    "video": holds_videos,
}
"""How a folder of each kind is known, in this order; what is none of them is a folder of class folders."""
FILES: dict[str, Callable[[Path], bool]] = {
    "coco": lambda path: path.suffix.lower() == ".json" and looks_like_coco(path),
    "label-studio": is_tasks,
    "labelme": is_labelme,
    "cvat": is_cvat,
    "yolo": is_data_file,
    "openimages": is_notes,
    "table": is_table,
    "webdataset": lambda path: is_archive(path.name),
    "video": is_video,
}
"""How an annotation file of each kind is known, in this order."""
