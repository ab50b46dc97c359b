"""Looking at a run in the page: the grid, filters, search, the map, a sample; nothing in it can be markup or code."""

from __future__ import annotations

from typing import Any

from tests.report.browsing import eventually, needs_chromium
from tests.view.page.fake_run import EVIL, FakeRun
from tests.view.page.fake_server import FakeSite

pytestmark = needs_chromium


def found(page: Any) -> str:
    return str(page.locator("#found").inner_text())


def says(page: Any, text: str) -> None:
    """Wait until the number of found images is told as `text`."""
    eventually(page, f"document.getElementById('found').textContent.startsWith({text!r})")


def facet(page: Any, title: str) -> Any:
    return page.get_by_role("group", name=title, exact=True)


def test_only_cards_in_sight_are_elements_and_the_last_is_reached(page, site):
    assert found(page) == "3,000 images"
    assert 10 < page.locator("#grid li").count() < 60
    page.keyboard.press("End")
    last = page.locator(f"[data-id='{site.run.ids[-1]}']")
    last.wait_for()
    eventually(page, f"document.activeElement.dataset.id === {site.run.ids[-1]!r}")
    assert page.locator("#grid li").count() < 60
    page.keyboard.press("Home")
    eventually(page, f"document.activeElement.dataset.id === {site.run.ids[0]!r}")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    columns = page.evaluate(
        "new Set([...document.querySelectorAll('#grid li')].map((li) => li.getBoundingClientRect().x)).size"
    )
    eventually(page, f"document.activeElement.dataset.id === {site.run.ids[1 + columns]!r}")


def test_a_grid_higher_than_a_browser_can_draw_is_scrolled_as_a_whole_and_px_by_px(opened):
    run = FakeRun(100_000)
    page = opened(FakeSite(run), viewport={"width": 390, "height": 700})
    page.wait_for_selector("#grid .card-label")
    assert page.evaluate("document.getElementById('extent').offsetHeight") == 8_000_000
    page.evaluate("document.getElementById('scroller').scrollTop = 4_000_000")
    page.wait_for_timeout(400)
    ids = page.evaluate("[...document.querySelectorAll('#grid [data-id]')].map((card) => card.dataset.id)")
    assert abs(run.place_of[ids[0]] - 50_000) < 500  # half of the way is half of the samples
    key = page.evaluate("document.querySelector('#grid li:nth-child(4) button').dataset.id")
    seat = f"document.querySelector('[data-id=\"{key}\"]').getBoundingClientRect().y"
    before = page.evaluate(seat)
    page.evaluate("document.getElementById('scroller').scrollTop += 40")
    eventually(page, f"Math.abs({seat} - {before - 40}) < 1")
    page.wait_for_timeout(300)  # the scroll bar is put right meanwhile, and the pictures stay
    assert abs(page.evaluate(seat) - (before - 40)) < 1
    page.evaluate("document.getElementById('scroller').scrollTop = 8_000_000")
    page.locator(f"[data-id='{run.ids[-1]}']").wait_for()


def test_filters_narrow_and_chips_give_back_and_the_address_keeps_it(page, site, opened):
    facet(page, "Class").get_by_label("class 01").check()
    there = int((site.run.labels == 1).sum())
    says(page, f"{there} images of 3,000")
    eventually(page, "document.activeElement.type === 'checkbox'")  # what had the focus has it again
    facet(page, "Class").get_by_label("class 02").check()  # values of a facet add up
    says(page, f"{there + int((site.run.labels == 2).sum())} images")
    facet(page, "Outcome").get_by_label("filtered out").check()
    out = int((((site.run.labels == 1) | (site.run.labels == 2)) & (site.run.outcome == 3)).sum())
    says(page, f"{out} images")
    again = opened(site, page.evaluate("location.hash"))
    says(again, f"{out} images")
    again.get_by_role("button", name="Take away: class: class 01, class 02").click()
    says(again, f"{int((site.run.outcome == 3).sum())} images")
    again.get_by_role("button", name="Take away: outcome").click()
    says(again, "3,000 images")


def test_a_range_of_a_score_is_brushed_or_typed(page, site):
    page.get_by_label("clip-prompt, from").fill("0.3")
    page.keyboard.press("Tab")
    says(page, f"{int((site.run.score >= 0.3).sum()):,} images")
    page.wait_for_timeout(400)  # the filters are made anew
    box = page.locator(".brush").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.up()
    page.get_by_role("button", name="Take away: clip-prompt 0.2 to 0.3").wait_for()


def test_search_by_words_by_likeness_and_by_a_sample(page, site):
    page.keyboard.press("/")
    page.keyboard.type(site.run.ids[7][:12])
    says(page, "1 image of 3,000")
    page.get_by_role("searchbox", name="Search").fill("")
    says(page, "3,000 images")
    page.get_by_label("How to search").select_option("like")
    page.get_by_role("searchbox", name="Search").fill("a red car")
    says(page, "1,000 images")
    assert page.locator(".chip").inner_text().startswith("looks like “a red car”")
    page.locator(".chip").click()
    says(page, "3,000 images")
    page.locator(f"[data-id='{site.run.ids[3]}']").focus()
    page.keyboard.press("s")
    says(page, "1,000 images")
    assert site.run.ids[3][:8] in page.locator(".chip").inner_text()


