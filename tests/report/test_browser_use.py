"""The report as somebody uses it: links that keep what they show, commands to type, small screens, doubtful images."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

from augforge.cli.app import app
from augforge.engine.run import run as run_recipe
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.report import write_report
from augforge.report.collect import Findings, collect
from tests.report.browsing import cards, choose, eventually, needs_chromium, shown
from tests.report.runs import CERTIFICATE, EVIL, many_samples

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run without scores, selection, map or evaluation."""
    folder = many_samples(tmp_path_factory.mktemp("bare") / "a run", 40)
    return Path(write_report(folder).path)


def sections(page: Any) -> list[str]:
    return list(page.evaluate("[...document.querySelectorAll('section')].map((section) => section.id)"))


def test_what_the_gallery_shows_is_in_the_address_and_comes_back_from_it(page, opened, written):
    choose(page, "Class", {"label": EVIL[1]})
    choose(page, "Origin", {"label": "real"})
    choose(page, "Sort", {"label": "clip-prompt, highest first"})
    page.get_by_label("Search").fill(EVIL[1][:6])
    page.get_by_label("only with a picture").uncheck()
    page.wait_for_timeout(250)
    seen = page.locator(".card").all_text_contents()
    again = opened(written.path, page.evaluate("location.hash"))
    assert again.locator(".card").all_text_contents() == seen and 0 < len(seen) < 24
    for field, value in (("Origin", "real"), ("Search", EVIL[1][:6])):
        assert again.get_by_label(field, exact=True).input_value() == value
    assert not again.get_by_label("only with a picture").is_checked()


@pytest.mark.parametrize("reason", ["clip-prompt: under 0.25 (8)", "dropped", "kept"])
def test_a_reason_and_an_open_image_come_back_too(page, opened, written, reason):
    choose(page, "Fate and reason", {"label": reason})
    page.locator(".card").nth(1).click()
    told = page.locator("#detail").inner_text()
    again = opened(written.path, page.evaluate("location.hash"))
    assert again.locator("#detail").inner_text() == told
    again.keyboard.press("Escape")
    eventually(again, "!location.hash.includes('image=')")  # a dialog tells of its closing a moment later
    assert cards(again) == cards(page)


def test_at_the_beginning_nothing_is_in_the_address_and_a_link_to_a_section_keeps_what_is(page):
    assert page.evaluate("location.hash") == ""
    choose(page, "Class", {"label": "plain"})
    page.get_by_role("navigation").get_by_text("Scores").click()
    page.wait_for_timeout(100)
    assert page.evaluate("location.hash") == "#scores&class=plain" and cards(page) == 6
    choose(page, "Class", {"label": "all"})
    assert page.evaluate("location.hash") == "#scores"


@pytest.mark.parametrize(
    "fragment",
    [
        "#gallery&class=nobody&stage=by:x&origin=moon&outcome=lost&sort=[1]&page=-7&image=zz",
        "#nowhere",
        "#gallery&only=[",
        "#%3Cb%3E",
    ],
)
def test_an_address_that_names_what_is_not_there_shows_everything(opened, written, fragment):
    assert cards(opened(written.path, fragment)) == 24


def test_a_threshold_is_in_the_address(page, opened, written):
    page.get_by_label("Threshold of clip-prompt as a number").fill("0.45")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Show what would go").first.click()
    again = opened(written.path, page.evaluate("location.hash"))
    assert (
        cards(again) == cards(page) < 24 and again.locator("#extra").inner_text() == page.locator("#extra").inner_text()
    )


def commands(page: Any) -> list[str]:
    return [text for text in page.locator("pre").all_text_contents() if text.startswith("augforge ")]


def known(words: list[str]) -> bool:
    """Whether there is such a command, with such options."""
    command: Any = get_command(app)
    context, rest = command.make_context("augforge", [], resilient_parsing=True), words[1:]
    while hasattr(command, "get_command") and rest:
        name, *rest = rest
        command = command.get_command(context, name)
        if command is None:
            return False
    return {word for word in rest if word.startswith("--")} <= {
        option for param in command.params for option in param.opts
    }


def test_commands_have_the_real_path_and_can_be_typed(bare, opened):
    page = opened(bare)
    page.locator(".card").first.click() if cards(page) else None
    told = [shlex.split(text) for text in commands(page)]
    assert {words[1] for words in told} >= {"evaluate", "verify", "export"}
    assert all(known(words) for words in told) and not known(["augforge", "behold", "x"])
    for words in told:
        assert str(bare.parent) in words  # it has a blank in its name


def test_the_command_of_an_image_works_as_it_stands(page):
    page.locator(".card").first.click()
    (command,) = [text for text in commands(page) if text.startswith("augforge why")]
    result = CliRunner().invoke(app, shlex.split(command)[1:])
    assert result.exit_code == 0, result.output


def test_what_a_run_has_not_takes_no_room(bare, opened, page):
    assert sections(opened(bare)) == ["overview", "gallery", "scores", "balance", "next", "recipe"]
    assert "pairs" not in sections(page) and "judges" in sections(page)
    for section in sections(page):
        assert page.get_by_role("navigation").locator(f"a[href='#{section}']").count() == 1
        assert len(shown(page.locator(f"#{section}")).split()) > 3


def test_the_buttons_of_what_is_next_lead_to_images(page):
    page.get_by_role("button", name="Look at what was dropped").click()
    assert cards(page) == 8 and page.get_by_label("Fate and reason").input_value() == "dropped"
    page.get_by_role("button", name="Look at what was made and kept").click()
    assert cards(page) == 4


