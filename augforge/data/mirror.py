"""A run whose place is a URL: a folder on this machine in which all is done, and the bucket in which it counts.

The folder is a mirror of the bucket, found by the URL under `AUGFORGE_CACHE` (`~/.cache/augforge`), and a file in it
says of which. What is named by its content (parts, vectors) is written into the bucket first: what is in the folder is
in the bucket, and a part counts from the moment its PUT has returned. The rest is written into the bucket at the end,
`run.json` last: who finds that finds all of it. One process at a time may write, by a lease (`augforge.remote.lease`).

Any process that writes parts into such a folder writes them into the bucket: a worker, too. Whether the lease is held
it sees by the file `.held`, which the holder writes whenever it has renewed it, and in which it says how it was lost.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from augforge.data.files import named, write_atomically
from augforge.errors import AugforgeError, RemoteError, StoreError
from augforge.remote.bucket import Bucket, all_at_once
from augforge.remote.lease import NAME as LEASE
from augforge.remote.lease import SECONDS, SURE, Lease

MARKER = ".mirror.json"
"""The file that says of which URL a folder is the mirror."""
HELD = ".held"
TOKEN = ".token"
"""The file that says which lease is held: who does not see it works elsewhere (`augforge.data.away`)."""
VARIABLE = "AUGFORGE_CACHE"
NOTE = ".progress.json"
RECORD = "run.json"
MARKS = frozenset({LEASE, RECORD, "parts"})
"""One of these is below every URL that a run has begun to write to."""
CONTENT_NAMED = ("parts", "vectors")
POLL = 0.2
Commit = Callable[[Path, Any], None]
"""What writes a file named by its content, such as `commit`."""
Known = dict[str, list[Any]]
"""Of a file, by its name: its stamp in the bucket, and the size and time of change that it had here then."""


def mirror_of(url: str) -> Path:
    """The folder on this machine for a run at a URL; it is made if there is none. Nothing is asked of the store.

    Raises:
        RemoteError: no run can be written there.
        StoreError: the folder cannot be made.
    """
    place = Bucket(url).url
    folder = cached("runs", place)
    if not (folder / MARKER).exists():
        write_atomically(folder / MARKER, json.dumps({"url": place}).encode())
    return folder


def cached(kind: str, place: str) -> Path:
    """The folder on this machine for what there is of a URL."""
    root = Path(os.environ.get(VARIABLE) or "~/.cache/augforge").expanduser()
    return root / kind / f"{place.rpartition('/')[2]}-{hashlib.sha256(place.encode()).hexdigest()[:12]}"


def url_of(folder: Path) -> str | None:
    """The URL of which a folder is the mirror, None of a plain folder."""
    try:
        return str(json.loads((folder / MARKER).read_bytes())["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def commit(path: Path, content: Any) -> None:
    """Write a file named by its content into `RUN/parts/NAME/` or `RUN/vectors/NAME/`: into the bucket first.

    Raises:
        StoreError: it cannot be written, or somebody else writes there now.
        RemoteError: the store does not take it.
    """
    if (mirror := _around(path)) is not None:
        mirror.put(path, content)
    write_atomically(path, content)


def discard(path: Path) -> None:
    """Remove a file named by its content, whose rows are in others now: from the bucket first."""
    if (mirror := _around(path)) is not None:
        mirror.remove(path)
    with named(path):
        path.unlink(missing_ok=True)


def _around(path: Path) -> Mirror | None:
    """The mirror in which a part lies."""
    folder = path.parent.parent.parent
    url = url_of(folder)
    return None if url is None else Mirror(folder, url)


class Mirror:
    """The folder of a run and its bucket."""

    def __init__(self, folder: Path, url: str, seconds: float | None = None) -> None:
        self.folder, self.url, self._seconds = folder, url, SECONDS if seconds is None else seconds
        self._bucket = Bucket(url)
        self._lease: Lease | None = None

    def check(self) -> None:
        """StoreError where something else than a run lies at the URL."""
        inside = self._bucket.top()
        if inside and not inside & MARKS:
            raise StoreError(f"{self.url} holds files that are not of a run", "choose an empty or new place for --out")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lease; bring the folder to the state of the bucket, and at the end the bucket to that of the folder.

        What a run leaves that ends with an error of augforge is kept, too, such as the ledger that says why. One that
        is interrupted leaves its parts.

        Raises:
            StoreError: another process holds it, or has taken it over meanwhile.
        """
        self._lease = Lease(self._bucket, self._seconds, self._tick, self._tell_workers)
        self._lease.take()
        self._touch()
        (self.folder / TOKEN).write_text(self._lease.token, encoding="ascii")
        try:
            self.fetch()
            try:
                yield
            except RemoteError:
                raise
            except AugforgeError:
                with suppress(AugforgeError):  # the first error is the one to tell
                    self.push()
                raise
            self.push()
        finally:
            with suppress(AugforgeError):
                self.sure()
                self._put_note()
            for name in (HELD, TOKEN):
                with suppress(OSError):
                    (self.folder / name).unlink(missing_ok=True)
            self._lease.release()
            self._lease = None

    def _touch(self) -> None:
        (self.folder / HELD).write_bytes(b"")

    def _tell_workers(self, why: str) -> None:
        (self.folder / HELD).write_text(why, encoding="utf-8")

    def _tick(self) -> None:
        """After each renewal: the workers may go on, and the bucket knows how far the run is."""
        self._touch()
        self._put_note()

    def _put_note(self) -> None:
        with suppress(FileNotFoundError):
            self._bucket.put(NOTE, (self.folder / NOTE).read_bytes(), patience=0.0)

    def sure(self) -> None:
        """Be sure that this run may write, whichever of its processes this is.

        Raises:
            StoreError: another process has taken the run over.
        """
        if self._lease is not None:
            self._lease.check()
            return
        until = time.monotonic() + self._seconds
        while True:
            why = "is no longer held by this run"
            with suppress(FileNotFoundError):
                why = (self.folder / HELD).read_text(encoding="utf-8")
                if not why and time.time() - (self.folder / HELD).stat().st_mtime < self._seconds * SURE:
                    return
            if why or time.monotonic() > until:
                why = why or "could not be held any longer"
                raise StoreError(f"{self.url} {why}: this run stops", "what it had written is kept")
            time.sleep(POLL)

    def put(self, path: Path, content: Any) -> None:
        """Write what is named by its content into the bucket."""
        self.sure()
        self._bucket.put(self._name(path), content)

    def remove(self, path: Path) -> None:
        """Remove an object from the bucket."""
        self.sure()
        self._bucket.remove(self._name(path))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def forget_result(self) -> None:
        """Remove run.json from the bucket: from now on nobody takes what is there for finished."""
        self.sure()
        self._bucket.remove(RECORD)

    def empty(self) -> None:
        """Remove all from the bucket but the lease, run.json first."""
        self.forget_result()
        names = [name for name in self._bucket.stamps() if name != LEASE]
        self.sure()
        all_at_once([partial(self._bucket.remove, name) for name in names])
        self._write_note({})

    def fetch(self) -> str:
        """Bring the folder to the state of the bucket: fetch what is new there, and forget what is not there.

        Returns:
            The stamp of run.json as it was listed, "" where there is none.
        """
        there, known = self._bucket.stamps(), self._known()
        there.pop(LEASE, None)
        self._forget_all_but(there)
        wanted = [name for name, (size, stamp) in there.items() if self._is_new(name, size, stamp, known)]
        all_at_once([partial(self._bucket.fetch, name, there[name][0], self.folder / name) for name in wanted])
        fresh = {name: [there[name][1], *_facts(self.folder / name)] for name in filter(_is_result, wanted)}
        self._write_note({name: facts for name, facts in (known | fresh).items() if name in there})
        return there.get(RECORD, (0, ""))[1]

    def _forget_all_but(self, there: Mapping[str, object]) -> None:
        """Remove what counts for nothing where it is not in the bucket: its PUT did not return, or it was removed."""
        gone = [path for path in self._files() if self._name(path) not in there]
        for path in gone:
            if _by_content(self._name(path)) or self._name(path) == RECORD:
                path.unlink(missing_ok=True)

    def stamp(self) -> str:
        """The stamp of run.json in the bucket now, "" where there is none."""
        return self._bucket.stamps().get(RECORD, (0, ""))[1]

    def _is_new(self, name: str, size: int, stamp: str, known: Known) -> bool:
        """Whether an object has to be fetched. What the folder has of an object that is as it was, may be newer."""
        path = self.folder / name
        if _by_content(name):
            return not path.exists() or path.stat().st_size != size
        return not path.exists() or known.get(name, [""])[0] != stamp

    def keep(self, top: str) -> None:
        """Bring what lies in a folder of the run into the bucket already, such as the models that were trained."""
        known = self._known()
        self._write_note(known | self._put_files([n for n in self._changed(known) if n.startswith(f"{top}/")]))

    def push(self) -> None:
        """Bring the bucket to the state of the folder, run.json last."""
        known = self._known()
        changed, gone = self._changed(known), known.keys() - self._results().keys()
        if not changed and not gone:
            return
        self.forget_result()
        last = [RECORD] if (self.folder / RECORD).exists() else []
        put = self._put_files([name for name in changed if name != RECORD])
        all_at_once([partial(self._bucket.remove, name) for name in gone])
        put |= self._put_files(last)
        self._write_note({name: facts for name, facts in (known | put).items() if name not in gone})

    def _results(self) -> dict[str, Path]:
        """The files of the run that are not named by their content, by their names."""
        return {name: path for path in self._files() if _is_result(name := self._name(path))}

    def _changed(self, known: Known) -> list[str]:
        """Those of them that differ from what is in the bucket."""
        return [name for name, path in self._results().items() if known.get(name, [""])[1:] != _facts(path)]

    def _put_files(self, names: list[str]) -> Known:
        """Write files into the bucket; what is known of them then."""
        stamps = all_at_once([partial(self._put_file, name) for name in names])
        return {name: [stamp, *_facts(self.folder / name)] for name, stamp in zip(names, stamps, strict=True)}

    def _put_file(self, name: str) -> str:
        self.sure()
        return self._bucket.put_file(name, self.folder / name)

    def _files(self) -> Iterator[Path]:
        """The files of the run in the folder; hidden ones are of this machine."""
        for inside, folders, files in os.walk(self.folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from (Path(inside, name) for name in sorted(files) if not name.startswith("."))

    def _known(self) -> Known:
        """Stamp in the bucket, and size and time of change here, of what was the same in both when it was last seen."""
        try:
            known = json.loads((self.folder / MARKER).read_bytes())["known"]
        except (OSError, ValueError, KeyError):
            return {}
        return dict(known)

    def _write_note(self, known: Known) -> None:
        write_atomically(self.folder / MARKER, json.dumps({"url": self.url, "known": known}).encode())


def _by_content(name: str) -> bool:
    """Whether an object is named by its content."""
    return name.partition("/")[0] in CONTENT_NAMED and name.endswith(".arrow")


def _is_result(name: str) -> bool:
    """Whether an object is one of those whose content changes under its name."""
    return not _by_content(name) and name != NOTE


def _facts(path: Path) -> list[int]:
    facts = path.stat()
    return [facts.st_size, facts.st_mtime_ns]