def test_a_lasso_shows_what_it_holds_and_a_click_opens_a_point(page, site):
    page.get_by_role("button", name="Map").click()
    page.locator(".legend label").first.wait_for()
    box = page.locator("canvas.points").first.bounding_box()
    corners = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.6), (0.1, 0.6)]
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.6 * box["height"])
    page.mouse.down()
    for x, y in corners:
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
    page.mouse.up()
    page.get_by_role("button", name="Take away: inside the lasso").wait_for()
    inside = int(found(page).split()[0].replace(",", ""))
    assert 500 < inside < 3000
    page.get_by_role("button", name="Take what is in view").click()
    says(page, "3,000 images")  # the keyboard's lasso: all of the map


def test_a_sample_has_its_story_its_shapes_and_its_difference_from_its_parent(page, site):
    page.keyboard.press("End")
    eventually(page, f"document.activeElement.dataset.id === {site.run.ids[-1]!r}")
    page.keyboard.press("Enter")
    dialog = page.locator("#detail")
    dialog.locator(".shot.large img").wait_for()
    assert dialog.locator(".shapes rect").count() == 1 and site.run.ids[-1] in dialog.inner_text()
    page.keyboard.press("a")
    assert not dialog.locator(".shapes").is_visible()
    page.keyboard.press("c")
    page.keyboard.press("c")
    dialog.get_by_role("img", name="The difference between parent and this one").wait_for()
    apart = [int(site.run.ids[row][place : place + 2], 16) for row in (2999, 599) for place in (0, 2, 4)]
    mean = sum(abs(apart[place] - apart[place + 3]) for place in range(3)) / 3
    said = dialog.locator("#beside [role=status]").inner_text()
    assert abs(float(said.split()[3]) - mean) < 4, said  # WebP is lossy
    page.keyboard.press("ArrowLeft")
    eventually(page, f"document.getElementById('detail').textContent.includes({site.run.ids[-2]!r})")
    page.keyboard.press("Escape")
    eventually(page, f"document.activeElement.dataset.id === {site.run.ids[-2]!r}")


def test_near_duplicates_stand_side_by_side_and_show_how_they_differ(page, site):
    page.keyboard.press("3")
    group = page.get_by_role("list", name="A group of 2").first
    group.locator(".card").nth(1).wait_for()
    assert group.locator(".card").count() == 2
    page.get_by_role("button", name="How they differ").first.click()
    page.locator("#question").get_by_role("button", name="difference").click()
    page.locator("#question").get_by_text("They differ by").wait_for()
    page.keyboard.press("Escape")
    group.locator(".card").nth(1).focus()
    page.keyboard.press("d")
    eventually(page, "document.getElementById('said').textContent.startsWith('Drop')")
    assert site.run.lines[0]["id"] == site.run.ids[1]


def test_every_view_opens_by_its_key(opened):
    site = FakeSite(FakeRun(300), compare=True)
    page = opened(site)
    for key, title in enumerate(("Map", "Duplicates", "Thresholds", "Review", "Recipe", "Compare"), start=2):
        page.keyboard.press(str(key))
        page.get_by_role("region", name=title).wait_for()
    page.locator(".plot canvas").first.wait_for()
    page.get_by_role("button", name="The image with the focus, in both").click()
    page.locator("#question figure").first.wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    assert page.locator("#panel").is_hidden()


def test_names_captions_files_and_reasons_are_inert(opened):
    site = FakeSite(FakeRun(300, evil=True), compare=True)
    page = opened(site)
    page.wait_for_selector("#grid .card-label")
    page.locator("#filters .who").first.wait_for()
    labels = page.locator("#filters .who").all_text_contents()
    assert set(EVIL) <= set(labels)
    facet(page, "Class").get_by_label(EVIL[0]).check()
    page.get_by_role("button", name="Take away: class").wait_for()
    page.keyboard.press("g")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.locator("#detail .shapes").wait_for()
    assert EVIL[0] in page.locator("#detail").inner_text()
    page.keyboard.press("Escape")
    for key in "2345671":
        page.keyboard.press(key)
        page.wait_for_timeout(150)
    marks = "document.querySelectorAll('img[src=x], body script, #grid b > *, [onerror]').length"
    assert page.evaluate(marks) == 0  # and Problems heard no dialog


def test_errors_of_the_server_are_said(opened, site):
    page = opened(site, expect="Failed to load resource")
    site.refuse["api/query"] = (
        422,
        {"error": f"no such class: {EVIL[0]}", "hint": "Choose another.", "kind": "augforge"},
    )
    page.get_by_role("searchbox", name="Search").fill("x")
    page.locator("#trouble").wait_for()
    assert page.locator("#trouble").inner_text().startswith(f"no such class: {EVIL[0]} Choose another.")
    page.wait_for_timeout(500)  # whatever else was refused has been said, too
    page.locator("#trouble button").click()
    assert page.locator("#trouble").is_hidden()


def test_a_query_of_an_earlier_revision_is_asked_again(opened, site):
    page = opened(site, expect="Failed to load resource")
    page.wait_for_selector("#grid .card-label")
    site.refuse["api/query/"] = (404, {"error": "gone", "hint": "", "kind": "gone"})
    asked = len([one for one in site.asked if one == "POST api/query"])
    page.keyboard.press("End")
    page.wait_for_timeout(200)
    site.refuse.clear()
    page.locator(f"[data-id='{site.run.ids[0]}']").wait_for()
    assert len([one for one in site.asked if one == "POST api/query"]) > asked and page.locator("#trouble").is_hidden()
