"""Kills at random instants of a run that is spread over workers: of a worker, a machine, the driver, or the store.

    python -m tests.faults.cluster_kills --kills 60 --engine ray
    python -m tests.faults.cluster_kills --kills 60 --engine ray --bucket

Every run ends, after as many commands as drivers were killed, with the bytes of an undisturbed run by the engine
`local`. The machines are raylets of one CPU each on this machine, kept by a process of their own.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.killing import Command, digests, forked, warm_up

MARK = "AUGFORGE_TEST_MARK"
RECIPE = """
name: kills
seed: 3
source: {{folder: {pictures}}}
stages:
  - {{generate: weather, per-class: 24, kind: fog, processes: 1}}
  - {{generate: augmented-conditioning, model: builtin-unclip, per-class: 8, batch: 4, steps: 2}}
  - {{filter: quality}}
  - {{filter: clip, any-class: true, keep: 0.9}}
  - {{filter: duplicates}}
  - {{select: facility-location, share: 0.5}}
"""
PATTERNS = ("samples.parquet", "certificates.json", "README.md", "dataset/*")
KEEPER = """
import random, sys
from ray.cluster_utils import Cluster
store, draw = 80 << 20, random.Random(0)
head = dict(num_cpus=0, object_store_memory=store, include_dashboard=False)
cluster = Cluster(initialize_head=True, head_node_args=head)
add = lambda: cluster.add_node(num_cpus=1, object_store_memory=store)
nodes = [add() for _ in range(int(sys.argv[1]))]
print(cluster.address, flush=True)
for line in sys.stdin:
    gone = nodes.pop(draw.randrange(len(nodes)))
    cluster.remove_node(gone, allow_graceful=False)
    nodes.append(add())
    print("killed", flush=True)
"""
STORE = """
import sys, time
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
port = server.get_host_and_port()[1]
print(port, flush=True)
for line in sys.stdin:
    server.stop()
    time.sleep(float(line))
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    print(port, flush=True)
"""


@dataclass
class Tally:
    """What was killed how often, how many results there were, and what differed."""

    kills: Counter[str] = field(default_factory=Counter)
    late: int = 0
    results: int = 0
    seconds: float = 0.0
    mismatches: list[str] = field(default_factory=list)


class Keeper:
    """The process that keeps the raylets."""

    def __init__(self, machines: int, mark: str) -> None:
        self.mark = mark
        command = [sys.executable, "-c", KEEPER, str(machines)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, MARK: mark},
        )  # fmt: skip
        self.address = self._line()

    def kill_machine(self) -> None:
        """Kill one machine, and add another."""
        assert self._process.stdin is not None
        self._process.stdin.write("kill\n")
        self._process.stdin.flush()
        self._line()

    def _line(self) -> str:
        """What it says next; Ray may say things of its own."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("killed") or line[0].isdigit():
                return line.strip()
        raise AssertionError("the machines have ended")

    def kill_worker(self, draw: random.Random) -> bool:
        """Kill one process of the run on these machines, if there is one; Ray's own belong to the machine."""
        found = [pid for pid in marked(self.mark) if _title(pid).startswith("ray::Actor")]
        return bool(found) and _kill(draw.choice(found))

    def end(self) -> None:
        """End it and all that it started."""
        self._process.kill()
        for pid in marked(self.mark):
            _kill(pid)


