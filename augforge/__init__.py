"""augforge synthesizes and curates image datasets; every row knows where it came from.

    inspect              what a source is understood to be, with examples
    Recipe, stage        what to do: sources and stages; `check`, `plan`, `run`, `rebuild`
    status               how far a run is, while it runs or after it was killed
    Run                  a run folder: its dataset and ledger, `why`, `images`, `report`, `evaluate`, `export`, …
    Review               what people decide about the images of a run
    select_again         the choice of a finished run made again, in another folder
    train                train a model on your own images
    undo                 what a model says of a generated image, back in the coordinates of its source
    samples, check_marks, list_stages, list_models, list_recipes
    AugforgeError        every error that you can fix, with a hint

`docs/python.md` shows all of it. Importing this package loads nothing; each name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"
__all__ = [
    "AugforgeError",
    "Recipe",
    "Review",
    "Run",
    "__version__",
    "check_marks",
    "inspect",
    "list_models",
    "list_recipes",
    "list_stages",
    "samples",
    "select_again",
    "stage",
    "status",
    "train",
    "undo",
]


if TYPE_CHECKING:
    from augforge.api import (
        AugforgeError,
        Recipe,
        Review,
        Run,
        check_marks,
        inspect,
        list_models,
        list_recipes,
        list_stages,
        samples,
        select_again,
        stage,
        status,
        train,
        undo,
    )
else:  # a type checker would take every name for one that is there

    def __getattr__(name: str) -> Any:
        """A public name, from `augforge.api`, which is named in a text so that what stands below it can import this."""
        if name in __all__:
            found = globals()[name] = getattr(import_module("augforge.api"), name)
            return found
        raise AttributeError(f"module 'augforge' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, whether they were loaded or not."""
    return sorted({*globals(), *__all__})
