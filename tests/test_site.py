"""The documentation site is built of every page, without the network, and asks for nothing from elsewhere."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from augforge.stages.catalog import STAGES
from scripts.docs_site import GENERATED, _moved
from scripts.docs_site import PAGES as MOVED

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "mkdocs.yml"
ELSEWHERE = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"?(?:https?:)?//[^>]*>")


def leaves(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for each in nav if isinstance(nav, list) else nav.values() if isinstance(nav, dict) else ():
        yield from leaves(each)


def test_every_page_is_in_the_navigation():
    named = set(leaves(yaml.load(CONFIG.read_text(encoding="utf-8"), Loader=yaml.UnsafeLoader)["nav"]))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    decisions = {page for page in pages if page.startswith("decisions/0")}  # the hook adds them
    assert pages - decisions <= named
    assert named <= pages | set(MOVED.values()) | set(GENERATED) | {"python.md"}


@pytest.mark.parametrize(
    ("link", "page", "on_the_site"),
    [
        ("docs/models.md#guidance", "index.md", "models.md#guidance"),
        ("benchmarks/RESULTS.md", "index.md", "results.md"),
        ("../benchmarks/RESULTS.md#exports", "export.md", "results.md#exports"),
        ("../format.md", "decisions/0009-one-house.md", "../format.md"),
        ("docs/decisions", "index.md", "decisions/README.md"),
        ("../README.md", "first-steps.md", "index.md"),
        ("#anchor", "export.md", "#anchor"),
        ("https://example.org/a.md", "export.md", "https://example.org/a.md"),
        ("recipes/quickstart.yaml", "index.md", "files/recipes/quickstart.yaml"),
    ],
)
def test_links_are_pointed_at_the_page_that_their_target_became(link, page, on_the_site):
    assert _moved(link, page) == on_the_site


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    def refuse(*_: object) -> None:
        raise AssertionError("the network is used")

    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        config = load_config(str(CONFIG), site_dir=str(folder))
        config.plugins.on_startup(command="build", dirty=False)
        build(config)
    return folder


def test_the_site_is_built_without_the_network_and_its_pages_load_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 25
    assert not [path.name for path in pages if ELSEWHERE.search(path.read_text(encoding="utf-8"))]
    assert ELSEWHERE.search('<script src="https://unpkg.com/x.js"></script>')


def test_the_reference_names_every_stage_and_command(site):
    stages = (site / "reference" / "stages.html").read_text(encoding="utf-8")
    commands = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for verb, name in STAGES:
        assert f"{verb}: {name}" in stages
    for words in (
        "augforge generate shifts",
        "augforge select-subset k-center",
        "augforge check-marks",
        "--until-accepted",
    ):
        assert words in commands
    assert (site / "reference" / "recipe.schema.json").is_file()


def test_alternatives_in_tables_are_shown_without_backslashes(site):
    assert "digits|streets" in (site / "index.html").read_text(encoding="utf-8")
