"""How long a person waits in `augforge view`: first cards, filters, search, a lasso, scrolling to the end.

    python benchmarks/view.py --folder FOLDER [--rows 100000]

Makes a run of so many made-up samples, as `benchmarks/report.py` does (pictures of noise, 512-d vectors), where FOLDER
has none, serves it, opens the page in headless Chromium, and times it from the key or click to the cards on the page.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
from pathlib import Path
from typing import Any

from benchmarks.report import make
from tests.view.page.timing import LASSO, SCROLLED, TIMED

FOUND = "document.getElementById('found').textContent"
OTHER = "document.querySelector('#grid .card-label') && " + FOUND + " !== {}"
SEARCH = "const box = document.getElementById('words'); box.value = {}; box.dispatchEvent(new Event('input'))"
AWAY = "document.querySelector('.chip').click()"
ACTIONS = {
    "filter by class": "document.querySelector('#filters label input').click()",
    "all again": AWAY,
    "search, a class": SEARCH.format("'class 07'"),
    "search, words of a prompt": SEARCH.format("'photo of class 03'"),
    "all once more": SEARCH.format("''"),
}


def serving(folder: Path, said: Any) -> None:
    """Serve a run in a process of its own; tell the address, then, when asked, how much memory it takes."""
    from augforge.view.serve import Viewed, settings

    viewed = Viewed(settings(folder, read_only=True), 0).start()
    said.send(viewed.url)
    said.recv()
    status = Path("/proc/self/status").read_text().splitlines()
    said.send(next(line.split()[1] for line in status if line.startswith("VmHWM")))


def took(page: Any, name: str, action: str) -> None:
    """Time one action, when everything before it has come to rest."""
    page.wait_for_timeout(800)
    ms = page.evaluate(TIMED, [action, OTHER.format(json.dumps(page.evaluate(FOUND)))])
    print(f"{name}: {ms:.0f} ms, {page.evaluate(FOUND)}")


def look(url: str) -> None:
    """Do what a person does."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        size = {"width": 1280, "height": 860}
        page = browser.new_context(viewport=size, reduced_motion="reduce", bypass_csp=True).new_page()
        page.on("pageerror", lambda error: print("error:", error))
        for which in ("first visit", "next visit"):
            page.goto(url)
            page.wait_for_selector("#grid .card-label")
            page.wait_for_timeout(2000)
            paint, cards = (
                page.evaluate(f"performance.getEntriesByName('{mark}')[0].startTime")
                for mark in ("first-contentful-paint", "first-cards")
            )
            print(f"{which}: first paint {paint:.0f} ms, first cards {cards:.0f} ms")
        for name, action in ACTIONS.items():
            took(page, name, action)
        page.keyboard.press("2")
        page.locator(".legend label").first.wait_for(timeout=60_000)
        took(page, "a lasso", LASSO % 0.66)
        took(page, "without it", AWAY)
        page.keyboard.press("1")
        page.wait_for_timeout(800)
        print(f"scrolling to the end: the longest blank {page.evaluate(SCROLLED):.0f} ms")
        browser.close()


def main() -> None:
    """Make the run if it is not there, serve it, look at it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    if not (options.folder / "run.json").is_file():
        make(options.folder, options.rows)
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serving, args=(options.folder, theirs), daemon=True)
    server.start()
    look(ours.recv())
    ours.send("how much memory?")
    print(f"the server took {int(ours.recv()) / 1000:.0f} MB at most")
    server.join(30)


if __name__ == "__main__":
    main()
