"""Workers that do not see a folder of their driver, as on another machine: an empty file system lies over it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from augforge.data.places import folder_to_write
from augforge.engine.engines.choose import engine_of
from augforge.engine.engines.processes import Processes
from augforge.engine.run import run
from augforge.errors import AugforgeError
from augforge.recipe import load_recipe

HIDING = 'mount -t tmpfs none "$0" && exec "$@"'
"""A script of the shell: $0 is the folder, the rest the command that does not see it."""


def can_hide() -> bool:
    """Whether this user may lay a file system over a folder."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return not subprocess.run(hiding(folder, ["true"]), capture_output=True).returncode
        except OSError:
            return False


def hiding(folder: str | Path, command: list[str]) -> list[str]:
    """A command, for which a folder is empty."""
    return ["unshare", "-m", "sh", "-c", HIDING, str(folder), *command]


def python_without(folder: Path, cache: Path, script: Path, module: str = "augforge.engine.engines.process") -> str:
    """A Python for `Processes`, written as `script`: it does not see `folder`, and has a cache of its own."""
    command = " ".join(f"'{word}'" for word in hiding(folder, [sys.executable]))
    script.write_text(f"#!/bin/sh\nshift 3\nexport AUGFORGE_CACHE='{cache}'\nexec {command} -m {module} \"$@\"\n")
    script.chmod(0o755)
    return str(script)


class Elsewhere(Processes):
    """Processes that are started by another Python."""

    def __init__(self, workers: int, python: str) -> None:
        super().__init__(workers)
        self._python = python

    def run(self, *given, **options):  # type: ignore[no-untyped-def]
        before, sys.executable = sys.executable, self._python
        try:
            return super().run(*given, **options)
        finally:
            sys.executable = before


if __name__ == "__main__":  # RECIPE URL, and the Python of `Elsewhere` or the address of a cluster
    recipe, url, where = sys.argv[1:]
    engine = Elsewhere(2, where) if Path(where).exists() else engine_of("ray", address=where)
    try:
        print(run(load_recipe(Path(recipe)), folder_to_write(url), device="cpu", engine=engine).computed)
    except AugforgeError as error:
        sys.exit(f"{error.message}; {error.hint}")
    finally:
        engine.close()
