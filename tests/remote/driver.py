"""A run in a process of its own, to be killed: `python -m tests.remote.driver RECIPE URL`."""

from __future__ import annotations

import sys
from pathlib import Path

from augforge.data.places import folder_to_write
from augforge.engine.run import run
from augforge.errors import AugforgeError
from augforge.recipe import load_recipe

if __name__ == "__main__":
    try:
        done = run(load_recipe(Path(sys.argv[1])), folder_to_write(sys.argv[2]), device="cpu")
    except AugforgeError as error:
        sys.exit(f"{error.message}; {error.hint}")
    print(done.computed)
