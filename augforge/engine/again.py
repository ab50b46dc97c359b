"""The choice of a finished run made again, in another folder: what the run made and measured is brought there, not made
anew, and the run itself is only read."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from augforge.data.mirror import commit
from augforge.data.record import LEDGER
from augforge.data.store import Store
from augforge.engine.beside import beside
from augforge.errors import RecipeError, SourceError
from augforge.io.run import Run
from augforge.progress import Progress
from augforge.provenance.chain import refuse_overlap
from augforge.recipe import Recipe, check_recipe, load_recipe
from augforge.stages.selector import Selector

WORK = ("parts", "vectors")


def chosen_again(folder: Path, stage: Selector) -> Recipe:
    """The recipe of the finished run in `folder`, with `stage` in place of its last selector.

    Name, seed and sources stay, and files beside the recipe that the run was made from are found there, so that all
    before the choice is what it was.

    Raises:
        SourceError: there is no finished run.
        RecipeError: it has no selector.
    """
    if not (folder / LEDGER).is_file() and not (folder / "parts").is_dir():
        raise SourceError(f"{folder} is no run folder, whose choice could be made again", "leave out --again")
    Run(str(folder)).check_sound()
    recipe = load_recipe(folder / "recipe.yaml")
    places = [place for place, each in enumerate(recipe.stages) if isinstance(each, Selector)]
    if not places:
        raise RecipeError(
            f"{folder} made no choice that could be made again: no stage of its recipe is a selector",
            f"choose from what it kept: augforge select {stage.name} {folder}, without --again",
        )
    stages = (*recipe.stages[: places[-1]], stage, *recipe.stages[places[-1] + 1 :])
    again = replace(recipe, stages=stages, folder=beside(folder).absolute())
    check_recipe(again)
    return again


def bring_work(folder: Path, out: Path, progress: Progress) -> int:
    """Copy the parts, embeddings and models of the run in `folder` that the folder `out` lacks; how many files.

    Raises:
        StoreError: `out` is the run, lies in it or holds it, or another process writes there.
    """
    refuse_overlap(out, [folder])
    store, copied = Store(out, progress.say), 0
    with store.locked():
        for path in sorted(path for name in WORK for path in folder.glob(f"{name}/*/[!.]*") if path.is_file()):
            there = out / path.relative_to(folder)
            if not there.exists():
                there.parent.mkdir(parents=True, exist_ok=True)
                commit(there, path.read_bytes())
                copied += 1
        for path in sorted((folder / "models").glob("[!.]*")):
            if not (out / "models" / path.name).exists():
                shutil.copytree(path, out / "models" / path.name)
                copied += 1
    return copied
