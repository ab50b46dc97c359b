"""Sections of RESULTS.md that a benchmark writes itself: the commands and what they printed, nothing else."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


def run_and_show(command: Sequence[str]) -> str:
    """Run one benchmark of this folder, showing its lines as they come; the command and its lines, fenced."""
    shown = shlex.join(["python", f"benchmarks/{command[0]}", *(hidden(word) for word in command[1:])])
    print(f"\n$ {shown}", flush=True)
    script = str(RESULTS.with_name(command[0]))
    lines = []
    with subprocess.Popen([sys.executable, script, *command[1:]], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip())
    if process.returncode:
        raise SystemExit(f"{shown} ended with exit code {process.returncode}")
    body = "\n".join(lines).strip("\n")
    return f"```\n$ {shown}\n{body}\n```"


def hidden(word: str) -> str:
    """An argument as it is written down: of a path that exists only the last part, so that no machine is named."""
    path = Path(word)
    return path.name.upper() if path.is_absolute() and path.exists() else word


def write_section(name: str, text: str, results: Path = RESULTS) -> None:
    """Put `text` between the marks of section `name`, which are added at the end where there are none."""
    begin, end = f"<!-- {name}: begin, written by its benchmark -->", f"<!-- {name}: end -->"
    whole, block = results.read_text(), f"{begin}\n{text.strip()}\n{end}"
    marked = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    found = marked.search(whole)
    changed = whole[: found.start()] + block + whole[found.end() :] if found else f"{whole.rstrip()}\n\n{block}\n"
    results.write_text(changed)