def marked(mark: str) -> list[int]:
    """The processes that were started, at any remove, with `mark` in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found


def _title(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def _kill(pid: int) -> bool:
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


class Torture:
    """Runs one recipe again and again, disturbs it, and compares."""

    def __init__(self, folder: Path, engine: str, machines: int, bucket: Bucket | None = None) -> None:
        self.folder, self.engine, self.bucket = folder, engine, bucket
        self.keeper = Keeper(machines, uuid.uuid4().hex) if engine == "ray" else None
        self._recipe = folder / "recipe.yaml"
        self._recipe.write_text(RECIPE.format(pictures=folder / "pictures"))

    def whole(self) -> dict[str, str]:
        """The digests of the undisturbed result of the engine `local`."""
        out = self.folder / "whole"
        assert _wait(self._start(out, ["--out", str(out)])) == 0, (self.folder / "whole.log").read_text()
        return digests(out, Command("", (), PATTERNS))

    def kills(self, count: int, seed: int, most: int = 3) -> Tally:
        """Disturb runs `count` times in all, up to `most` times each."""
        wanted, tally, draw = self.whole(), Tally(), random.Random(f"{seed} {self.engine}")
        lasts = self._lasts(wanted, tally)
        while sum(tally.kills.values()) < count:
            self._disturbed(wanted, tally, draw, lasts, min(most, count - sum(tally.kills.values())))
            tally.results += 1
            print(f"{sum(tally.kills.values())} kills, {dict(tally.kills)}, {tally.mismatches}", flush=True)
        return tally

    def _lasts(self, wanted: dict[str, str], tally: Tally) -> float:
        """Seconds of an undisturbed run with the engine, whose result is compared, too."""
        began = time.monotonic()
        name = uuid.uuid4().hex[:8]
        code = _wait(self._run(name))
        tally.seconds = time.monotonic() - began
        self._compare(name, wanted, tally, f"undisturbed it ended with exit code {code}" if code else "")
        return tally.seconds

    def _disturbed(self, wanted: dict[str, str], tally: Tally, draw: random.Random, lasts: float, most: int) -> None:
        name = uuid.uuid4().hex[:8]
        pid, code, done = self._run(name), None, 0
        for instant in sorted(draw.uniform(0, lasts) for _ in range(most)):
            code = _wait_for(pid, max(0.0, instant - done))
            done = instant
            if code is not None:
                tally.late += 1
                break
            what = self._disturb(draw, pid)
            tally.kills[what] += what != "nothing"
            if what == "driver":
                _wait(pid)
                pid = self._run(name)
        code = _wait(pid) if code is None else code
        problem = f"after {dict(tally.kills)} it ended with exit code {code}" if code else ""
        self._compare(name, wanted, tally, problem)

    def _disturb(self, draw: random.Random, pid: int) -> str:
        kinds = [
            "worker",
            "worker",
            "driver",
            *(["machine"] if self.keeper else []),
            *(["store"] if self.bucket else []),
        ]
        kind = draw.choice(kinds)
        if kind == "driver":
            return kind if _kill(pid) else "nothing"
        if kind == "machine" and self.keeper:
            self.keeper.kill_machine()
        elif kind == "store" and self.bucket:
            self.bucket.away(5.0)
        elif not self._kill_worker(draw, pid):
            return "nothing"
        return kind

    def _kill_worker(self, draw: random.Random, pid: int) -> bool:
        if self.keeper:
            return self.keeper.kill_worker(draw)
        found = [child for child in _children(pid) if "augforge" in _title(child)]
        return bool(found) and _kill(draw.choice(found))

    def _run(self, name: str) -> int:
        place = self.bucket.url(name) if self.bucket else str(self.folder / name)
        more = ["--address", self.keeper.address] if self.keeper else ["--workers", "2"]
        return self._start(self.folder / name, ["--out", place, "--engine", self.engine, *more])

    def _start(self, out: Path, options: list[str]) -> int:
        def work() -> None:
            from augforge.cli.app import main

            sys.argv = ["augforge", "run", str(self._recipe), "--no-lock", *options]
            main()

        return forked(work, out.with_suffix(".log"))

    def _compare(self, name: str, wanted: dict[str, str], tally: Tally, problem: str) -> None:
        log = (self.folder / f"{name}.log").read_text()[-600:]
        if problem:
            tally.mismatches.append(f"{problem}: {log}")
            return
        out = self.bucket.fetched(name, self.folder) if self.bucket else self.folder / name
        found = digests(out, Command("", (), PATTERNS))
        names = sorted(found.keys() | wanted.keys())
        tally.mismatches += [f"{each} differs" for each in names if found.get(each) != wanted.get(each)]

    def end(self) -> None:
        """End all machines."""
        if self.keeper:
            self.keeper.end()


class Bucket:
    """An object store on this machine that can be away for a while."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", STORE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        endpoint = f"http://127.0.0.1:{int(self._out.readline())}"
        os.environ |= {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
        os.environ |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL_S3": endpoint}
        self._client().create_bucket(Bucket="runs")

    def _client(self) -> Any:
        import boto3

        return boto3.client("s3")

    def url(self, name: str) -> str:
        """Where a run of this name lies."""
        return f"s3://runs/{name}"

    def away(self, seconds: float) -> None:
        """Do not answer for some seconds; what it holds stays."""
        self._in.write(f"{seconds}\n".encode())
        self._in.flush()
        self._out.readline()

    def fetched(self, name: str, folder: Path) -> Path:
        """The run as a folder."""
        client = self._client()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket="runs", Prefix=f"{name}/"):
            for each in page.get("Contents", []):
                path = folder / each["Key"]
                path.parent.mkdir(parents=True, exist_ok=True)
                client.download_file("runs", each["Key"], str(path))
        return folder / name

    def end(self) -> None:
        """Stop it."""
        self._process.kill()


def _wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _wait_for(pid: int, seconds: float) -> int | None:
    """The exit code of a child if it ends within some seconds."""
    end = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.02)


@contextmanager
def torture(folder: Path, engine: str, machines: int = 2, bucket: bool = False) -> Iterator[Torture]:
    """A `Torture` in a process that has imported what a run imports, and started nothing."""
    from tests.conftest import write_images

    write_images(folder / "pictures", {"cat": 12, "dog": 9})
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with ExitStack() as stack:
        store = Bucket() if bucket else None
        if store:
            stack.callback(store.end)
        one = Torture(folder, engine, machines, store)
        stack.callback(one.end)
        yield one


def main() -> None:
    """Kill, and say what differed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--engine", default="ray", choices=("processes", "ray"))
    parser.add_argument("--bucket", action="store_true")
    parser.add_argument("--machines", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    warm_up()
    with (
        tempfile.TemporaryDirectory() as folder,
        torture(Path(folder), given.engine, given.machines, given.bucket) as one,
    ):
        tally = one.kills(given.kills, given.seed)
    print(f"RESULT|{sum(tally.kills.values())}|{dict(tally.kills)}|{tally.late} too late|{tally.results} results")
    print(*tally.mismatches, sep="\n")
    sys.exit(bool(tally.mismatches))


if __name__ == "__main__":
    main()
