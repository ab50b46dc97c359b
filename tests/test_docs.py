"""The documentation says nothing that is not so: commands parse, links lead somewhere, paths exist, Python runs."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from augforge.cli.app import app
from augforge.recipe.plain_yaml import read_yaml

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKING = [*PAGES, ROOT / "CHANGELOG.md", *sorted((ROOT / "benchmarks").glob("*.md"))]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
PROGRAM = re.compile(r"^(?:\$ )?(?:\.venv/bin/)?augforge (?=[a-z])")
PLACEHOLDER = re.compile(r"[A-Z]{1,12}")
ADDED = {"brightness": "sharpness", "noise": "shifts"}
"""Stages that the reader of CONTRIBUTING adds, and others of their kind in their place."""
FOLDERS = ("augforge", "benchmarks", "docs", "recipes", "scripts", "tests", ".ci")
"""Folders of the repository: what begins with one of them and stands in backticks is a path."""


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(text: str) -> str:
    return FENCE.sub("", text)


def blocks(page: Path, *languages: str) -> list[str]:
    return [code for language, code in FENCE.findall(page.read_text(encoding="utf-8")) if language in languages]


# -- commands -----------------------------------------------------------------------------------------------------


def written(path: Path) -> Iterator[str]:
    """The commands in a page or in the comments of a recipe, as they are written."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".yaml":
        lines = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
        yield from (line for line in lines if PROGRAM.match(line))
        yield from (code for code in INLINE.findall(" ".join(lines)) if PROGRAM.match(code))
        return
    for code in blocks(path, "bash", "sh", "text", ""):
        for line in code.replace("\\\n", " ").splitlines():
            yield from (part.strip() for part in line.split("&&") if PROGRAM.match(part.strip()))
    yield from (code.replace("\\|", "|") for code in INLINE.findall(prose(text)) if PROGRAM.match(code))


def spelled_out(command: str) -> Iterator[list[str]]:
    """The arguments of a command as written in a page, for every alternative in it, with 1 for DIR, ID, N …"""
    words = [word for word in shlex.split(PROGRAM.sub("", command), comments=True) if word != "…"]
    choices = [alternatives(word) for word in words]
    for turn in range(max(map(len, choices), default=1)):
        chosen = [options[min(turn, len(options) - 1)] for options in choices]
        yield ["1" if PLACEHOLDER.fullmatch(word) else ADDED.get(word, word) for word in chosen]


def alternatives(word: str) -> list[str]:
    return [each for each in word.split("|") if each != "…"] if re.fullmatch(r"[\w.:|…-]+", word) else [word]


def parsed(arguments: list[str]) -> Any:
    """The context of a command line, parsed to its last option but not run; an error where it is wrong."""
    command: Any = typer.main.get_command(app)
    context = None
    name, rest = "augforge", arguments
    while True:
        if not hasattr(command, "resolve_command"):
            return command.make_context(name, rest, parent=context)
        context = command.context_class(command, info_name=name, parent=context)
        if not rest:
            return context
        name, command, rest = command.resolve_command(context, rest)


EVERY = [(relative(path), command) for path in [*PAGES, *RECIPES] for command in dict.fromkeys(written(path))]


@pytest.mark.parametrize(("where", "command"), EVERY, ids=[f"{where}: {command}" for where, command in EVERY])
def test_every_command_parses(where, command):
    for arguments in spelled_out(command):
        if in_part(command):
            check_words(arguments)
        else:
            parsed(arguments)


def in_part(command: str) -> bool:
    """Whether a sentence names a command without all that it needs, such as `augforge filter clip --help`."""
    writes = "run|generate|filter|select|train|split|caption|pseudo-label|samples|rebuild"
    needs_out = re.search(rf"augforge ({writes}) ", command)
    bare = len(PROGRAM.sub("", command).split()) == 1  # its name alone
    return bare or "--help" in command or " …" in command or bool(needs_out and "--out" not in command)


def check_words(arguments: list[str]) -> None:
    """An error unless the words name a command, and its options are options of it."""
    command = find([word for word in arguments if not word.startswith("-")])
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in arguments if word.startswith("--")} <= known | {"--help"}


def find(arguments: list[str]) -> Any:
    """The command that the words name, with its groups; an error where there is none."""
    command: Any = typer.main.get_command(app)
    for word in arguments:
        if not hasattr(command, "resolve_command"):
            break
        context = command.context_class(command, info_name=word)
        found = command.get_command(context, word)
        assert found is not None, f"there is no command {word!r}"
        command = found
    return command


