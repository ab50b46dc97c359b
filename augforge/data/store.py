"""The run folder: parts committed whole or not at all, one writer at a time. `docs/format.md` has every field.

DIR/
  recipe.yaml  README.md  samples.parquet  dataset/  run.json      the result
  parts/<stage>-<key>/<digest>.arrow                              what each stage generated or measured
  vectors/<key>/<digest>.arrow                                    embeddings, by image digest
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from augforge.data.files import named, read_sealed
from augforge.data.holder import sign
from augforge.data.mirror import MARKER, Mirror, url_of
from augforge.data.parts import Parts
from augforge.data.record import FILES, FORMAT, format_of
from augforge.errors import StoreError

MARKS = frozenset({".lock", "run.json"})
"""One of these is in every folder that a run has begun to write."""
WRITTEN = ("run.json", "parts", "vectors", "models", "dataset", ".progress.json", *FILES)
"""What a run writes, its own record first: without that, nothing is taken for finished."""


class Store:
    """One run folder, held by one process; `shared` is the folder of embeddings that runs share, if any."""

    def __init__(
        self, folder: Path, say: Callable[[str], None] = lambda text: None, shared: Path | None = None
    ) -> None:
        self.folder = folder
        self.say = say
        self.shared = shared
        url = url_of(folder)
        self.mirror = None if url is None else Mirror(folder, url)
        """What brings the folder and a bucket together, where the run lies in one."""
        self.name = url or str(folder)
        """Where the run lies, for people."""

    @contextmanager
    def locked(self, shared: bool = False) -> Iterator[None]:
        """Hold the folder; StoreError if another process does, or if it is not a folder of ours.

        With `shared` others may hold it at the same time that share it, too.
        """
        self.check()
        with named(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with named(self.folder / ".lock"):
            file = (self.folder / ".lock").open("a")
        with file:
            try:
                fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(
                    f"another augforge is writing to {self.name}", "wait for it, or choose another --out"
                ) from None
            sign(file.fileno())
            if not shared:
                self._sweep()
            with nullcontext() if self.mirror is None else self.mirror.held():
                yield

    def check(self) -> None:
        """StoreError where no run can be written: a file, a folder of something else, or of another format.

        Nothing is made or locked for it.
        """
        for path, option in ((self.folder, "--out"), (self.shared or self.folder, "--store")):
            if path.exists() and not path.is_dir():
                raise StoreError(f"{path} is a file", f"choose a folder for {option}")
        self._refuse_others()
        version = format_of(self.folder)
        if version not in (None, FORMAT):
            raise StoreError(
                f"{self.folder} was written in format {version}, this augforge writes format {FORMAT}",
                "run into a new folder, or use the augforge version that wrote it",
            )

    def _refuse_others(self) -> None:
        """StoreError where files lie that are not of a run."""
        if self.mirror is not None:
            self.mirror.check()
        inside = {p.name for p in self.folder.iterdir()} - {MARKER} if self.folder.is_dir() else set()
        if inside and not inside & MARKS:
            raise StoreError(
                f"{self.folder} holds files that are not of a run", "choose an empty or new folder for --out"
            )

    def _sweep(self) -> None:
        """Remove the half-written files of a process that was killed: the lock is ours, so nobody writes them."""
        for path in self.folder.glob("parts/*/.*.tmp"):
            with suppress(OSError):
                path.unlink()

    def clear(self) -> None:
        """Remove what runs write into the folder, if it is of a run and nobody else holds it; other files stay."""
        with self.locked():
            self.empty()

    def empty(self) -> None:
        """As `clear`, of a folder that is held already."""
        if self.mirror is not None:
            self.mirror.empty()
        for path in (self.folder / name for name in WRITTEN):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def forget_result(self) -> None:
        """Take away the record of the result: what follows it is not whole until there is another."""
        if self.mirror is not None:
            self.mirror.forget_result()
        with named(self.folder / "run.json"):
            (self.folder / "run.json").unlink(missing_ok=True)

    def keep_models(self) -> None:
        """Bring the models that were trained to where the run lies, if that is not here."""
        if self.mirror is not None:
            self.mirror.keep("models")

    def state(self) -> dict[str, Any]:
        """What the last completed run wrote about itself; {} if there is none, or if it is damaged, which is said."""
        try:
            return read_sealed(self.folder / "run.json") or {}
        except StoreError as error:
            self.say(f"{error.message}; the result is written again")
            return {}

    def parts(self, name: str, schema: pa.Schema, by: str = "id") -> Parts:
        """The parts called `name`, whose rows are found by the column `by`."""
        return Parts(self.folder / "parts" / name, schema, by, self.say)

    def vectors(self, key: str) -> Parts:
        """The embeddings of one model: `digest` of the input, `vector` (d,) float32."""
        schema = pa.schema([("digest", pa.string()), ("vector", pa.list_(pa.float32()))])
        return Parts(self.folder / "vectors" / key, schema, "digest", self.say)
