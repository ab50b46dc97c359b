"""Images that a stage compares with and that are no samples of the run: those of another source."""

from __future__ import annotations

from augforge.data.ids import key
from augforge.data.ledger import Ledger
from augforge.engine.context import RunContext
from augforge.engine.embedding import dropper
from augforge.engine.ingest import How, read_sources
from augforge.engine.pixels import Pixels
from augforge.engine.runners.candidates import References
from augforge.io import detect, open_source
from augforge.recipe import SourceSpec


def references_key(source: str | None) -> str:
    """What a result depends on beside the run's own sources: the entries of another one, "" without it."""
    if source is None:
        return ""
    opened = open_source(*detect(source))
    return key("against", opened.where, [[entry.locator, entry.stamp] for entry in opened.entries()])


def references_of(source: str | None, stage: str, context: RunContext) -> tuple[References, int]:
    """The references of a source, none without one, and how many had to be read; `stage` names who asks."""
    if source is None:
        nothing = Ledger()
        return References(nothing, nothing.visible(), Pixels([]), dropper(nothing, "against")), 0
    spec = SourceSpec(*detect(source))
    opened = open_source(spec.kind, spec.value)
    ledger, read = read_sources([opened], context.store, context.progress, how=How([spec], context.engine))
    if bad := len(ledger) - len(ledger.visible()):
        context.progress.say(f"{stage}: {bad} images of {source} cannot be used")
    return References(ledger, ledger.visible(), Pixels([opened], (spec,)), dropper(ledger, "against")), read
