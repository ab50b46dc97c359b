"""100,000 samples: how long answers take, and how much memory the server has. Written straight as Parquet."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from time import monotonic, sleep
from typing import Any

import pytest

from tests.view.made import identity, many

pytestmark = pytest.mark.slow
COUNT, WIDTH = 100_000, 512
SERVE = """
import sys
from pathlib import Path
from augforge.view.serve import Viewed, settings
viewed = Viewed(settings(Path(sys.argv[1]), review=Path(sys.argv[2]), who="Ada"), 0)
print(viewed.port, viewed._served.tokens.read, viewed._served.tokens.write, flush=True)
viewed.run()
"""
LIMIT = 600.0
"""Seconds after which the server is ended, whatever it does."""


class Server:
    """A server in a process of its own, and a page that asks it."""

    def __init__(self, folder: Path, review: Path) -> None:
        command = [sys.executable, "-c", SERVE, str(folder), str(review)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.limit = Timer(LIMIT, self.process.kill)
        self.limit.start()
        assert self.process.stdout is not None
        port, read, self._write = self.process.stdout.readline().split()
        self._base = f"http://127.0.0.1:{port}/~{read}"

    def ask(self, path: str, body: Any = None) -> Any:
        """An answer, as JSON or bytes."""
        import urllib.request

        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", "x-augforge-token": self._write}
        request = urllib.request.Request(f"{self._base}{path}", data=data, headers=headers if data else {})
        with urllib.request.urlopen(request, timeout=300) as answer:
            content = answer.read()
            return json.loads(content) if answer.headers["content-type"] == "application/json" else content

    def seconds(self, path: str, body: Any = None, tries: int = 3) -> float:
        """The least time that an answer took."""
        taken = []
        for _ in range(tries):
            began = monotonic()
            self.ask(path, body)
            taken.append(monotonic() - began)
        return min(taken)

    def memory(self) -> float:
        """MB that the process has in memory, mapped files included."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    folder = many(tmp_path_factory.mktemp("scale") / "run", COUNT, WIDTH)
    found = Server(folder, folder / "review.jsonl")
    end = monotonic() + 300
    while not found.ask("/api/maps")["maps"]:
        assert monotonic() < end
        sleep(0.2)
    yield found
    found.limit.cancel()
    found.process.terminate()
    found.process.wait(30)


def test_answers_come_in_time_and_memory_stays_small(server, capsys):
    within = {
        "run": (0.3, "/api/run", None),
        "filter": (0.3, "/api/query", {"filters": {"label": ["class 03"], "scores": {"clip-prompt": {"min": 0.25}}}}),
        "sort": (0.3, "/api/query", {"filters": {"kept": True}, "sort": {"by": "score:clip-prompt"}}),
        "text": (0.3, "/api/query", {"search": "photo class 07"}),
        "example": (0.5, "/api/query", {"like": {"id": identity(17)}}),
        "lasso": (0.3, "/api/lasso", {"polygon": circle(0.05)}),
        "cut": (0.3, "/api/cut", {"stage": "2-filter-clip", "options": {"min": 0.29}}),
    }
    query = server.ask("/api/query", {"filters": {"kept": True}})["query"]
    within["rows"] = (0.2, f"/api/query/{query}/rows?offset=50000&limit=200", None)
    within["facets"] = (0.3, f"/api/query/{query}/facets", None)
    taken = {name: server.seconds(path, body) for name, (_, path, body) in within.items()}
    memory = server.memory()
    with capsys.disabled():
        print("\n" + ", ".join(f"{name} {1000 * s:.0f} ms" for name, s in taken.items()) + f"; {memory:.0f} MB")
    assert 40_000 < server.ask("/api/lasso", {"polygon": circle(0.05)})["total"] < 80_000
    assert {name: s for name, s in taken.items() if s > within[name][0]} == {}
    assert memory < 500


def circle(radius: float) -> list[list[float]]:
    """A lasso of 300 corners."""
    turns = (2 * math.pi * corner / 300 for corner in range(300))
    return [[radius * math.cos(turn), radius * math.sin(turn)] for turn in turns]
