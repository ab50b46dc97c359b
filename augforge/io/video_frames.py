"""The frames of one video file, by their numbers: decoded forwards as far as possible, with PyAV."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from augforge.errors import BadImage, SourceError
from augforge.optional import require
from augforge.remote.places import local_copy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

SUFFIXES = frozenset({
    ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".webm", ".wmv",
})  # fmt: skip
"""What counts as a video, in any case."""
REMEMBERED = 12
"""Frames that are kept when they were decoded: several threads ask for neighbours in any order."""


class VideoFile:
    """The frames of the first video stream of a file, in the order in which they are shown.

    `frame` may be called from several threads. A number belongs to a time stamp, so that a frame is the same however it
    is reached; where a file has no time stamps, frames are counted from the beginning.
    """

    def __init__(self, path: Path) -> None:
        require("av", who=f"the video {path.name}", error=SourceError)
        self._path, self._lock = path, Lock()
        self._frames: Iterator[Any] | None = None
        self._next = 0
        self._seen: OrderedDict[int, Pixels | None] = OrderedDict()
        self._times: list[int] | None = None
        self._starts: list[int] = []
        self._count: int | None = None
        self.damage = ""
        """Why no frame follows the last one, if the file is damaged there; known once they are counted."""

    def __len__(self) -> int:
        """The number of frames; BadImage if there is none. Nothing is decoded unless the file has no time stamps."""
        if self._count is None:
            with self._lock, self._guarded():
                self._look()
        return self._count or 0

    def frame(self, number: int) -> Pixels:
        """(h, w, 3) a frame, upright; BadImage if it cannot be decoded."""
        if not 0 <= number < len(self):
            raise BadImage(f"the video has no frame {number}")
        with self._lock, self._guarded():
            if number not in self._seen:
                self._go_towards(number)
            while number not in self._seen:
                self._decode_towards(number)
            found = self._seen[number]
        if found is None:
            raise BadImage(f"frame {number} of its video is damaged")
        return found

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._frames = None
            self._seen.clear()

    def _guarded(self) -> Any:
        return _Guard(self._path)

    def _look(self) -> None:
        """Find the time stamps of all frames, and which of them decoding can start with."""
        packets: list[tuple[Any, bool]] = []
        try:
            packets += self._packets()
        except OSError as error:  # av's errors are of these; what comes before is sound
            if not packets:
                raise
            self.damage = str(error)
        if packets and all(time is not None for time, _ in packets):
            self._times = sorted({time for time, _ in packets})
            self._starts = sorted(self._times.index(time) for time, starts in packets if starts)
            self._count = len(self._times)
        else:
            self._count = sum(1 for _ in self._decoded(None))

    def _packets(self) -> Iterator[tuple[Any, bool]]:
        import av

        with av.open(str(local_copy(self._path)), metadata_errors="replace") as file:
            for packet in file.demux(file.streams.video[0]):
                if packet.size and not packet.is_discard:
                    yield packet.pts, packet.is_keyframe

    def _decoded(self, start: int | None) -> Iterator[tuple[int, Any]]:
        """Numbers and frames, from the last one before `start` that decoding can begin with."""
        import av

        with av.open(str(local_copy(self._path)), metadata_errors="replace") as file:
            stream = file.streams.video[0]
            stream.thread_type = "AUTO"
            if start is not None and self._times is not None:
                file.seek(self._times[start], stream=stream)
            for count, frame in enumerate(file.decode(stream)):
                if self._times is None:
                    yield count, frame
                elif (place := bisect_right(self._times, frame.pts) - 1) >= 0 and self._times[place] == frame.pts:
                    yield place, frame

    def _go_towards(self, number: int) -> None:
        """Jump, if that is the way to a frame, or if decoding has gone past it."""
        start = bisect_right(self._starts, number)
        nearest = self._starts[start - 1] if start else 0
        if self._frames is None or number < self._next or nearest > self._next:
            self._frames, self._next = self._decoded(number), 0

    def _decode_towards(self, number: int) -> None:
        """Decode the next frame, which may not be one after `number`."""
        found = None if self._frames is None else next(self._frames, None)
        if found is None or found[0] > number:
            self._frames = None
            raise BadImage(f"frame {number} of its video cannot be decoded")
        self._next = found[0] + 1
        self._seen[found[0]] = None if found[1].is_corrupt else _upright(found[1])
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)


class _Guard:
    """Makes errors of PyAV reasons of an image."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        import av

        if isinstance(
            error, av.FFmpegError | OSError | IndexError | ValueError
        ):  # a stream that is not there is an index
            why = "it has no video stream" if isinstance(error, IndexError) else error
            raise BadImage(f"its video cannot be read: {why}") from error


def _upright(frame: Any) -> Pixels:
    """(h, w, 3) RGB of a decoded frame, turned as the file says that it is shown."""
    import numpy as np

    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, round((frame.rotation or 0) / 90) % 4))
