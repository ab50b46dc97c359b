"""The HTML file: one template, with the style, the code and the data inlined, and nothing from anywhere else."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from augforge.optional import require
from augforge.report.columns import as_json

CODE = (
    "app/data", "shared/dom", "shared/charts", "shared/shapes", "shared/facts", "shared/cut", "app/overview",
    "app/picture", "app/address", "app/gallery", "app/detail", "app/scores", "app/judges", "app/mislabelled",
    "app/heat", "app/pairs", "app/copies", "app/facts", "app/selection", "app/balance", "app/map", "app/evaluation",
    "app/next", "app/main",
)  # fmt: skip
"""The files in the order in which they are joined; those of shared/ are also modules of the page of `augforge view`."""
MODULE_LINES = re.compile(r"^(?:import|export) .*;\n", re.MULTILINE)
BLOCK = 250
"""Thumbnails of one JSON block; a block is read when one of its pictures is first shown."""


def render(title: str, blocks: Mapping[str, Any]) -> str:
    """The page. `title` and every text in `blocks` may hold anything: none of it can become markup or code.

    Args:
        title: of the page.
        blocks: JSON-like values by the id of the script element that will hold them.
    """
    require("jinja2")
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    code, style = [_chart_library(), _code()], _text("shared/base.css") + _text("style.css")
    environment = Environment(loader=PackageLoader("augforge.report", ""), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("template.html.j2").render(
        title=title,
        policy=_policy(code, style),
        style=Markup(style),  # our own files: nothing of a run is in them
        scripts=[Markup(text) for text in code],
        blocks={name: Markup(as_json(value)) for name, value in blocks.items()},
    )


def picture_blocks(pictures: Mapping[int, str], prefix: str) -> tuple[list[int], dict[str, list[str]]]:
    """The ledger rows that have a picture, as they come, and the pictures in blocks `prefix-0`, `prefix-1`, …"""
    rows = list(pictures)
    starts = range(0, len(rows), BLOCK)
    return rows, {
        f"{prefix}-{start // BLOCK}": [pictures[row] for row in rows[start : start + BLOCK]] for start in starts
    }


def _policy(code: Sequence[str], style: str) -> str:
    """What the browser may run and load: these scripts, this style, pictures in the file, and nothing else."""
    scripts = " ".join(_hash(text) for text in code)
    return (
        f"default-src 'none'; script-src {scripts}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _chart_library() -> str:
    """Chart.js as it is, less the name of its source map, which does not come along."""
    return re.sub(r"\n?//# sourceMappingURL=\S*", "", _text("vendor/chart.umd.min.js"))


@cache
def _code() -> str:
    """One script: a file that is opened from disk may load no modules."""
    return "'use strict';\n" + "\n".join(MODULE_LINES.sub("", _text(f"{name}.js")) for name in CODE)


def _text(name: str) -> str:
    return files("augforge.report").joinpath(name).read_text(encoding="utf-8")
