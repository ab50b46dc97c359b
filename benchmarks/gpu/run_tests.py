"""Run the tests that need a GPU, and note each as it ends: one that hangs loses only itself and those after it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from figures import Figures


class Recorder:
    """A plugin of pytest that writes down how each test went."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tests as they ran; a setup or teardown only where something was wrong with it."""
        if report.when == "call" or report.outcome != "passed":
            name = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
            self._figures.row("tests", test=name, result=report.outcome, seconds=round(report.duration, 2))


def main() -> int:
    """Run them on the device asked for; pytest's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--json", type=Path, help="file for the results")
    given = parser.parse_args()
    os.environ["AUGFORGE_TEST_DEVICE"] = given.device
    recorder = Recorder(Figures(given.json))
    return int(pytest.main(["-m", "gpu", "tests/gpu", "-q", "-p", "no:cacheprovider"], plugins=[recorder]))


if __name__ == "__main__":
    sys.exit(main())
