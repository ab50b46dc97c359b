"""What a source is, before anything is done with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from augforge.api.given import limit_of
from augforge.api.recipe import Source, sources_of
from augforge.errors import RecipeError

if TYPE_CHECKING:
    from augforge.report.inspection import Inspection


def inspect(source: Source, *, png: str | os.PathLike[str] | None = None, limit: int = 24) -> Inspection:
    """What a source is understood to be, with examples of every class and split; nothing is run.

    A notebook shows the sentence and the examples, with their annotations drawn over them.

    Args:
        source: a path, "sample:digits", "hub:owner/name", a mapping as in YAML, or a `Run`.
        png: a file into which the examples are drawn.
        limit: how many examples.

    Raises:
        SourceError: it cannot be read, or holds no images.
        StoreError: `png` is there and is no sheet of examples, or cannot be written.
    """
    from augforge.io import open_source
    from augforge.report.inspection import check_free, inspected

    if png is not None:
        check_free(Path(png))
    specs = sources_of(source)
    if len(specs) != 1:
        raise RecipeError(f"inspect looks at one source, and these are {len(specs)}", "call it once for each")
    found = inspected(open_source(specs[0].kind, specs[0].value, **specs[0].options), limit_of(limit) or 24)
    if png is not None:
        found.png(Path(png))
    return found
