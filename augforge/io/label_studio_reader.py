"""Read what Label Studio exports as JSON: what people have drawn, chosen and written comes back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from augforge.errors import SourceError
from augforge.io.annotated import AnnotatedImages, classes_met, counted
from augforge.io.base import Entry, existing, split_name
from augforge.io.coco_own import OWN
from augforge.io.label_studio import LabelStudioWriter
from augforge.io.label_studio_notes import corrected, drawn
from augforge.io.label_studio_results import Results, gathered
from augforge.io.listing import Listing
from augforge.io.own import annotations_of
from augforge.io.peek import ends_of
from augforge.io.records import declared_classes, json_value, known_of, label_of, text_of
from augforge.io.splits import evaluation_first, path_split
from augforge.io.tree import SUFFIXES

PEEKED = 100
SIGNS = (rb'"data"\s*:\s*\{', rb'"(annotations|predictions)"\s*:\s*\[', rb'"result"\s*:\s*\[')
"""Of what Label Studio writes into each task, at least two are at the beginning or the end of a file."""
SERVED = re.compile(r"[?&]d=([^&]*)")
"""Where an address of Label Studio's own server has the path of a file."""
UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")
"""What Label Studio calls a file that was uploaded."""


@dataclass(frozen=True, slots=True)
class _Task:
    """A task: its data, its results, and whether there are results that count."""

    data: Mapping[str, Any]
    results: Results
    counts: bool


