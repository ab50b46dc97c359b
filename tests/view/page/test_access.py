"""The page for everyone: axe finds nothing, at two widths, light and dark, in each view; and nothing is wider than it.

axe-core is not in this repository (it has 650 kB); `AXE` names its file: `axe.min.js` of `npm pack axe-core`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.report.browsing import needs_chromium
from tests.view.page.fake_run import FakeRun
from tests.view.page.fake_server import FakeSite

pytestmark = needs_chromium
AXE = Path(os.environ.get("AXE", "axe.min.js"))
needs_axe = pytest.mark.skipif(not AXE.is_file(), reason="AXE does not name a file of axe-core (npm pack axe-core)")
WIDER = """Math.max(...['body', '.bar', '#panel', '#main', '#filters', 'dialog[open]']
  .map((one) => document.querySelector(one)).filter(Boolean).map((one) => one.scrollWidth - one.clientWidth))"""
SCREENS = [("light", 1280, 860), ("dark", 1280, 860), ("light", 390, 780), ("dark", 390, 780)]


def everywhere(page: Any, look: Callable[[str], None]) -> None:
    """Each view, an open sample, the help and a question, as somebody sees them."""
    page.wait_for_selector("#grid .card-label")
    look("images")
    for key, name in enumerate(("map", "duplicates", "cut", "review", "run", "compare"), start=2):
        page.keyboard.press(str(key))
        page.wait_for_timeout(400)
        look(name)
    page.keyboard.press("1")
    page.keyboard.press("End")
    page.wait_for_timeout(200)
    page.keyboard.press("Enter")
    page.locator("#detail .shot.large img").wait_for()
    look("an open sample")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    look("the help")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    look("a question")
    page.keyboard.press("Escape")


@pytest.mark.slow
@needs_axe
@pytest.mark.parametrize(("scheme", "width", "height"), SCREENS)
def test_axe_finds_nothing(opened, scheme, width, height):
    site = FakeSite(FakeRun(300), compare=True)
    page = opened(site, color_scheme=scheme, viewport={"width": width, "height": height}, bypass_csp=True)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    faults = []

    def look(where: str) -> None:
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then((told) => told.violations)")
        faults.extend(f"{where}: {one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"])

    everywhere(page, look)
    assert faults == []


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen(opened, width):
    page = opened(FakeSite(FakeRun(300, evil=True), compare=True), viewport={"width": width, "height": 780})
    wide: list[str] = []

    def look(where: str) -> None:
        most = page.evaluate(WIDER)
        if most > 1:
            wide.append(f"{where}: {most} px")

    everywhere(page, look)
    assert wide == []
