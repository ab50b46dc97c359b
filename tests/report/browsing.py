"""A real headless Chromium for tests: what it complains about, and what a person reads."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)")
READY = "html[data-ready=true]"


class Problems(list[str]):
    """What the browser complained about: console errors and warnings, exceptions, dialogs, requests to elsewhere."""

    def watch(self, page: Any, *within: str) -> None:
        """Listen to a page; it may ask for what begins with one of `within`, for files and for what it has itself."""
        allowed = ("file:", "data:", *within)
        page.on("console", lambda said: said.type in ("error", "warning") and self.append(said.text))
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("dialog", lambda dialog: (self.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: request.url.startswith(allowed) or self.append(request.url))


def eventually(page: Any, script: str) -> None:
    """Wait until a script says true; the policy of the page forbids Playwright's own way, which needs eval."""
    for _ in range(100):
        if page.evaluate(script):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {script}")


def shown(where: Any) -> str:
    """The text that a person reads there: every folded table in it is opened first, and it must be in sight."""
    folds = where.locator("details:not([open])")
    for _ in range(folds.count()):
        folds.first.locator("summary").click()
    tables = where.locator("details > .scroll")  # a table is built when its fold is opened
    for number in range(where.locator("details").count()):
        tables.nth(number).wait_for(state="visible")
    assert where.is_visible()
    return str(where.inner_text())


def cards(page: Any) -> int:
    return page.locator(".card").count()


def choose(page: Any, field: str, option: Any) -> None:
    page.get_by_label(field, exact=True).select_option(**option)
