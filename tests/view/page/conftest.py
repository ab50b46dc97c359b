"""The page of `augforge view` in a real Chromium, before a made-up run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.report.browsing import READY, Problems
from tests.view.page.fake_run import FakeRun
from tests.view.page.fake_server import FakeSite, Serving


@pytest.fixture
def site() -> FakeSite:
    """A run of 3,000 samples; a test may change it before it opens the page, and look at it afterwards."""
    return FakeSite(FakeRun(3000))


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens the page of a site; nothing may be wrong when the test is over, but what `expected` says."""
    contexts: list[Any] = []
    servings: list[Serving] = []
    problems, expected = Problems(), []

    def open_(site: FakeSite, fragment: str = "", expect: str = "", **options: Any) -> Any:
        servings.append(Serving(site))
        settings = {"viewport": {"width": 1280, "height": 860}, "color_scheme": "light", "reduced_motion": "reduce"}
        contexts.append(browser.new_context(**{**settings, **options}))
        page = contexts[-1].new_page()
        page.set_default_timeout(15_000)
        problems.watch(page, servings[-1].url)
        if expect:
            expected.append(expect)
        page.goto(servings[-1].url + fragment)
        page.wait_for_selector(READY)
        return page

    yield open_
    for context in contexts:
        context.close()
    for serving in servings:
        serving.close()
    assert [text for text in problems if not any(one in text for one in expected)] == []


@pytest.fixture
def page(opened: Callable[..., Any], site: FakeSite) -> Any:
    """The page before `site`, with its first cards."""
    made = opened(site)
    made.wait_for_selector("#grid .card-label")
    return made
