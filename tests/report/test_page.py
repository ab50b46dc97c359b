"""The file: one page, nothing from elsewhere, no text of the run as markup, and no picture that must not be shown."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from augforge.engine.run import run as run_recipe
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.report import write_report
from augforge.report.collect import Findings
from tests.report.runs import EVIL, FILTERED, FLAGGED, make_run, pictures_in, png


class Page(HTMLParser):
    """Elements with their attributes and texts, as an HTML parser sees them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[int, str] = {}
        self.inside = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside = True

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        place = len(self.elements) - 1
        if self.inside:
            self.texts[place] = self.texts.get(place, "") + data

    def of(self, tag: str):
        return [(attrs, self.texts.get(place, "")) for place, (name, attrs) in enumerate(self.elements) if name == tag]


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_nothing_is_loaded_from_anywhere(page):
    for tag, attrs in page.elements:
        assert tag not in {"link", "iframe", "object", "embed", "base", "img"}
        for name, value in attrs.items():
            assert name not in {"src", "action", "style"} and not name.startswith("on"), (tag, name)
            assert name != "href" or value.startswith("#")


def test_the_policy_allows_the_two_scripts_and_the_style_and_nothing_else(page):
    (policy,) = [a["content"] for a, _ in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    scripts = [text for attrs, text in page.of("script") if attrs.get("type") is None]
    (style,) = [text for _, text in page.of("style")]
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    assert rules["script-src"].split() == [sha(text) for text in scripts] and len(scripts) == 2
    assert rules["style-src"] == sha(style)
    assert "unsafe" not in policy


def sha(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_no_text_of_the_run_is_markup(page, html):
    for text in EVIL[:3]:
        assert text not in html
    assert "<b>run</b>" not in html and "<i>" not in html
    assert [text for _, text in page.of("title")] == ["<b>run</b>: augforge report"]
    data = [json.loads(text) for attrs, text in page.of("script") if attrs.get("type") == "application/json"]
    (samples,) = [block for block in data if "pictured" in block]
    assert samples["label"]["values"] == list(EVIL)


def colours(html: str) -> set[tuple[int, ...]]:
    """The colours of the pictures' middles, to 16 levels, as WebP does not keep them to the bit."""
    found = pictures_in(html)
    return {tuple((np.array(p.getpixel((p.width // 2, p.height // 3))) // 16).tolist()) for p in found if p.getbbox()}


def rough(colour: tuple[int, ...]) -> tuple[int, ...]:
    return (*(value // 16 for value in colour), 15)


def test_flagged_images_are_nowhere_in_the_file(html, written):
    assert rough(FILTERED) in colours(html)  # an image that a filter has dropped is there
    assert rough(FLAGGED) not in colours(html)
    assert (written.flagged, written.unjudged) == (4, 4)
    assert len(pictures_in(html)) == written.pictures + 8  # and the masks of the synthetic ones that are shown


def test_the_test_above_would_see_them(run, tmp_path, monkeypatch):
    monkeypatch.setattr(Findings, "hidden", property(lambda findings: np.zeros(len(findings.rows), bool)))
    written = write_report(run, tmp_path / "r.html")
    assert rough(FLAGGED) in colours(Path(written.path).read_text())


def test_a_real_run_with_a_checker_hides_what_it_flagged_and_so_does_a_run_over_it(tmp_path):
    for place, colour in enumerate([FILTERED, FLAGGED, FLAGGED, (9, 9, 200)]):
        file = tmp_path / "pictures" / "a" / f"{place}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(colour, place))
    source = SourceSpec("folder", str(tmp_path / "pictures"))
    stage = build_stage("filter", "safety", {"checker": "tests.report.runs:magenta_is_unsafe"})
    summary = run_recipe(Recipe("safe", 0, (source,), (stage,)), tmp_path / "first")
    assert (summary.kept, summary.dropped) == (2, 2)
    again = Recipe("again", 0, (SourceSpec("run", str(tmp_path / "first")),), (build_stage("filter", "sharpness", {}),))
    run_recipe(again, tmp_path / "second")
    for folder in ("first", "second"):
        written = write_report(tmp_path / folder)
        shown = colours(Path(written.path).read_text(encoding="utf-8"))
        assert rough(FILTERED) in shown and rough(FLAGGED) not in shown and written.flagged == 2


def test_sections_have_names_and_controls_have_labels(page):
    ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    for attrs, _ in page.of("section"):
        assert attrs["aria-labelledby"] in ids
    assert dict(page.of("html")[0][0])["lang"] == "en"


def test_the_same_run_gives_the_same_file(run, html, tmp_path):
    again = write_report(run, tmp_path / "again.html")
    assert Path(again.path).read_text(encoding="utf-8") == html


def test_what_is_gone_is_said_and_not_shown(tmp_path):
    run = make_run(tmp_path)
    for path in (tmp_path / "pictures").rglob("*.png"):
        path.unlink()
    for path in (run / "vectors").rglob("*.arrow"):
        path.unlink()
    (run / "evaluation.json").unlink()
    html = Path(write_report(run).path).read_text(encoding="utf-8")
    samples = json.loads(re.search(r'id="data-samples">(.*?)</script>', html)[1])
    told = json.loads(re.search(r'id="data-overview">(.*?)</script>', html)[1])
    assert len(samples["missing"]) == 4 and told["map"] is None and told["evaluation"] is None
    assert rough(FILTERED) not in colours(html)
