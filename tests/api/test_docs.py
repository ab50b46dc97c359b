"""The examples of docs/python.md are run in their order; a block of text is what the example before it prints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def examples(page: str) -> Iterator[tuple[str, str]]:
    """The code of every example of a page, and what it is said to print."""
    blocks = [(kind, content) for kind, content in BLOCK.findall(page)]
    for place, (kind, code) in enumerate(blocks):
        if kind == "python":
            after = blocks[place + 1] if place + 1 < len(blocks) else ("", "")
            yield code, after[1] if after[0] == "text" else ""


def printed(code: str, names: dict[str, Any]) -> str:
    """What a piece of code prints, run with the names of those before it."""
    stream = StringIO()
    with redirect_stdout(stream):
        exec(compile(code, "docs/python.md", "exec"), names)
    return stream.getvalue()


def test_every_example_runs_and_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "notebook"}
    found = [(code, said, printed(code, names)) for code, said in examples(PAGE.read_text())]
    assert len(found) >= 14
    assert [(code, printed) for code, said, printed in found if printed != said] == []
    assert capsys.readouterr() == ("", "")  # nothing but what the examples print, no progress


def test_a_wrong_example_is_found() -> None:
    page = "```python\nprint(1 + 1)\n```\n```text\n3\n```\n\n```python\nx = 1\n```\n"
    assert [(code, said) for code, said in examples(page)] == [("print(1 + 1)\n", "3\n"), ("x = 1\n", "")]
    assert printed("print(1 + 1)\n", {}) != "3\n"
