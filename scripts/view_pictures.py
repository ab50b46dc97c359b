"""Take the pictures of `augforge view` that are in the documentation, in the Chromium of this machine.

    augforge run recipes/quickstart.yaml --out runs/quickstart
    python scripts/view_pictures.py runs/quickstart docs/images

Nothing is written to the run or to its review: the page is read-only. Cost: a quarter of a minute.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from augforge.view.serve import Viewed, settings

SIZE = {"width": 1280, "height": 800}
READY = "html[data-ready=true]"


def grid(page: Any) -> None:
    """The images that a filter dropped, worst first."""
    page.get_by_role("group", name="Outcome").get_by_label("filtered out").check()
    page.get_by_label("Sort").select_option(label="clip-prompt, lowest first")
    page.wait_for_timeout(800)
    page.evaluate("document.getElementById('filters').scrollTop = 0")
    page.keyboard.press("g")
    page.keyboard.press("ArrowRight")


def threshold(page: Any) -> None:
    """A stricter cut, with what would go."""
    page.keyboard.press("4")
    page.get_by_label("Rule").wait_for()
    page.get_by_label("Rule").select_option("min")
    page.get_by_label("Value", exact=True).fill("0.68")
    page.keyboard.press("Tab")


def map_(page: Any) -> None:
    """The map by class, with a lasso around a part of it."""
    page.keyboard.press("2")
    page.get_by_label("Colour of the points").select_option("label")
    page.wait_for_timeout(800)
    box = page.locator("canvas.points").first.bounding_box()
    corners = [(0.02, 0.05), (0.3, 0.05), (0.33, 0.2), (0.2, 0.36), (0.02, 0.38)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in [*places[1:], places[0]]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


PICTURES: Mapping[str, Callable[[Any], None]] = {"view-grid": grid, "view-threshold": threshold, "view-map": map_}


def main(folder: Path, out: Path) -> None:
    """Write each picture as WebP."""
    from playwright.sync_api import sync_playwright

    viewed = Viewed(settings(folder, read_only=True)).start()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, act in PICTURES.items():
            page = browser.new_context(viewport=SIZE, reduced_motion="reduce").new_page()
            page.goto(viewed.url)
            page.wait_for_selector(READY)
            page.wait_for_selector("#grid .card-label")
            page.wait_for_timeout(1500)
            act(page)
            page.wait_for_timeout(2500)
            with Image.open(io.BytesIO(page.screenshot())) as picture:
                picture.convert("RGB").save(out / f"{name}.webp", "WEBP", quality=72, method=6)
            print(f"{out / name}.webp: {(out / f'{name}.webp').stat().st_size / 1000:.0f} kB")
        browser.close()
    viewed.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
