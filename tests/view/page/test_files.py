"""The files of the page: texts of a run cannot become markup through them, and nothing is loaded from elsewhere."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

APP = Path(str(files("augforge.view"))) / "app"
SHARED = Path(str(files("augforge.report"))) / "shared"
SCRIPTS = sorted([*APP.glob("*.js"), *SHARED.glob("*.js")])
MOST_LINES = 350
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|srcdoc|\beval\b"
    r"|new Function|javascript:|setTimeout\(['\"]"
)
ELSEWHERE = re.compile(r"https?://(?!www\.w3\.org/2000/svg)")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_makes_no_markup_and_imports_what_is_there(path):
    text = path.read_text(encoding="utf-8")
    assert not MARKUP.search(text) and not ELSEWHERE.search(text)
    assert len(text.splitlines()) <= MOST_LINES
    for name in re.findall(r"^import .*?'(\./[^']+)';$", text, re.MULTILINE):
        at = SHARED / Path(name).name if path.parent == SHARED or name.startswith("./shared/") else APP / name
        assert at.is_file(), f"{path.name} imports {name}"


def test_the_scan_would_see_markup():
    assert MARKUP.search("box.innerHTML = row.label") and ELSEWHERE.search("fetch('https://example.org')")


def test_the_first_file_has_no_code_style_or_address_of_its_own():
    html = (APP / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)", html) and not re.search(r"<style|\sstyle=|\son\w+=", html)
    assert not ELSEWHERE.search(html) and not re.search(r"(?:src|href)=\"/", html)
    used = re.findall(r"(?:src|href)=\"app/([^\"]+)\"", html)
    report = Path(str(files("augforge.report")))
    assert all((APP / name).is_file() or (report / name).is_file() for name in used) and len(used) == 4


def test_every_script_is_used():
    text = "".join(path.read_text(encoding="utf-8") for path in [*SCRIPTS, APP / "index.html"])
    unused = [path.name for path in APP.glob("*.js") if f"/{path.name}" not in text]
    assert unused == []
