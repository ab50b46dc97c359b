"""Runs that are served for all tests that only look at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from augforge.view.guard import HEADER
from augforge.view.options import Options
from augforge.view.server import Served, application
from tests.report.runs import make_run
from tests.view.made import many

BASE = "http://127.0.0.1:8421"


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where columns and thumbnails are kept."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUGFORGE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose texts try to be markup, with pictures that must not be seen; never changed."""
    return make_run(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="session")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up run of 1,000 samples with embeddings, and without pictures; never changed."""
    return many(tmp_path_factory.mktemp("many") / "run", 1000, 16)


class Page:
    """A browser that has opened the page of a run, as far as requests go."""

    def __init__(self, folder: Path, review: Path, **options: Any) -> None:
        self.served = Served(Options(folder, review, "Ada", warm=False, **options))
        self.client = TestClient(application(self.served), base_url=BASE, follow_redirects=False)
        self.client.cookies.set(self.served.tokens.cookie, self.served.tokens.read)

    @property
    def run(self) -> Any:
        """The run as it is open."""
        return self.served.run

    def get(self, path: str, **query: Any) -> Any:
        """What a GET answers."""
        return self.client.get(path, params=query)

    def post(self, path: str, body: Any, method: str = "POST", **headers: str) -> Any:
        """What a POST answers, with the token that the page has."""
        given = {HEADER: self.served.tokens.write, "content-type": "application/json", **headers}
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return self.client.request(method, path, headers=given, **content)

    def ask(self, **spec: Any) -> dict[str, Any]:
        """The answer to a query."""
        answer = self.post("/api/query", spec)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def ids(self, **spec: Any) -> list[str]:
        """The ids that a query finds."""
        found = self.get(f"/api/query/{self.ask(**spec)['query']}/rows", limit=1000).json()
        return [row["id"] for row in found["rows"]]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens a run; what is decided goes into a file of this test."""
    pages: list[Page] = []

    def open_(folder: Path, **options: Any) -> Page:
        pages.append(Page(folder, tmp_path / "review.jsonl", **options))
        return pages[-1]

    yield open_
    for page in pages:
        page.served.close()


@pytest.fixture
def page(opened: Callable[..., Page], hostile: Path) -> Page:
    """The hostile run, open."""
    return opened(hostile)


@pytest.fixture
def thousand_page(opened: Callable[..., Page], thousand: Path) -> Page:
    """The run of 1,000, open."""
    return opened(thousand)
