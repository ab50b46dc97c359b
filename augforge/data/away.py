"""A run in a bucket, for workers that do not see the folder of its driver, such as those on other machines.

What such a worker makes it writes into the bucket alone, under the names that the driver would give it, and only while
the driver holds the lease. What it reads of the run, which are generated images and trained models, it fetches into a
folder of its own below `AUGFORGE_CACHE`, which all workers of a machine share, and which may be deleted at any time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from augforge.data.mirror import TOKEN, cached, commit, url_of
from augforge.errors import StoreError
from augforge.remote.bucket import Bucket, all_at_once
from augforge.remote.lease import Watched


class Sent(NamedTuple):
    """An object that was written: its name below the URL of the run, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class InBucket:
    """Where a run lies that is written to a bucket: the folder of its driver, the URL, and the token of the lease."""

    folder: Path
    url: str
    lease: str

    @property
    def is_seen(self) -> bool:
        """Whether this process sees the folder of the driver, and not another one of the same name."""
        try:
            return (self.folder / TOKEN).read_text(encoding="ascii") == self.lease
        except OSError:
            return False

    def holds(self, path: Path) -> bool:
        """Whether a file or folder belongs to the run."""
        return path.is_relative_to(self.folder)

    def fetch(self, sent: Sent) -> None:
        """Bring an object that a worker has written into the folder of the driver, unless it is there.

        Raises:
            StoreError: there is no such object.
            RemoteError: it cannot be read.
        """
        if (self.folder / sent.name).exists():
            return
        try:
            Bucket(self.url).fetch(sent.name, sent.size, self.folder / sent.name)
        except FileNotFoundError as error:
            raise StoreError(
                f"{self.url}/{sent.name} is not there, though a worker says that it wrote it",
                "see that all machines find the same store under this URL, and run the same command to go on",
            ) from error


def in_bucket(inside: Iterable[Path]) -> InBucket | None:
    """The run that this process writes to a bucket, and of which one of some folders is, `RUN/KIND/NAME`; else None."""
    for run in dict.fromkeys(path.absolute().parent.parent for path in inside):
        if (url := url_of(run)) is not None:
            with suppress(FileNotFoundError):
                return InBucket(run, url, (run / TOKEN).read_text(encoding="ascii"))
    return None


class Away:
    """A run in a bucket as a worker has it that does not see the folder of the driver."""

    def __init__(self, run: InBucket) -> None:
        self._run, self._bucket = run, Bucket(run.url)
        self._lease = Watched(self._bucket, run.lease)
        self._own = cached("workers", run.url)
        self._sent: list[Sent] = []

    def commit(self, path: Path, content: Any) -> None:
        """As `augforge.data.mirror.commit`; a file of the run is written into the bucket, and nowhere else.

        Raises:
            StoreError: the driver has lost the lease.
            RemoteError: the store does not take it.
        """
        if not self._run.holds(path):
            commit(path, content)
            return
        self._lease.check()
        name = path.relative_to(self._run.folder).as_posix()
        self._bucket.put(name, content)
        self._sent.append(Sent(name, memoryview(content).nbytes))

    def sent(self) -> tuple[Sent, ...]:
        """What was written since the last time that this was asked."""
        sent, self._sent = tuple(self._sent), []
        return sent

    def parts(self, folder: Path) -> Path:
        """A folder of parts as it is in the bucket now, here; what is no longer there is removed here."""
        name = folder.relative_to(self._run.folder).as_posix()
        here = set((self._own / name).glob("*.arrow"))
        there = {name: size for name, (size, _) in self._bucket.stamps(name).items() if name.endswith(".arrow")}
        for path in here - {self._own / name for name in there}:
            path.unlink(missing_ok=True)
        self._fetch({self._own / name: Sent(name, size) for name, size in there.items()})
        return self._own / name

    def model(self, folder: Path) -> Path:
        """The folder of a trained model as it is in the bucket now, here: one of its own for each state of it.

        Raises:
            StoreError: there is none.
        """
        name = folder.relative_to(self._run.folder).as_posix()
        there = self._bucket.stamps(name)
        if not there:
            raise StoreError(f"there is no model at {self._bucket}/{name}", "run the same command to train it again")
        state = hashlib.sha256(repr(sorted(there.items())).encode()).hexdigest()[:12]
        here = self._own / f"{name}-{state}"
        here.mkdir(parents=True, exist_ok=True)
        self._fetch({here / each.removeprefix(f"{name}/"): Sent(each, size) for each, (size, _) in there.items()})
        return here

    def _fetch(self, wanted: Mapping[Path, Sent]) -> None:
        new = [(path, sent) for path, sent in wanted.items() if not path.exists()]
        all_at_once([partial(self._bucket.fetch, sent.name, sent.size, path) for path, sent in new])
