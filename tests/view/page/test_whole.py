"""The page before the server and a run on disk: nothing between them is made up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from augforge.cli.app import app
from augforge.view.serve import Viewed, settings
from tests.report.browsing import READY, Problems, eventually, needs_chromium
from tests.report.runs import EVIL, make_run

pytestmark = needs_chromium
DECIDED = 200
RECIPE = """name: squares  # of one colour each
seed: 3
source:
  folder: pictures
stages:
  # what people say comes first
  - filter: review
"""


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens the page of a run that is really served; nothing may be wrong when the test is over."""
    contexts: list[Any] = []
    served: list[Viewed] = []
    problems = Problems()

    def open_(folder: Path, **options: Any) -> Any:
        served.append(Viewed(settings(folder, **options), 0).start())
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 860}, reduced_motion="reduce"))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        problems.watch(page, f"http://127.0.0.1:{served[-1].port}/")
        page.goto(served[-1].url)
        page.wait_for_selector(READY)
        page.wait_for_selector("#grid .card-label")
        return page

    yield open_
    for context in contexts:
        context.close()
    for each in served:
        each.close()
    assert problems == []


def test_what_a_run_holds_is_inert_in_every_view(visit, tmp_path):
    page = visit(make_run(tmp_path), review=tmp_path / "review.jsonl", read_only=True)
    page.locator("#filters .who").first.wait_for()
    assert set(EVIL) <= set(page.locator("#filters .who").all_text_contents())
    for key in "2345671":
        page.keyboard.press(key)
        page.wait_for_timeout(300)
    page.keyboard.press("g")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.locator("#detail .shot.large").wait_for()
    assert page.locator("#trouble").is_hidden(), page.locator("#trouble").inner_text()
    assert (
        page.evaluate("document.querySelectorAll('img[src=x], body script, [onerror], #grid i:not(.dot)').length") == 0
    )


def squares(folder: Path, count: int) -> Path:
    """A recipe beside `count` pictures of one colour each, in two classes."""
    for place in range(count):
        file = folder / "pictures" / "ab"[place % 2] / f"{place:03d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (place, 255 - place, 7 * place % 256)).save(file)
    (folder / "squares.yaml").write_text(RECIPE)
    return folder / "squares.yaml"


def kept(run: Path) -> dict[str, bool]:
    """Which samples of a run were kept, in their order."""
    columns = pq.read_table(run / "samples.parquet", columns=["id", "kept"]).to_pydict()
    return dict(zip(columns["id"], columns["kept"], strict=True))


def told(*arguments: object) -> str:
    """What a command prints."""
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.slow
def test_two_hundred_decisions_by_keyboard_their_file_the_next_run_and_why(visit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe, run = squares(tmp_path, DECIDED + 20), tmp_path / "run"
    told("run", recipe, "--out", run)
    ids = list(kept(run))
    page = visit(run, recipe=recipe, who="Ada")
    page.keyboard.press("g")
    for place in range(DECIDED):
        page.keyboard.press("kd"[place % 2])
    file = tmp_path / "review.jsonl"
    eventually(page, f"document.activeElement.dataset.id === {ids[DECIDED]!r}")
    for _ in range(300):
        if len(file.read_text().splitlines()) == DECIDED:
            break
        page.wait_for_timeout(100)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["id"], line["verdict"], line["who"]) for line in lines] == [
        (key, ["keep", "drop"][place % 2], "Ada") for place, key in enumerate(ids[:DECIDED])
    ]
    page.keyboard.press("6")
    page.get_by_role("button", name="Run the recipe").click()
    page.locator("#job").get_by_text("The run is done.").wait_for(timeout=120_000)
    page.get_by_role("group", name="Outcome").get_by_label("filtered out").check()
    eventually(page, f"document.getElementById('found').textContent.startsWith('{DECIDED // 2} images')")
    assert [key for key, stays in kept(run).items() if not stays] == ids[1:DECIDED:2]
    why = told("why", run, ids[1][:12])
    assert "Ada" in why and "review" in why
