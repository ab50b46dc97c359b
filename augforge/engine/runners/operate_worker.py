"""One process of several that make the images of an operator; `augforge.engine.spread` starts it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from augforge.engine.ingest import Pixels
from augforge.engine.runners.operate import Call, Maker, Rows, Work
from augforge.engine.spread import serve
from augforge.io import open_source
from augforge.models import trained_models


def main() -> None:
    """Make the rows of one call after the other."""
    with ExitStack() as stack:

        def start(work: Work) -> Callable[[Call], Rows]:
            stack.enter_context(trained_models(work.trained))
            opened = [open_source(spec.kind, spec.value, **spec.options) for spec in work.sources]
            maker = Maker(work, Pixels(opened, work.sources))
            return lambda call: maker.rows(maker.make(maker.read(call)))

        serve(start)


if __name__ == "__main__":
    main()