def test_commands_are_found_and_wrong_ones_are_refused():
    assert len(EVERY) > 60
    assert any(where == "recipes/quickstart.yaml" for where, _ in EVERY)
    assert list(spelled_out("augforge filter clip|quality DIR --keep 0.8 --out OUT")) == [
        ["filter", "clip", "1", "--keep", "0.8", "--out", "1"],
        ["filter", "quality", "1", "--keep", "0.8", "--out", "1"],
    ]
    assert next(spelled_out("augforge filter clip|… DIR")) == ["filter", "clip", "1"]
    check_words(["filter", "clip", "--help"])
    with pytest.raises(AssertionError):
        check_words(["filter", "clip", "--keeep", "1"])
    for wrong in (
        ["why", "DIR"],
        ["filter", "clip", "x", "--keeep", "1", "--out", "y"],
        ["nothing"],
        ["run", "a.yaml"],
    ):
        with pytest.raises((Exception, SystemExit)):
            parsed(wrong)


# -- recipes ------------------------------------------------------------------------------------------------------


def recipe_blocks() -> Iterator[tuple[str, Any]]:
    for page in PAGES:
        for number, code in enumerate(blocks(page, "yaml")):
            plain = read_yaml(code)
            stages = plain if isinstance(plain, list) else plain.get("stages") if isinstance(plain, dict) else None
            if stages:
                recipe = plain if isinstance(plain, dict) else {"source": {"folder": "x"}, "stages": stages}
                yield f"{relative(page)} {number}", recipe


SHOWN = dict(recipe_blocks())


@pytest.mark.parametrize("where", SHOWN)
def test_every_recipe_in_the_pages_is_one(where):
    from jsonschema import Draft202012Validator

    from scripts.recipe_schema import recipe_schema

    Draft202012Validator(recipe_schema()).validate(SHOWN[where])


def test_recipes_are_found():
    assert len(SHOWN) >= 8


# -- links and paths ----------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as a forge makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+?) *#*$", prose(page.read_text(encoding="utf-8")), re.MULTILINE):
        text = LINK.sub(lambda match: match.group(0)[1:].partition("]")[0], heading).lower()
        name = re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")
        found.add(next(n for k in itertools.count() if (n := f"{name}-{k}" if k else name) not in found))
    return found


def broken(page: Path, target: str) -> str:
    """What is wrong with a link of a page, "" if it leads somewhere in the repository or out of it."""
    path, _, anchor = target.partition("#")
    if "://" in path or path.startswith("mailto:"):
        return ""
    leads_to = (page.parent / path).resolve() if path else page
    if not leads_to.exists():
        return "it leads nowhere"
    if not leads_to.is_relative_to(ROOT):
        return "it leads out of the repository"
    return "" if not anchor or anchor in anchors(leads_to) else f"there is no heading #{anchor}"


@pytest.mark.parametrize("page", LINKING, ids=relative)
def test_every_link_leads_somewhere(page):
    targets = LINK.findall(prose(page.read_text(encoding="utf-8")))
    assert not {target: what for target in targets if (what := broken(page, target))}


def test_broken_links_are_found(tmp_path):
    assert broken(ROOT / "README.md", "docs/nope.md") == "it leads nowhere"
    assert broken(ROOT / "README.md", "docs/concepts.md#nope") == "there is no heading #nope"
    assert broken(ROOT / "README.md", "../elsewhere") in ("it leads nowhere", "it leads out of the repository")
    assert broken(ROOT / "docs" / "evaluate.md", "#evaluationjson") == ""


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_path_in_backticks_exists(page):
    named = [code for code in INLINE.findall(prose(page.read_text(encoding="utf-8"))) if is_path(code)]
    assert not [path for path in named if not (ROOT / path).exists()]


def is_path(code: str) -> bool:
    first, slash, _ = code.partition("/")
    added = {  # the reader's own
        "augforge/stages/filters/brightness.py",
        "augforge/stages/generators/noise.py",
        "tests/stages/filters/test_brightness.py",
    }
    return bool(slash) and first in FOLDERS and not re.search(r"[\s*{}()…]", code) and code not in added


# -- Python -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory) -> Path:
    """A folder in which `runs/quickstart` is a small run of the quickstart."""
    folder = tmp_path_factory.mktemp("docs")
    out, recipe = folder / "runs" / "quickstart", ROOT / "recipes" / "quickstart.yaml"
    done = CliRunner().invoke(app, ["run", str(recipe), "--out", str(out), "--limit", "60"])
    assert done.exit_code == 0, done.output
    return folder


@pytest.mark.parametrize("page", ["README.md", "docs/first-steps.md"])
def test_the_python_of_the_page_runs(page, quickstart, monkeypatch, capsys):
    monkeypatch.chdir(quickstart)
    code = blocks(ROOT / page, "python")
    assert code
    names: dict[str, Any] = {}
    for block in code:
        exec(compile(block, page, "exec"), names)
    if page == "README.md":
        assert len(names["data"]) > 60 and names["data"][0]["origin"] == "real"
    else:
        assert "not among the best" in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_the_python_of_every_page_is_python(page):
    for block in blocks(page, "python"):
        if not block.lstrip().startswith('("'):  # a line of the catalog
            compile(block, relative(page), "exec")