def test_a_class_without_images_is_named_and_no_ratio_is_made_of_it(run, tmp_path, opened, monkeypatch):
    counts = {"cat": (4, 3, 1), "dog": (2, 2, 0), "empty": (0, 0, 0), "new": (0, 0, 5)}
    monkeypatch.setattr(Findings, "balance", lambda findings: counts)
    lead = opened(write_report(run, tmp_path / "r.html").path).locator("#balance-lead").inner_text()
    assert (
        "infinit" not in lead.lower()
        and "has 2 times as many images as the smallest before the run, 2.5 times after it." in lead
    )
    assert "Without any image before the run: new, empty." in lead
    assert "Without any image after the run: empty." in lead


def test_reasons_are_shown_in_full(tmp_path, opened, run):
    reason = "clip-prompt: " + "not as much like its class as most of the others are " * 4 + "END"
    findings = collect(run)
    from augforge.report import write as writing

    column = [reason if text and "under" in text else text for text in findings.rows.column("dropped").to_pylist()]
    place = findings.rows.column_names.index("dropped")
    changed = replace(findings, rows=findings.rows.set_column(place, "dropped", [column]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "collect", lambda folder, umap: changed)
        page = opened(write_report(run, tmp_path / "r.html").path)
    choose(page, "Fate and reason", {"label": "dropped"})
    card = page.locator(".card", has_text="END").first
    assert card.evaluate(
        "(card) => [...card.querySelectorAll('.fate span')].every((one) => one.scrollHeight <= one.clientHeight + 1)"
    )


BROKEN = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.parentElement.checkVisibility() || node.parentElement.closest('pre, code, .mono')) continue;
    for (const match of node.data.matchAll(/[A-Za-z]{2,15}/g)) {
      const range = document.createRange();
      range.setStart(node, match.index);
      range.setEnd(node, match.index + match[0].length);
      if (new Set([...range.getClientRects()].map((rect) => Math.round(rect.top))).size > 1) found.push(match[0]);
    }
  }
  return found;
}"""


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_breaks_no_word_and_scrolls_only_downwards(opened, written, width):
    page = opened(written.path, viewport={"width": width, "height": 844}, is_mobile=True, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(BROKEN) == []
    # and the check sees what it is to see:
    page.evaluate("document.querySelector('#lead').style.cssText = 'width: 2rem; overflow-wrap: anywhere'")
    assert page.evaluate(BROKEN) != []


def test_pictures_are_large_enough_to_judge(page, opened, written):
    assert page.locator(".card .shot").first.bounding_box()["width"] >= 150
    phone = opened(written.path, viewport={"width": 390, "height": 844})
    assert phone.locator(".card .shot").first.bounding_box()["width"] >= 140


def test_labels_against_judges_add_up_and_a_cell_leads_to_its_images(page, run):
    (judge,) = collect(run).judgements
    assert page.locator("#judges .verdict").inner_text().endswith("of 32 images are taken for what their label says")
    numbers = [int(text) for text in page.locator("#judges .cell").all_text_contents()]
    assert sum(numbers) == int((judge.chosen >= 0).sum()) == 32
    page.get_by_label("only with a picture").uncheck()
    cell = page.locator("#judges .cell.wrong").first
    count = int(cell.inner_text())
    cell.click()
    assert cards(page) == count and page.locator("#extra").inner_text().startswith("labelled ")


def test_the_selection_is_drawn_as_the_difference_to_random(page):
    page.locator("#selection .plot").scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    drawn = page.evaluate(
        "document.querySelector('#selection .plot').chart.data.datasets"
        ".map((set) => [set.label, set.data.map((at) => at.y)])"
    )
    curve = CERTIFICATE["curve"]
    assert dict(drawn)["chosen"] == [
        mine - theirs for mine, theirs in zip(curve["chosen"], curve["random"], strict=True)
    ]
    assert dict(drawn)["random"] == [0, 0, 0] and dict(drawn)["no choice is over"] == [3]


def test_near_duplicates_stand_side_by_side_those_of_different_labels_first(tmp_path, opened):
    pictures = tmp_path / "pictures"
    for label in ("a", "b"):
        (pictures / label).mkdir(parents=True)
    image = Image.radial_gradient("L").convert("RGB")
    image.paste((200, 30, 30), (20, 60, 90, 200))
    image.save(pictures / "a" / "one.png")
    image.resize((250, 250)).save(pictures / "a" / "two.png")
    other = Image.linear_gradient("L").rotate(35).convert("RGB")
    other.paste((30, 30, 200), (120, 20, 220, 90))
    other.save(pictures / "a" / "three.png")
    other.save(pictures / "b" / "three.jpg", quality=95)
    stage = build_stage("filter", "duplicates", {"by": "hash", "on": "all"})
    run_recipe(Recipe("r", 0, (SourceSpec("folder", str(pictures)),), (stage,)), tmp_path / "out")
    pairs = collect(tmp_path / "out").pairs
    assert pairs
    page = opened(write_report(tmp_path / "out").path)
    shown_pairs = page.locator("#pairs .pair")
    assert shown_pairs.count() == len(pairs)
    left, right = (shown_pairs.first.locator(".card").nth(side).bounding_box() for side in (0, 1))
    assert left["y"] == right["y"] and left["x"] < right["x"] and left["width"] >= 150
    labels = [set(pair.locator(".card-label").all_text_contents()) for pair in shown_pairs.all()]
    assert [len(pair) for pair in labels] == sorted((len(pair) for pair in labels), reverse=True)
