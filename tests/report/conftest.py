"""One run folder and its report for all tests that only look at them."""

from __future__ import annotations

from pathlib import Path

import pytest

from augforge.report import Written, write_report
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
