"""Deciding in the page: verdicts by keyboard, thresholds, the recipe, the run, the review; what read-only leaves."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.report.browsing import eventually, needs_chromium
from tests.view.page.fake_run import MEASURE, FakeRun
from tests.view.page.fake_server import FakeSite

pytestmark = needs_chromium


def said(page: Any, text: str) -> None:
    eventually(page, f"document.getElementById('said').textContent.startsWith({text!r})")


def focused(page: Any, key: str) -> None:
    eventually(page, f"document.activeElement.dataset.id === {key!r}")


def test_two_hundred_samples_are_reviewed_with_the_keyboard_alone(page, site):
    page.keyboard.press("g")
    for place in range(200):
        focused(page, site.run.ids[place])
        page.keyboard.press("kd"[place % 2])
    eventually(page, "document.getElementById('said').textContent !== ''")
    focused(page, site.run.ids[200])
    for _ in range(200):
        if len(site.run.lines) == 200:
            break
        page.wait_for_timeout(50)
    assert [(line["id"], line["verdict"]) for line in site.run.lines] == [
        (key, ["keep", "drop"][place % 2]) for place, key in enumerate(site.run.ids[:200])
    ]
    assert page.locator("#grid .verdict-keep").count() > 0


def test_keys_before_the_next_images_have_come_are_about_none(page, site):
    held = []
    page.route("**/rows?*", lambda route: held.append(route))
    page.keyboard.press("g")
    page.keyboard.press("End")
    page.keyboard.press("k")
    page.keyboard.press("d")
    page.wait_for_timeout(300)
    page.unroute("**/rows?*")  # lets those that were held go on
    focused(page, site.run.ids[-1])
    page.wait_for_timeout(300)
    assert held and site.run.lines == []


def test_a_verdict_is_taken_back_and_others_are_asked_for_their_words(page, site):
    page.keyboard.press("g")
    page.keyboard.press("d")
    said(page, "Drop")
    page.keyboard.press("u")
    said(page, "Taken back")
    focused(page, site.run.ids[0])
    assert site.run.lines == [] and page.locator("#grid .badges b").count() == 0
    page.keyboard.press("r")
    page.keyboard.type("class 07")
    page.keyboard.press("Enter")
    said(page, "Relabel to class 07")
    focused(page, site.run.ids[1])
    page.keyboard.press("m")
    said(page, "Mark")
    page.keyboard.press("n")
    page.keyboard.press("Enter")  # a note without a word is none
    assert page.locator("#question").is_visible()
    page.keyboard.type("kd? not keys here")
    page.keyboard.press("Enter")
    said(page, "Note")
    focused(page, site.run.ids[1])
    page.keyboard.press("Shift+D")
    page.keyboard.type("blurred")
    page.keyboard.press("Enter")
    said(page, "Drop")
    told = [{key: line[key] for key in ("verdict", "label", "text") if key in line} for line in site.run.lines]
    assert told == [
        {"verdict": "relabel", "label": "class 07"}, {"verdict": "mark"},
        {"verdict": "note", "text": "kd? not keys here"}, {"verdict": "drop", "text": "blurred"},
    ]  # fmt: skip


def test_verdicts_in_an_open_sample_go_on_to_the_next_and_are_never_about_one_not_in_sight(page, site):
    page.keyboard.press("g")
    page.keyboard.press("Enter")
    page.locator("#deed-keep").wait_for()
    for _ in range(10):
        page.keyboard.press("k")  # where it comes before the next one is in sight, it is about nothing
    for _ in range(100):
        page.wait_for_timeout(50)
        if len(site.run.lines) >= 2:
            break
        page.keyboard.press("k")
    page.wait_for_timeout(500)
    ids = [line["id"] for line in site.run.lines]
    assert ids == site.run.ids[: len(ids)] and len(ids) >= 2
    assert site.run.ids[len(ids)] in page.locator("#detail").inner_text()
    page.locator("#deed-drop").click()
    said(page, "Drop")
    assert site.run.lines[-1]["verdict"] == "drop"


def test_chosen_samples_share_a_verdict(page, site):
    page.keyboard.press("g")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    eventually(page, "document.querySelectorAll('#grid .chosen').length === 2")
    page.keyboard.press("d")
    said(page, "Drop: 2 images")
    assert [line["id"] for line in site.run.lines] == [site.run.ids[0], site.run.ids[2]]
    eventually(page, "document.querySelectorAll('#grid .chosen').length === 0")


def test_what_could_not_be_written_is_not_shown_as_decided(opened, site):
    page = opened(site, expect="Failed to load resource")
    page.wait_for_selector("#grid .card-label")
    site.refuse["api/review"] = (409, {"error": "The review was torn.", "hint": "Mend it.", "kind": "conflict"})
    page.keyboard.press("g")
    page.keyboard.press("k")
    page.locator("#trouble").wait_for()
    eventually(page, "document.querySelectorAll('#grid .badges b').length === 0")


def test_a_cut_is_dragged_and_the_pictures_that_would_go_are_there(page, site):
    page.keyboard.press("4")
    slider = page.get_by_label(f"Threshold of {MEASURE}", exact=True)
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    value = float(page.get_by_label("Value", exact=True).input_value())
    assert value > 0.28
    gone = int((site.run.kept & ~site.run.real & (site.run.score < value)).sum())
    eventually(page, f"document.getElementById('found').textContent.startsWith('{gone} images')")
    assert f"{gone} more go" in page.locator(".verdict").inner_text()
    assert "To fill up again" in page.locator("#panel").inner_text()
    page.get_by_label("Value", exact=True).fill("0.25")
    page.keyboard.press("Tab")
    come = int((~site.run.kept & (site.run.score >= 0.25)).sum())
    eventually(page, f"document.getElementById('found').textContent.startsWith('{come} images')")
    page.locator(".plot.drag").scroll_into_view_if_needed()
    box = page.locator(".plot.drag").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 100, steps=8)
    page.mouse.up()
    eventually(page, "Number(document.querySelectorAll('#panel input[type=number]')[0].value) > 0.3")
    page.keyboard.press("1")
    eventually(page, "document.getElementById('found').textContent === '3,000 images'")


def test_a_cut_is_saved_to_the_recipe_after_its_difference_and_runs(page, site):
    page.keyboard.press("4")
    page.get_by_label("Value", exact=True).fill("0.3")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Save to recipe …").click()
    assert "+    min: 0.3" in page.locator(".diff .added").first.inner_text()
    page.get_by_role("button", name="Save and run").click()
    page.get_by_role("progressbar").wait_for()
    assert "2-filter-clip: 3 of 10 images" in page.locator("#job").inner_text() and "0.3" in site.recipe
    asked = site.asked.count("GET api/run")
    site.revision = "2"
    site.job = {**site.job, "state": "done", "revision": "2"}
    eventually(page, "document.getElementById('job').textContent.startsWith('The run is done.')")
    for _ in range(100):
        if site.asked.count("GET api/run") > asked:
            break
        page.wait_for_timeout(50)
    assert site.asked.count("GET api/run") > asked  # what the run left is read


def test_pictures_of_a_run_that_was_written_again_are_asked_for_again(page, site):
    """The bytes of an id may be others then; whoever decides must not be shown those before."""
    page.keyboard.press("6")
    page.get_by_role("button", name="Run the recipe").click()
    page.get_by_role("progressbar").wait_for()
    first = f"GET thumb/{site.run.ids[0]}"
    assert site.asked.count(first) == 1
    site.revision = "2"
    site.job = {**site.job, "state": "done", "revision": "2"}
    eventually(page, "document.getElementById('job').textContent.startsWith('The run is done.')")
    for _ in range(100):
        if site.asked.count(first) > 1:
            break
        page.wait_for_timeout(50)
    assert site.asked.count(first) > 1


def test_the_review_says_what_was_decided_and_suggests(page, site):
    page.keyboard.press("5")
    panel = page.get_by_role("region", name="Review")
    panel.get_by_text("Thresholds that the verdicts suggest").wait_for()
    panel.get_by_role("button", name="Show the most doubtful").click()
    eventually(page, "document.getElementById('found').textContent.startsWith('200 images')")
    near = np.argsort(abs(site.run.score - 0.27))[:200]
    page.locator(f"#grid [data-id='{site.run.ids[near.min()]}']").wait_for()
    page.keyboard.press("d")
    said(page, "Drop")
    assert site.run.lines[0]["id"] == site.run.ids[near.min()]
    panel.get_by_role("button", name="keep", exact=True).click()
    page.get_by_role("button", name="Yes, keep them").click()
    said(page, "Keep: 200 images")
    assert len(site.run.lines) == 201
    page.get_by_role("button", name="Try this cut").click()
    page.get_by_role("region", name="Thresholds").wait_for()
    eventually(page, "Number(document.querySelector('#panel input[type=number]')?.value) === 0.3")


def test_read_only_hides_what_writes_and_says_so(opened):
    site = FakeSite(FakeRun(300), read_only=True)
    page = opened(site)
    page.wait_for_selector("#grid .card-label")
    page.keyboard.press("g")
    page.keyboard.press("k")
    said(page, "This page is read-only")
    page.get_by_role("button", name="Picture …").wait_for()  # it is known by then that there are embeddings
    page.keyboard.press("Enter")
    page.locator("#detail .shot.large img").wait_for()
    assert not page.locator("#deed-keep").is_visible() and page.locator("#deed-similar").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert "relabel" not in page.locator("#help").inner_text() and site.run.lines == []
    page.keyboard.press("Escape")
    page.keyboard.press("4")
    page.locator(".plot canvas").wait_for()
    assert not page.get_by_role("button", name="Save to recipe …").is_visible()


def test_the_help_lists_the_keys_and_gives_the_focus_back(page, site):
    page.keyboard.press("g")
    focused(page, site.run.ids[0])
    page.keyboard.press("?")
    told = page.locator("#help").inner_text()
    assert all(word in told for word in ("keep, and go on", "relabel", "search", "take the last decision back"))
    page.keyboard.press("k")  # not a verdict while the help is open
    page.keyboard.press("Escape")
    focused(page, site.run.ids[0])
    assert site.run.lines == []
