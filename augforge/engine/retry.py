"""`--retry failed`: forget what failed, so that the run does it again, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from augforge.data.store import Store
from augforge.engine.facts import FACTS
from augforge.engine.ingest import keys_of_problems
from augforge.engine.runners.generated import GENERATED
from augforge.errors import RecipeError
from augforge.io import Source

FAILED = "failed"


def check_retry(what: str | None) -> None:
    """RecipeError if something else than "failed" is to be done again; None is nothing."""
    if what not in (None, FAILED):
        raise RecipeError(f"--retry {what}: only what failed can be done again", "write --retry failed")


def forget_failed(sources: Sequence[Source], store: Store, what: str) -> int:
    """Forget source images that could not be read or decoded and pictures that came out broken; how many there were.

    What the listing of a source itself refuses (a symlink that leads out of it) is no failure. Images that a filter
    could not judge or a model could not be shown were never stored, so they are asked for again anyway.

    Raises:
        RecipeError: `what` is something else than "failed".
    """
    check_retry(what)
    facts = store.parts("source", FACTS, by="key")
    count = facts.forget(set(facts.failed()) - keys_of_problems(sources))
    for folder in sorted((store.folder / "parts").glob("generate-*")):
        made = store.parts(folder.name, GENERATED)
        count += made.forget(made.failed())
    return count
