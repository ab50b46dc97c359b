"""MkDocs hooks: the pages that lie outside docs/, those that are generated, and links that work on the forge and here.

Every page has one source in the repository, with links relative to that source, as a forge shows it. While the site is
built, each link is followed in the repository and pointed at the page that was made of its target; a file that is no
page (a recipe, a licence) is copied to files/.
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/RESULTS.md": "results.md",
    "benchmarks/proof.md": "proof.md",
    "augforge/models/weights/builtin-clip/README.md": "models/builtin-clip.md",
    "augforge/models/weights/builtin-unclip/README.md": "models/builtin-unclip.md",
    "augforge/models/weights/builtin-sd/README.md": "models/builtin-sd.md",
}
"""Sources outside docs/, and the pages they become."""
LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()([^)\s]+)(\))")
CELL_CODE = re.compile(r"`[^`\n]*`")
FENCE = re.compile(r"(^ *```.*?^ *```)", re.MULTILINE | re.DOTALL)


def on_config(config: Any) -> Any:
    """Leave pages out of the navigation whose source is not there."""
    config.nav = list(_there(config.nav))
    decisions = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("0*.md"))
    section = next(entry for entry in config.nav if "Decisions" in entry)
    section["Decisions"] = ["decisions/README.md", *(f"decisions/{name}" for name in decisions)]
    return config


def _there(entries: list[Any]) -> Iterator[Any]:
    made = {*PAGES.values(), *GENERATED}
    for entry in entries:
        ((title, value),) = entry.items()
        if isinstance(value, list) and all(isinstance(each, dict) for each in value):
            yield {title: list(_there(value))}
        elif isinstance(value, list) or value in made or (ROOT / "docs" / value).is_file():
            yield entry


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from elsewhere, the generated ones, and the files that pages link to."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    for page, write in GENERATED.items():
        files.append(File.generated(config, page, content=write()))
    linked = {path for file in files.documentation_pages() for path in _files_of(file)}
    for path in sorted(linked):
        files.append(File.generated(config, f"files/{path}", abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point every link at the page that its target became."""
    here = page.file.src_uri

    def moved(match: re.Match[str]) -> str:
        before, target, after = match.groups()
        return f"{before}{_moved(target, here)}{after}"

    parts = FENCE.split(markdown)
    shown = (part if part.lstrip().startswith("```") else _tables(LINK.sub(moved, part)) for part in parts)
    return "".join(shown)


def _tables(markdown: str) -> str:
    """With `a\\|b` in the code of a table as `a|b`: a forge needs the backslash, and this Markdown would show it."""
    rows = (
        CELL_CODE.sub(lambda code: code.group(0).replace("\\|", "|"), line) if line.startswith("|") else line
        for line in markdown.split("\n")
    )
    return "\n".join(rows)


def _moved(target: str, here: str) -> str:
    path, hash_, anchor = target.partition("#")
    if not path or "://" in path or path.startswith("mailto:"):
        return target
    site = posixpath.relpath(_on_site(_in_repository(path, here)), posixpath.dirname(here) or ".")
    return f"{site}{hash_}{anchor}"


def _in_repository(path: str, here: str) -> str:
    """The path in the repository that a link of the page `here` leads to."""
    origin = next((source for source, page in PAGES.items() if page == here), f"docs/{here}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))


def _on_site(path: str) -> str:
    if path in PAGES:
        return PAGES[path]
    if (ROOT / path).is_dir():
        path = f"{path}/README.md"
    return path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path}"


def _files_of(file: File) -> Iterator[str]:
    """The files of the repository that a page links to and that are no pages."""
    for part in FENCE.split(file.content_string):
        for _, target, _ in LINK.findall("" if part.lstrip().startswith("```") else part):
            path = target.partition("#")[0]
            if path and "://" not in path and not path.startswith("mailto:"):
                found = _in_repository(path, file.src_uri)
                if _on_site(found).startswith("files/") and (ROOT / found).is_file():
                    yield found


def _commands() -> str:
    sys.path.insert(0, str(ROOT))
    from scripts.reference import commands_page

    return commands_page()


def _stages() -> str:
    sys.path.insert(0, str(ROOT))
    from scripts.reference import stages_page

    return stages_page()


def _operators() -> str:
    sys.path.insert(0, str(ROOT))
    from scripts.operator_sheet import page

    return page()


GENERATED: dict[str, Callable[[], str]] = {
    "reference/commands.md": _commands,
    "reference/stages.md": _stages,
    "reference/operators.md": _operators,
}
"""Pages that are made of the code, and what writes them."""