class LabelStudio(AnnotatedImages):
    """A JSON file that Label Studio exported (not JSON-MIN), or the folder in which it lies, beside the images.

    Of an image that several have annotated the last annotation is read; one that was skipped, and one of which there
    are only predictions of others, is not annotated. Rectangles, polygons, ellipses and brushes are boxes with
    outlines; keypoints below one region are one instance; choices are the label, and a text the caption. Other choices
    and texts become columns. Images are found by the ends of the paths in the tasks.

    Of a task that augforge has written, the prediction counts until somebody has annotated it; ids, splits, history and
    all that Label Studio has no place for come back, and what nobody changed does so exactly.
    """

    writer = LabelStudioWriter
    format = "Label Studio"
    declares_sizes = True

    def __init__(self, value: str, *, split: str | None = None) -> None:
        given = existing(value)
        self.where, self._split = f"label-studio {value}", split
        self._root = given if given.is_dir() else given.parent
        self._files = task_files(Listing(given)) if given.is_dir() else [given]
        if not self._files:
            raise SourceError(f"{self.where}: there is no JSON file of Label Studio in it", "export JSON, not JSON-MIN")
        self._counts: Counter[tuple[str, str]] = Counter()

    def classes(self) -> list[str]:
        """The classes that an export of augforge names, else those that are met, in natural order."""
        return declared_classes(self._root) or classes_met(self._all)

    @property
    def remarks(self) -> list[str]:
        """What is not read, and images that no task names."""
        told = {entry.locator for entry in self._all}
        bare = [locator for locator in self._images if locator not in told]
        counts = sorted(self._counts.items())
        said = [f"1 {one} is {what}" if n == 1 else f"{n:,} {one}s are {what}" for (one, what), n in counts if n]
        return [*said, *counted(bare, "image", "not used, as no task names it")]

    def _found(self) -> Iterator[Entry]:
        self._counts.clear()
        for file in self._files:
            tasks = [self._task(task) for task in self._tasks(file)]
            draws = any(task and task.results.regions for task in tasks)
            for place, task in enumerate(tasks):
                if task is None:
                    yield Entry(f"{file.name}#{place}", None, problem="it is no task: it has no data")
                else:
                    yield self._entry(task, draws, f"{file.name}#{place}")

    def _tasks(self, file: Path) -> Sequence[Any]:
        try:
            tasks = json_value(file.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise SourceError(f"{self.where}: {file.name} is damaged: {error}", "export it again") from error
        if not isinstance(tasks, list):
            raise SourceError(f"{self.where}: {file.name} is no list of tasks", "export JSON, not another format")
        return tasks

    def _task(self, task: Any) -> _Task | None:
        """A task with the results that count; None if it is none."""
        data = task.get("data") if isinstance(task, dict) else None
        if not isinstance(data, dict):
            return None
        counting = self._annotation(_dicts(task.get("annotations")))
        if counting is None and not task.get("annotations"):
            counting = self._prediction(_dicts(task.get("predictions")))
        return _Task(data, Results() if counting is None else self._results(counting), counting is not None)

    def _annotation(self, annotations: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        """The last annotation of a task that was not skipped."""
        given = [one for one in annotations if not one.get("was_cancelled")]
        self._counts["task", "annotated more than once, and read as the last time"] += len(given) > 1
        self._counts["task", "read as not annotated, being skipped"] += bool(annotations) and not given
        return max(given, key=lambda one: str(one.get("updated_at") or one.get("created_at") or ""), default=None)

    def _prediction(self, predictions: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        """What augforge wrote of a task."""
        ours = [one for one in predictions if one.get("model_version") == OWN]
        self._counts["task", "read as not annotated, having predictions alone"] += bool(predictions) and not ours
        return ours[0] if ours else None

    def _results(self, annotation: Mapping[str, Any]) -> Results:
        found = gathered(annotation.get("result"))
        for kind, count in found.unread.items():
            self._counts["result", f"of the type {kind}, which is not read"] += count
        return found

    def _entry(self, task: _Task, draws: bool, otherwise: str) -> Entry:
        ours = task.data.get(OWN)
        record = ours if isinstance(ours, dict) else {}
        known = known_of(record)
        locator, problem = self._locator(task.data, otherwise)
        split = text_of(record.get("split")) if known else _split_of(task.data, locator)
        found = self._images.get(locator) or (Entry(locator, None) if problem else self._other(locator, None))
        entry = replace(found, split=split_name(split) if split else None, problem=problem or found.problem)
        if not task.counts:
            return replace(entry, carried=known)
        size = task.results.size
        entry = replace(entry, size=size and size[::-1])
        if not known:
            label, annotations = drawn(task.results, draws)
            return replace(entry, label=label, annotations=annotations)
        return self._corrected(replace(entry, carried=known), task.results, record)

    def _corrected(self, entry: Entry, results: Results, record: Mapping[str, Any]) -> Entry:
        """An image that augforge wrote; a label that somebody has changed is no longer a model's."""
        before = label_of(record, record.get("labelled") is True)
        label, annotations = corrected(results, before, annotations_of(record, entry.carried))
        carried = entry.carried if label == before else {**(entry.carried or {}), "labelled_by": None}
        return replace(entry, label=label, annotations=annotations, carried=carried)

    def _locator(self, data: Mapping[str, Any], otherwise: str) -> tuple[str, str]:
        """Where the image of a task lies, and what is wrong with that: the image with the longest end of its path."""
        texts = [data.get("file"), data.get("image"), *data.values()]
        paths = [path for text in texts if isinstance(text, str) and _is_picture(path := _path(text))]
        for end in (end for path in paths for end in _ends(path)):
            if found := self._ending(end):
                return found[0], "" if len(found) == 1 else f"several images are called {end}"
        return (paths[0], "") if paths else (otherwise, "its task names no image")

    def _ending(self, end: str) -> list[str]:
        """The images whose paths end so; the one that is there, if it is the whole path."""
        if end in self._images:
            return [end]
        return [one for one in self._by_name.get(end.rpartition("/")[2], ()) if one.endswith(f"/{end}")]

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for locator in self._images:
            found.setdefault(locator.rpartition("/")[2], []).append(locator)
        return found


def _split_of(data: Mapping[str, Any], locator: str) -> str | None:
    """The split that a task, the path in its data or that of the picture tells; an evaluation split counts first."""
    own = text_of(data.get("split"))
    paths = [_path(text) for text in data.values() if isinstance(text, str) and _is_picture(_path(text))]
    told = [split_name(own) if own else None, *map(path_split, paths), path_split(locator)]
    return evaluation_first(*told)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _path(text: str) -> str:
    """The path in the address of an image."""
    served = SERVED.search(text)
    try:
        path = unquote(served[1]) if served else unquote(urlsplit(text).path) if "://" in text else text
    except ValueError:
        path = text
    return path.replace("\\", "/").lstrip("/")


def _ends(path: str) -> Iterator[str]:
    """The ends of a path, the longest first; then the name of a file without what an upload has put before it."""
    parts = path.split("/")
    yield from ("/".join(parts[start:]) for start in range(len(parts)))
    if uploaded := UPLOADED.fullmatch(parts[-1]):
        yield uploaded[1]


def _is_picture(path: str) -> bool:
    return path.rpartition(".")[2].lower() in SUFFIXES


def is_tasks(path: Path) -> bool:
    """Whether a JSON file begins as Label Studio's do: a list of tasks with annotations or predictions. Reads its
    beginning and its end.
    """
    if path.suffix.lower() != ".json":
        return False
    head, ends = ends_of(path)
    is_list = re.match(rb"(\xef\xbb\xbf)?\s*\[\s*\{", head) is not None
    return is_list and sum(re.search(sign, ends) is not None for sign in SIGNS) > 1


def task_files(listing: Listing) -> list[Path]:
    """The JSON files of Label Studio in a folder, or else one below it."""
    for depth in (0, 1):
        if found := list(filter(is_tasks, islice(listing.files(".json", depth), PEEKED))):
            return found
    return []


def holds_tasks(listing: Listing) -> bool:
    """Whether a folder has a JSON file of Label Studio."""
    return bool(task_files(listing))
