"""The report in a real headless Chromium, opened from disk and offline: it works, and nothing else runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from augforge.report import write_report
from tests.report.browsing import READY, Problems, cards, choose, eventually, needs_chromium, shown
from tests.report.runs import EVIL, make_run, many_samples

pytestmark = needs_chromium


def test_every_chart_is_drawn_and_nothing_is_wrong(page):
    sections = page.evaluate("[...document.querySelectorAll('section')].map((section) => section.id)")
    assert {"overview", "gallery", "scores", "selection", "balance", "map", "evaluation", "recipe"} <= set(sections)
    for section in sections:
        page.locator(f"#{section}").scroll_into_view_if_needed()
        page.wait_for_timeout(80)
    plots = page.evaluate("[...document.querySelectorAll('.plot')].map((plot) => Boolean(plot.chart))")
    assert plots == [True] * 8  # two measures, a selection, classes, map, three comparisons


def test_the_evaluation_has_its_verdicts_and_no_interval_where_there_is_none(page):
    rows = [row.split("\t") for row in shown(page.locator("#evaluation tbody").first).splitlines()]
    assert rows == [["real", "12", "40.0", "35.0 [33.0, 37.0]", "", ""]]
    words = page.locator("#evaluation .badge").all_text_contents()
    assert words == ["within noise", "better"] * 2
    titles = page.locator("#evaluation h3").all_text_contents()
    assert titles == ["1 real image per class", "2 real images per class", "Long tail of 100"]
    assert "kid, real+kept" not in page.locator("#evaluation").inner_text()  # it is folded
    assert shown(page.locator("#evaluation")).count("kid, real+kept") == 3


def test_the_head_has_the_verdict_and_an_evaluation_of_an_earlier_result_only_a_warning(page, opened, tmp_path):
    assert "The generated images help; real+selected against real alone: +6.0" in shown(page.locator("#verdict"))
    run = make_run(tmp_path)
    record = {**json.loads((run / "evaluation.json").read_text()), "samples-sha256": "0" * 64}
    for arm in record["runs"][0]["arms"]:
        arm["accuracy"] |= {"low": arm["accuracy"]["mean"], "high": arm["accuracy"]["mean"]}
    (run / "evaluation.json").write_text(json.dumps(record))
    earlier = opened(write_report(run).path)
    assert earlier.locator("#verdict").count() == 0
    for place in ("#notes", "#evaluation"):
        assert "of an earlier result of this folder" in shown(earlier.locator(f"{place} .note").first)
    assert "40.0 [40.0, 40.0]" not in shown(earlier.locator("#evaluation"))


def test_labels_prompts_and_files_are_inert_and_shown_as_they_are(page):
    assert page.evaluate("document.querySelectorAll('img[src=x], main script, #grid i:not(.dot)').length") == 0
    assert set(page.locator(".card-label").all_text_contents()) == set(EVIL)
    choose(page, "Class", {"label": EVIL[1]})
    choose(page, "Origin", {"label": "synthetic"})
    page.locator(".card").first.click()
    assert f"a photo of {EVIL[1]}" in shown(page.locator("#detail"))
    assert shown(page.locator("#overview-title")) == "<b>run</b>"


def test_filters_narrow_and_give_back(page):
    assert cards(page) == 24
    choose(page, "Class", {"label": "plain"})
    assert cards(page) == 6
    choose(page, "Fate and reason", {"label": "clip-prompt: under 0.25 (8)"})
    assert cards(page) == 1 and "real, clip-prompt: under 0.25" in shown(page.locator(".card"))
    choose(page, "Class", {"label": "all"})
    assert cards(page) == 4
    page.get_by_label("only with a picture").uncheck()
    assert cards(page) == 8
    assert page.locator(".card .none").all_text_contents() == ["not judged for safety: not shown"] * 4
    choose(page, "Fate and reason", {"label": "any"})
    choose(page, "Stage", {"label": "dropped by 3-filter-safety"})
    assert page.locator(".card .none").all_text_contents() == ["flagged as unsafe: never shown"] * 4
    choose(page, "Stage", {"label": "all"})
    page.get_by_label("Search").fill("a photo of plain")
    eventually(page, "document.querySelectorAll('.card').length === 4")


def test_sorting_by_a_score_leaves_out_what_has_none(page):
    choose(page, "Sort", {"label": "safety, highest first"})
    assert cards(page) == 8 and "0.4" in shown(page.locator(".card").first)


def test_a_click_tells_the_life_of_an_image_and_its_parents(page, run):
    choose(page, "Origin", {"label": "synthetic"})
    page.locator(".card").first.click()
    dialog = page.locator("#detail")
    told = shown(dialog)
    assert f"augforge why {run} " in told and "clip-prompt" in told and str(2**62)[:15] in told
    dialog.get_by_role("button", name="Parents").first.click()
    assert shown(dialog.locator("h2")).endswith(", real") and "<i>0.png" in shown(dialog)
    assert dialog.get_by_role("button", name="Children").count() == 4
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_the_keyboard_is_enough(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.locator(".card").first.focus()
    page.keyboard.press("ArrowRight")
    second = page.evaluate("document.activeElement.dataset.row")
    page.keyboard.press("End")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.row") == second
    page.keyboard.press("Enter")
    title = shown(page.locator("#detail-title"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert shown(page.locator("#detail-title")) == title
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.row") == second


def kept(page: Any, measure: str = "clip-prompt") -> int:
    panel = page.locator(".panel", has=page.get_by_role("heading", name=measure))
    return int(shown(panel.locator(".verdict strong")))


def test_a_threshold_counts_as_the_rule_does(page):
    scores = [0.5, 0.1, 0.4, 0.6, 0.2, 0.3, 0.4, 0.5] * 4  # of each class, as tests/report/runs.py has them
    slider = page.get_by_label("Threshold of clip-prompt", exact=True)
    for cut in (0.45, 0.25, 0.55):
        page.get_by_label("Threshold of clip-prompt as a number").fill(str(cut))
        page.keyboard.press("Enter")
        assert kept(page) == sum(score >= cut for score in scores)
        assert abs(float(slider.input_value()) - cut) < 1e-6
    slider.focus()
    before = float(slider.input_value())
    page.keyboard.press("PageDown")
    assert float(slider.input_value()) < before


def test_the_line_in_the_histogram_can_be_dragged_and_leads_to_the_images(page):
    plot = page.locator(".plot.drag").first
    plot.scroll_into_view_if_needed()
    eventually(page, "document.querySelector('.plot.drag').chart !== undefined")
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    assert kept(page) == 4  # only those with the largest score
    page.get_by_role("button", name="Show what would go").first.click()
    assert cards(page) == 20 and page.locator("#extra").is_visible()
    page.locator("#extra").click()
    assert cards(page) == 24


def test_masks_are_laid_over_on_request(page):
    mask = page.locator("#grid img.mask").first
    assert not mask.is_visible()
    page.get_by_label("masks", exact=True).check()
    assert mask.is_visible()


def test_the_theme_follows_the_system_and_the_button(page):
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.emulate_media(color_scheme="dark")
    eventually(page, "document.documentElement.dataset.theme === 'dark'")
    page.locator("#theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_a_click_on_the_map_opens_the_image(page):
    plot = page.locator("#map .plot")
    plot.scroll_into_view_if_needed()
    eventually(page, "document.querySelector('#map .plot').chart !== undefined")
    page.wait_for_timeout(300)  # until it has its final size
    for at in (0, 3, 7):
        place = page.evaluate(
            "((at) => { const c = document.querySelector('#map .plot').chart, p = c.getDatasetMeta(0).data[at], "
            "b = c.canvas.getBoundingClientRect(); return [b.left + p.x, b.top + p.y]; })",
            at,
        )
        page.mouse.click(*place)
        page.locator("#detail").wait_for(state="visible", timeout=3000)
        page.keyboard.press("Escape")


def test_a_narrow_screen_needs_no_scrolling_sideways(page):
    page.set_viewport_size({"width": 380, "height": 800})
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_are_told_from_their_ground(page, scheme):
    """WCAG 2.1 asks for a contrast of 4.5."""
    page.emulate_media(color_scheme=scheme)
    eventually(page, f"document.documentElement.dataset.theme === '{scheme}'")
    for ink in ("ink", "soft", "accent", "good", "bad"):
        for ground in ("ground", "raised"):
            colours = page.evaluate(f"[colour('{ink}'), colour('{ground}')]")
            light, dark = sorted((luminance(text) for text in colours), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


def luminance(text: str) -> float:
    parts = [int(text[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.slow
def test_fifty_thousand_samples_stay_usable(browser, tmp_path):
    written = write_report(many_samples(tmp_path / "run", 50_000))
    assert written.samples == 50_000 and written.size <= 40e6
    page = browser.new_context(offline=True).new_page()
    problems = Problems()
    problems.watch(page)
    page.goto(Path(written.path).as_uri())
    page.wait_for_selector(READY, timeout=20_000)
    for control in ("Class", "Origin"):
        select = page.get_by_label(control, exact=True)
        spent = select.evaluate(
            "(select) => { const began = performance.now(); select.selectedIndex = 1;"
            " select.dispatchEvent(new Event('change')); return performance.now() - began; }"
        )
        assert spent < 1000
    assert page.evaluate("document.querySelectorAll('*').length") < 5000
    assert problems == []
