"""One run for all tests of exports; they only read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.publish.runs import make_run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of 40 samples."""
    return make_run(tmp_path_factory.mktemp("finished"))
