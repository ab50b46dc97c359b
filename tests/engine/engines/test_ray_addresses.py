"""Ways to a cluster that somebody else has started: `auto`, `HOST:PORT` and `ray://`, and how their ends are told."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from augforge.errors import AugforgeError
from tests.engine.engines.test_ray import ROOT, SCRIPT, until
from tests.engine.engines.works import Doubling, parts_in, place, row, rows_of
from tests.faults.cluster_kills import MARK, marked

pytest.importorskip("ray")

import ray

from augforge.engine.engines import ray as engines
from augforge.engine.engines.ray import Ray
from augforge.engine.engines.ray_pulse import Pulse


@pytest.mark.parametrize(("alive", "told"), [(True, ""), (False, "Ray has ended on this machine")])
def test_a_machine_whose_own_ray_has_ended_waits_for_nobody(alive: bool, told: str, monkeypatch) -> None:
    nodes = [
        {"NodeID": "head", "Alive": True, "Resources": {"CPU": 4.0}},
        {"NodeID": "here", "Alive": alive, "Resources": {"CPU": 2.0}},
    ]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: "here"))
    pulse = Pulse()
    assert pulse.room("CPU", 1.0) == (6 if alive else 4)
    if told:
        with pytest.raises(AugforgeError, match=told) as caught:
            pulse.check()
        assert "ray start" in caught.value.hint
    else:
        pulse.check()
    pulse.end()


def test_a_connection_that_is_lost_is_one_sentence(tmp_path: Path, monkeypatch) -> None:
    class Gone:
        def run(self, *given: object) -> None:
            raise ConnectionError("Client is shutting down.")

    engine = Ray(address="127.0.0.1:1")
    monkeypatch.setattr(engine, "_driver", lambda uses_device: Gone())
    with pytest.raises(AugforgeError, match=r"the connection to the Ray cluster at 127\.0\.0\.1:1 is lost") as caught:
        engine.run(Doubling(), range(8), 8, parts_in(tmp_path), place())
    assert "is kept" in caught.value.hint


@pytest.mark.parametrize(
    ("address", "token", "mode"),
    [
        ("ray://head:10001", "abc", "token"),
        ("ray://head:10001", "", None),
        ("auto", "abc", None),
        (None, "abc", None),
    ],
)
def test_a_client_sends_the_token_that_is_there(address, token, mode, tmp_path: Path, monkeypatch) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setattr(engines, "TOKEN", tmp_path / "token")
    if token:
        (tmp_path / "token").write_text(token)
    Ray(address=address)
    assert os.environ.get("RAY_AUTH_MODE") == mode


@dataclass(frozen=True)
class Started:
    """A head that `ray start` has started, for those who know `environment`."""

    environment: dict[str, str]
    client: str
    mark: str

    def kill(self, what: str) -> None:
        """End the processes whose command has a word."""
        for pid in marked(self.mark):
            with suppress(OSError):
                if what in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode():
                    os.kill(pid, signal.SIGKILL)

    def run(self, folder: Path, address: str, count: int) -> subprocess.Popen[str]:
        """A driver in a process of its own."""
        command = [sys.executable, "-c", SCRIPT, str(folder), address, str(count)]
        return subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def head() -> Iterator[Started]:
    """A head of two CPUs that asks for a token, and the end of all that it has started."""
    mark, short = uuid.uuid4().hex, tempfile.mkdtemp(prefix="ray", dir="/tmp")  # paths of sockets have to be short
    own = {MARK: mark, "RAY_TMPDIR": short, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": mark, "PYTHONPATH": str(ROOT)}
    environment = {**os.environ, **own}
    ports = [free_port(), free_port()]
    options = ["--num-cpus=2", "--object-store-memory=80000000", "--include-dashboard=false", "--disable-usage-stats"]
    place = [f"--port={ports[0]}", f"--ray-client-server-port={ports[1]}"]
    program = Path(sys.executable).with_name("ray")
    subprocess.run([program, "start", "--head", *place, *options], env=environment, check=True, capture_output=True)
    environment.pop("RAY_AUTH_MODE")  # a driver finds out itself that there is a token
    try:
        until(lambda: listens(ports[1]), 60, "nobody listens to clients")
        yield Started(environment, f"ray://127.0.0.1:{ports[1]}", mark)
    finally:
        for pid in set(marked(mark)) - {os.getpid()}:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
        shutil.rmtree(short, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as door:
        return door.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_by_auto_and_by_a_client_the_same_parts_are_made(tmp_path: Path, head: Started) -> None:
    names = []
    for name, address in (("auto", "auto"), ("client", head.client)):
        running = head.run(tmp_path / name, address, 30)
        _, said = running.communicate(timeout=120)
        assert running.returncode == 0, said[-2000:]
        parts = parts_in(tmp_path / name)
        assert rows_of(parts) == [row(number) for number in range(30)]
        names.append({path.name for path in parts.folder.glob("*.arrow")})
    assert names[0] == names[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "killed", "told"),
    [
        ("auto", "raylet/raylet", "Ray has ended on this machine"),
        ("", "util.client.server", "the connection to the Ray cluster"),
    ],
    ids=["raylet", "client"],
)
def test_what_is_lost_is_told_within_a_minute(tmp_path: Path, head: Started, address, killed, told) -> None:
    parts = parts_in(tmp_path)
    running = head.run(tmp_path, address or head.client, 2_000)
    until(lambda: len(rows_of(parts)) > 20, 90, "nothing is made")
    head.kill(killed)
    _, said = running.communicate(timeout=75)
    assert running.returncode == 1 and told in said, said[-2000:]
    assert len(rows_of(parts)) > 20
