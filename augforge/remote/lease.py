"""Who may write below a URL: a lease, an object that one process holds for a while and renews.

It is made on the condition that there is none, and renewed and taken over on the condition that it is still the one
that was seen (`augforge.remote.conditions`): of several processes that try at once, one succeeds. How old it is tells
the store's own clock, so that those of the machines may differ.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from augforge.errors import AugforgeError, RemoteError, StoreError
from augforge.remote.bucket import Bucket
from augforge.remote.conditions.protocol import Seen

NAME = ".lease"
SECONDS = 60.0
"""How long a lease is good for after it was written."""
SURE = 0.75
"""The share of that time in which its holder writes without asking again."""
COARSE = 1.0
"""Seconds by which an age may be wrong: the store says whole seconds."""
RENEWALS = 4
"""How often it is renewed in that time."""
WATCH = 3.0
"""Seconds after which those who write for its holder elsewhere look at it again."""
POLL = 0.5


@dataclass(frozen=True, slots=True)
class Held:
    """A lease as others see it: who holds it, or held it last, for how long, and whether it is good still."""

    process: int
    machine: str
    since: float
    seconds: float
    age: float
    released: bool

    @property
    def left(self) -> float:
        """Seconds until somebody else may take it, at least 0."""
        return 0.0 if self.released else max(0.0, self.seconds + COARSE - self.age)


def held(bucket: Bucket) -> Held | None:
    """The lease below a URL; None if nobody has ever had one there."""
    seen = bucket.look(NAME)
    return None if seen is None else _parsed(seen)


class Lease:
    """The right to write below a URL, from `take` to `release`.

    In its own thread, `tick` is called after every renewal, and `lost` with the reason when it is lost.
    """

    def __init__(
        self,
        bucket: Bucket,
        seconds: float = SECONDS,
        tick: Callable[[], None] = lambda: None,
        lost: Callable[[str], None] = lambda why: None,
    ) -> None:
        self._bucket, self._seconds, self._tick, self._when_lost = bucket, seconds, tick, lost
        self._token, self._since = secrets.token_hex(16), time.time()
        self._etag, self._until, self._lost = "", 0.0, ""
        self._lock, self._ended = threading.RLock(), threading.Event()
        self._thread = threading.Thread(target=self._renew_often, name="lease", daemon=True)

    @property
    def token(self) -> str:
        """What tells it from every other one."""
        return self._token

    def take(self) -> None:
        """Take the lease, and renew it from now on.

        Raises:
            StoreError: somebody else has it.
        """
        etag = None
        while etag is None:
            began = time.monotonic()
            etag = self._bucket.put_new(NAME, self._content())
            if etag is None and (seen := self._bucket.look(NAME)) is not None:
                etag = seen.etag if self._is_mine(seen) else self._taken_over(seen)
        self._etag, self._until = etag, began + self._seconds * SURE
        self._thread.start()

    def _taken_over(self, seen: Seen) -> str | None:
        """The ETag of this lease in place of one that is over; None if somebody else was quicker."""
        other = _parsed(seen)
        if other.left > 0 and not _has_ended(seen):
            raise StoreError(
                f"another augforge is writing to {self._bucket}: process {other.process} on {other.machine}",
                f"wait for it, or choose another --out; if it was killed, its lease ends in {other.left:.0f} s",
            )
        return self._bucket.put_over(NAME, self._content(), seen.etag)

    def check(self) -> None:
        """Be sure to have the lease still, just before something is written.

        Raises:
            StoreError: somebody else has taken it.
            RemoteError: the store does not answer.
        """
        with self._lock:
            if not self._lost and time.monotonic() > self._until:
                self._renew(None)
            if self._lost:
                raise StoreError(f"{self._bucket} {self._lost}: this run stops", "what it had written is kept")

    def release(self) -> None:
        """Let others have it at once; where the store does not answer, when its time is over."""
        self._ended.set()
        self._thread.join()
        with self._lock:
            if not self._lost:
                with suppress(AugforgeError):
                    self._bucket.put_over(NAME, self._content(released=True), self._etag)
            self._lost = self._lost or "is no longer held"

    def _renew_often(self) -> None:
        while not self._ended.wait(self._seconds / RENEWALS):
            with suppress(RemoteError):  # the next time it is tried again, and before anything is written
                with self._lock:
                    self._renew(self._seconds / RENEWALS)
                if self._lost:
                    self._when_lost(self._lost)
                    return
                self._tick()

    def _renew(self, patience: float | None) -> None:
        """Write the lease again, or find out that it is lost."""
        began = time.monotonic()
        etag = self._bucket.put_over(NAME, self._content(), self._etag, patience)
        if etag is None:
            seen = self._bucket.look(NAME)
            if seen is None or not self._is_mine(seen):
                self._lost = _taken_by(seen)
                return
            etag = seen.etag  # it was written, and only the answer was lost
        self._etag, self._until = etag, began + self._seconds * SURE

    def _is_mine(self, seen: Seen) -> bool:
        return bool(_plain(seen).get("token") == self._token)

    def _content(self, released: bool = False) -> bytes:
        plain = {
            "process": os.getpid(),
            "machine": socket.gethostname(),
            "namespace": _namespace(),
            "since": self._since,
            "seconds": 0 if released else self._seconds,
            "released": released,
            "token": self._token,
            "written": time.time(),  # so that no two have the same ETag
        }
        return json.dumps(plain).encode()


class Watched:
    """The lease with a `token` below a URL, as those see it who write there for its holder, on other machines.

    It is read at most every `every` seconds, WATCH if it is not given. Whoever may take it over at once is a process of
    the holder's own machine, if the holder is dead: then one that writes for the dead one may go on for so long.
    """

    def __init__(self, bucket: Bucket, token: str, every: float | None = None) -> None:
        self._bucket, self._token, self._every = bucket, token, WATCH if every is None else every
        self._until = 0.0

    def check(self) -> None:
        """Be sure that the lease is still that one, and good; one that was not renewed in time is waited for.

        Raises:
            StoreError: somebody else has it, or nobody.
            RemoteError: the store does not answer.
        """
        while time.monotonic() >= self._until:
            began, seen = time.monotonic(), self._bucket.look(NAME)
            if seen is None or _plain(seen).get("token") != self._token:
                self._stop(_taken_by(seen))
            now = _parsed(seen)
            if now.left <= 0:
                self._stop("is no longer held by this run" if now.released else "could not be held any longer")
            self._until = began + min(self._every, now.seconds * SURE - now.age)
            if time.monotonic() >= self._until:
                time.sleep(POLL)

    def _stop(self, why: str) -> NoReturn:
        raise StoreError(f"{self._bucket} {why}: this run stops", "what it had written is kept")


def _plain(seen: Seen) -> dict[str, Any]:
    """What a lease says; {} of one that is damaged."""
    try:
        plain = json.loads(seen.content)
    except ValueError:
        return {}
    return plain if isinstance(plain, dict) else {}


def _parsed(seen: Seen) -> Held:
    plain = _plain(seen)
    return Held(
        process=int(plain.get("process", 0)),
        machine=str(plain.get("machine", "an unknown machine")),
        since=float(plain.get("since", 0.0)),
        seconds=float(plain.get("seconds", SECONDS)),
        age=seen.age,
        released=bool(plain.get("released", False)),
    )


def _taken_by(seen: Seen | None) -> str:
    if seen is None:
        return "has lost its lease, which somebody removed"
    other = _parsed(seen)
    return f"was taken over by process {other.process} on {other.machine}"


def _has_ended(seen: Seen) -> bool:
    """Whether it is sure that the holder is gone: it was a process of this machine, as this process sees it."""
    plain = _plain(seen)
    if not _namespace() or plain.get("namespace") != _namespace():
        return False
    try:
        os.kill(int(plain["process"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, KeyError, ValueError):
        return False
    return False


def _namespace() -> str:
    """What the numbers of processes belong to: this start of this machine, or a container; "" where that is unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - it names no path
    except OSError:
        return ""
