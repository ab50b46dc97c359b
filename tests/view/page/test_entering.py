"""How a browser comes to the page: from the terminal, and from a link in the page of another site."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from augforge.view.serve import Viewed, settings
from tests.report.browsing import READY, needs_chromium
from tests.view.made import many

pytestmark = needs_chromium


@pytest.fixture
def viewed(tmp_path) -> Iterator[Viewed]:
    """A run that is really served."""
    found = Viewed(settings(many(tmp_path / "run", 30), review=tmp_path / "review.jsonl", who="Ada"), 0).start()
    yield found
    found.close()


@pytest.fixture
def elsewhere(viewed) -> Iterator[str]:
    """The address of a page of another site with a link to the run, such as a terminal in a browser."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f'<a href="{viewed.url}">run</a>'.encode())

        def log_message(self, *said: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"  # 127.0.0.1 is another site than localhost
    server.shutdown()
    server.server_close()


def test_a_link_in_the_page_of_another_site_opens_the_run_and_leaves_no_token(browser, viewed, elsewhere):
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.goto(elsewhere)
    page.click("a")
    page.wait_for_selector(READY)
    assert viewed._served.tokens.read not in page.url
    page.go_back()
    assert page.url == elsewhere  # the address with the token is no step of the history
    context.close()


def test_why_a_picture_is_not_shown_stands_in_its_place(browser, tmp_path):
    folder = many(tmp_path / "run", 30)
    recipe = (folder / "recipe.yaml").read_text()
    (folder / "recipe.yaml").write_text(recipe.replace("{folder: gone}", "{folder: 's3://bucket/photos'}"))
    served = Viewed(settings(folder, review=tmp_path / "review.jsonl", who="Ada"), 0).start()
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.goto(served.url)
    page.wait_for_selector(READY)
    told = page.locator(".shot .none", has_text="not on this machine: folder s3://bucket/photos").first
    told.wait_for()
    assert "--recipe" in told.inner_text()
    context.close()
    served.close()


def test_the_file_that_the_browser_is_started_with_opens_the_run_and_leaves_no_token(browser, viewed):
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.goto(viewed.entry_url())
    page.wait_for_selector(READY)
    assert viewed._served.tokens.read not in page.url
    context.close()
