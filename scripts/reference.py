"""The generated reference: `python -m scripts.reference` writes docs/reference/recipe.schema.json anew.

The two pages (commands, stages) are made while the site is built, by `scripts/docs_site.py`; nothing of them is
committed. The schema is, because editors read it from the repository; a test says when it is out of date.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from augforge.cli.app import app
from augforge.stages.catalog import STAGES, VERBS, stage_class
from augforge.stages.stage import Stage
from scripts.recipe_schema import as_text, recipe_schema

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "docs" / "reference" / "recipe.schema.json"
PROGRAM = "augforge"


def commands() -> Iterator[tuple[str, Any, Any]]:
    """Every command in the order of `--help`: its words, such as "augforge filter clip", the command, its context."""
    root: Any = typer.main.get_command(app)
    yield from _below(PROGRAM, root, root.context_class(root, info_name=PROGRAM))


def _below(words: str, command: Any, context: Any) -> Iterator[tuple[str, Any, Any]]:
    yield words, command, context
    for name in getattr(command, "list_commands", lambda _: ())(context):
        inner = command.get_command(context, name)
        if not inner.hidden:
            yield from _below(f"{words} {name}", inner, inner.context_class(inner, info_name=name, parent=context))


def commands_page() -> str:
    """Every command with its arguments and options, as Markdown."""
    sections = ["# Commands", f"What `{PROGRAM} COMMAND --help` prints, in one page."]
    for words, command, context in commands():
        depth = "#" * len(words.split())
        sections += [f"{depth} {words}"] if words != PROGRAM else []
        sections += [inspect.cleandoc(command.help or "")]
        usage = " ".join(command.collect_usage_pieces(context))
        sections += [f"```text\n{words} {usage}\n```", _options(command, context)]
    return "\n\n".join(filter(None, sections)) + "\n"


def _options(command: Any, context: Any) -> str:
    """A table of arguments and options for each panel of the help, in its order."""
    panels: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None:
            panel = getattr(parameter, "rich_help_panel", None)
            panels.setdefault(panel if isinstance(panel, str) else "", []).append(record)
    tables = [f"**{panel}**\n\n{_table(rows)}" if panel else _table(rows) for panel, rows in panels.items()]
    return "\n\n".join(tables)


def _table(rows: Sequence[tuple[str, str]]) -> str:
    lines = [f"| `{_cell(name)}` | {_cell(about)} |" for name, about in rows]
    return "\n".join(["| option | what it does |", "|---|---|", *lines])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def stages_page() -> str:
    """Every stage with its options, as Markdown."""
    branches = recipe_schema()["$defs"]
    sections = ["# Stages and their options", "Keys of a recipe; each is an option of the command of the same name."]
    for verb in VERBS:
        sections.append(f"## {verb}")
        for name in (name for known, name in STAGES if known == verb):
            cls = stage_class(verb, name)
            sections += [f"### {verb}: {name}", inspect.cleandoc(cls.__doc__ or ""), _measures(cls)]
            sections.append(_stage_table(verb, branches[f"{verb}.{name}"]))
    return "\n\n".join(filter(None, sections)) + "\n"


def _measures(cls: type[Stage]) -> str:
    names = getattr(cls, "measures", ())
    return f"Measures: {', '.join(f'`{name}`' for name in names)}." if names else ""


def _stage_table(verb: str, branch: Mapping[str, Any]) -> str:
    lines = ["| key | type | default | what it does |", "|---|---|---|---|"]
    for key, option in branch["properties"].items():
        if key != verb:
            default = "required" if key in branch["required"] else _shown(option.get("default"))
            lines.append(f"| `{key}` | {_cell(_type(option))} | {default} | {_cell(option.get('description', ''))} |")
    return "\n".join(lines)


def _shown(default: Any) -> str:
    if default is None or default in ("", []):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _type(option: Mapping[str, Any]) -> str:
    """The type of an option in words, with its bounds."""
    if "anyOf" in option:
        parts = (_type(each) for each in option["anyOf"] if each.get("type") != "null")
        return " or ".join(dict.fromkeys(filter(None, parts)))
    if "enum" in option:
        return " ".join(f"`{value}`" for value in option["enum"] if isinstance(value, str))
    if "const" in option:
        return f"`{option['const']}`"
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
    if option.get("type") == "array":
        return "list of texts" if option["items"].get("type") == "string" else f"list of {_type(option['items'])}"
    bounds = [
        f"{sign} {option[name]:g}"
        for name, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if name in option
    ]
    return " ".join([words.get(str(option.get("type")), "value"), ", ".join(bounds)]).strip()


if __name__ == "__main__":
    SCHEMA.parent.mkdir(parents=True, exist_ok=True)
    SCHEMA.write_text(as_text(), encoding="utf-8")
    typer.echo(f"wrote {SCHEMA.relative_to(ROOT)}")
