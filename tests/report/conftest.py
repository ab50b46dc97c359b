"""One run folder and its report for all tests that only look at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from augforge.report import Written, write_report
from tests.report.browsing import READY, Problems
from tests.report.runs import make_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, never changed."""
    return make_run(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def written(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Its report."""
    folder = tmp_path_factory.mktemp("written")
    return write_report(run, folder / "report.html", png=folder / "png")


@pytest.fixture(scope="session")
def html(written: Written) -> str:
    """The text of it."""
    return Path(written.path).read_text(encoding="utf-8")


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a report, with what follows # in its address; nothing may be wrong when the test is over."""
    contexts, problems = [], Problems()

    def open_(path: str | Path, fragment: str = "", **options: Any) -> Any:
        settings = {"viewport": {"width": 1280, "height": 860}, "color_scheme": "light", "reduced_motion": "reduce"}
        contexts.append(browser.new_context(offline=True, **{**settings, **options}))
        page = contexts[-1].new_page()
        problems.watch(page)
        page.goto(Path(path).as_uri() + fragment)
        page.wait_for_selector(READY)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def page(opened: Callable[..., Any], written: Written) -> Any:
    """The report of `run`, open."""
    return opened(written.path)
