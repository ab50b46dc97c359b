"""Video: the frames of video files, and of folders that hold the frames of one video each."""

from __future__ import annotations

import hashlib
import io
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from augforge.errors import BadImage, SourceError
from augforge.io.annotated import folders_below
from augforge.io.base import Entry, Source, existing, file_stamp, natural, only
from augforge.io.splits import LAYOUT, evaluation_first, folder_split, no_classes, paired_splits, path_split
from augforge.io.table_files import holds_only
from augforge.io.tree import SUFFIXES as PICTURES
from augforge.io.tree import Tree
from augforge.io.video_frames import SUFFIXES, VideoFile
from augforge.optional import require

if TYPE_CHECKING:
    from augforge.io.listing import Listing
    from augforge.io.understood import Understood

OPEN = 4
"""Video files that are open at once."""


class Video(Source):
    """A video file, or a folder of video files, of folders of frames, or of both.

    A frame is called VIDEO#FRAME: `walk.mp4#000012` is the thirteenth frame of a file, read as PNG, and
    `walk#0012.jpg` the picture of that name in the folder `walk`, read as it is. Frames come in their order, `every`
    one of N. The split of a video is that which one of its folders names, or its own name as an evaluation split; all
    of its frames are of that. Its class is the outermost folder that names neither a split nor a layout, and in which
    video files or folders of frames lie; with `classes` false it has none.
    """

    format = "video"

    def __init__(self, value: str, *, split: str | None = None, every: int = 1, classes: bool = True) -> None:
        path = existing(value)
        self.where = f"video {value}"
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise SourceError(
                f"{self.where}: every is a whole number from 1 on, not {every!r}", "every: 10 is each tenth"
            )
        self._root = path if path.is_dir() else path.parent
        self._given = None if path.is_dir() else path.name
        self._split, self._every, self._labelled = split, every, classes
        self._files: OrderedDict[str, VideoFile] = OrderedDict()
        self._lock = Lock()
        self._ignored: Counter[str] = Counter()
        if self._given is not None or any(not frames for frames in self._videos.values()):
            require("av", who=self.where, error=SourceError)

    def classes(self) -> list[str]:
        """The classes in natural order."""
        return sorted({label for video in self._videos if (label := self._label(video)) is not None}, key=natural)

    def entries(self) -> Iterator[Entry]:
        """Video by video, frame by frame."""
        yield from only(self._every_entry(), self._split, self.where)

    def read(self, locator: str) -> bytes:
        """The frame of a file as PNG, or the bytes of a picture."""
        video, mark, frame = locator.rpartition("#")
        if not mark or video not in self._videos:
            raise BadImage(f"there is no frame {locator}")
        if self._videos[video]:
            return self._tree.read(f"{video}/{frame}".removeprefix("./"))
        if not (frame.isascii() and frame.isdigit()):
            raise BadImage(f"there is no frame {locator}")
        return _png(self._file(video), int(frame))

    def fingerprint(self) -> str:
        """Changes with any file that is listed; no video is opened."""
        total = hashlib.sha256(repr((self.where, self._split, self._every, self._labelled)).encode())
        for video, frames in self._videos.items():
            for name in frames or [""]:
                total.update(repr((video, name, self._stamp(f"{video}/{name}" if name else video))).encode())
        return total.hexdigest()

    def unused(self) -> Mapping[str, int]:
        """Files that are neither videos nor pictures."""
        return self._ignored

    def notes(self, told: Understood) -> Iterable[str]:
        """How much alike frames are, and what helps."""
        if self._every == 1 and any(len(frames) != 1 for frames in self._videos.values()):
            yield "neighbouring frames are nearly the same picture: every: 10 takes each tenth"

    @cached_property
    def _tree(self) -> Tree:
        return Tree(str(self._root), self.where)

    @cached_property
    def _videos(self) -> dict[str, list[str]]:
        """The paths of all videos, in natural order: with the names of their pictures if they are folders, else []."""
        if self._given is not None:
            return {self._given: []}
        found: dict[str, list[str]] = {}
        for above, names in folders_below(self._root):
            found |= self._videos_in(above, sorted(names, key=natural))
        if not found:
            raise SourceError(f"{self.where}: there is neither a video nor a picture in it", "give another folder")
        self._check_classes(found)
        return found

    def _videos_in(self, above: str, names: list[str]) -> dict[str, list[str]]:
        """The videos of one folder, its files by their names: video files, and it itself if pictures lie in it."""
        frames = [name for name in names if Path(name).suffix.lower()[1:] in PICTURES]
        files = [name for name in names if is_video(Path(name))]
        self._ignored.update(Path(name).suffix.lower() or name for name in {*names} - {*frames, *files})
        found: dict[str, list[str]] = {above + name: [] for name in files}
        return {**found, above.rstrip("/") or ".": frames} if frames else found

    def _check_classes(self, videos: Iterable[str]) -> None:
        labels = {label for video in videos if (label := self._label(video)) is not None}
        if (names := paired_splits(labels)) is not None:
            raise no_classes(self.where, names)

    def _label(self, video: str) -> str | None:
        named = [name for name in video.split("/")[:-1] if folder_split(name) is None and name.lower() not in LAYOUT]
        return named[0] if named and self._labelled else None

    def _every_entry(self) -> Iterator[Entry]:
        for video, frames in self._videos.items():
            inside = path_split(f"{video}/x") if frames else None
            label, split = self._label(video), evaluation_first(inside, path_split(f"{video}.x" if frames else video))
            if frames:
                for name in frames[:: self._every]:
                    yield Entry(f"{video}#{name}", label, split, self._stamp(f"{video}/{name}"))
            else:
                yield from self._frames_of(video, label, split)

    def _frames_of(self, video: str, label: str | None, split: str | None) -> Iterator[Entry]:
        try:
            file = self._file(video)
            count, stamp = len(file), self._stamp(video)
        except BadImage as error:
            yield Entry(video, label, split, self._stamp(video), problem=str(error))
            return
        for number in range(0, count, self._every):
            yield Entry(f"{video}#{number:06d}", label, split, stamp)
        if file.damage or not count:
            problem = f"its video is damaged after {count} frames: {file.damage}" if count else "its video has no frame"
            yield Entry(video, label, split, stamp, problem=problem)

    def _file(self, video: str) -> VideoFile:
        with self._lock:
            if video not in self._files:
                self._files[video] = VideoFile(self._root / video)
            self._files.move_to_end(video)
            for name in [*self._files][:-OPEN]:
                self._files[name].close()
            return self._files[video]

    def _stamp(self, path: str) -> str:
        try:
            return file_stamp(self._root / path)
        except OSError:
            return ""


def _png(video: VideoFile, number: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(video.frame(number)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def is_video(path: Path) -> bool:
    """Whether a file is a video by its ending."""
    return path.suffix.lower() in SUFFIXES


def holds_videos(listing: Listing) -> bool:
    """Whether videos lie in a folder or below it, and no pictures."""
    return holds_only(listing, SUFFIXES)
