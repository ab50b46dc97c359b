"""What changes more than decisions: the recipe, and a run of it in the background."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from starlette.responses import JSONResponse, Response

from augforge.data.files import write_atomically
from augforge.recipe.edit import diff_of, edited, read_version
from augforge.view.asked import Asked, Handler
from augforge.view.refusals import bad_request, conflict
from augforge.view.spec import CutAsked, Strict, Text, parsed


class JobAsked(Strict):
    """What is to be done in the background."""

    kind: Literal["run"] = "run"


class Saved(CutAsked):
    """Options of a stage to be written into the recipe, if that is still the `version` that was shown."""

    version: Text


def shown(asked: Asked) -> Mapping[str, Any]:
    """The recipe that a save would change; where it is not known, that of the run folder, without a path."""
    path = asked.served.recipe_file()
    read = path or asked.run.folder / "recipe.yaml"
    text = read_version(read)[0] if read.is_file() else ""
    return {"path": None if path is None else str(path), "text": text}


def preview(asked: Asked) -> Mapping[str, Any]:
    """What would change in the recipe; nothing is written."""
    wanted = parsed(CutAsked, asked.json())
    path = _recipe(asked, wanted)
    before, version = read_version(path)
    return {"diff": diff_of(before, _edited(before, wanted), path.name), "version": version, "file": path.name}


def save(asked: Asked) -> Mapping[str, Any]:
    """Write options of a stage into the recipe."""
    wanted = parsed(Saved, asked.json())
    path = _recipe(asked, wanted)
    with asked.served.saving:
        before, version = read_version(path)
        if version != wanted.version:
            raise conflict(f"{path.name} has changed since it was read", "look at it again, then save")
        after = _edited(before, wanted)
        write_atomically(path.resolve(), after.encode())
    return {"diff": diff_of(before, after, path.name), "version": read_version(path)[1], "file": path.name}


def _edited(text: str, wanted: CutAsked) -> str:
    """The text of a recipe with all options that are wanted, those that are taken away last."""
    for option, value in sorted(wanted.options.items(), key=lambda item: item[1] is None):
        text = edited(text, wanted.stage, option, value)
    return text


def _recipe(asked: Asked, wanted: CutAsked | None = None) -> Path:
    """The recipe to be changed and run; refused where what is `wanted` are no options by which a filter decides."""
    if wanted is not None:
        asked.run.filtering.changed(wanted)
    recipe = asked.served.recipe_file()
    if recipe is None:
        raise bad_request("it is not known which recipe made this run", "start with --recipe FILE")
    return recipe


def job(asked: Asked) -> Mapping[str, Any]:
    """How far the run in the background is."""
    return {**asked.served.jobs.plain(), "revision": asked.run.index.revision}


def start(asked: Asked) -> Response:
    """Run the recipe again."""
    parsed(JobAsked, asked.json())
    asked.served.jobs.start(_recipe(asked))
    return JSONResponse(job(asked), 202)


def stop(asked: Asked) -> Mapping[str, Any]:
    """End it; what was made is kept."""
    asked.served.jobs.stop()
    return job(asked)


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/api/recipe", shown),
    ("POST", "/api/recipe/preview", preview),
    ("POST", "/api/recipe/save", save),
    ("GET", "/api/job", job),
    ("POST", "/api/job", start),
    ("DELETE", "/api/job", stop),
]
