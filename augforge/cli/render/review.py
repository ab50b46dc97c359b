"""Reviews in a terminal, and how merged review files and suggested cuts look there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from augforge.cli.render.base import more, print_json, say
from augforge.errors import AugforgeError

if TYPE_CHECKING:
    from augforge.algorithms.cuts import Kept
    from augforge.review.merge import Merged
    from augforge.review.suggest import Suggestion

MOST = 20
"""Conflicts that are listed."""


@dataclass(frozen=True, slots=True)
class Showing:
    """How images are shown: by what, whether withheld ones are, and the recipe that was named, whose sources may be
    elsewhere."""

    pictures: str
    withheld: bool
    recipe: Path | None = None


def review_in_terminal(folder: Path, file: Path, who: str, chosen: Mapping[str, Any], showing: Showing) -> None:
    """Let `who` decide about a sample of a run, chosen as `augforge.review.doubt.to_review` is told by `chosen`."""
    from augforge.api.contents import RunContents
    from augforge.cli.terminal.keys import terminal
    from augforge.cli.terminal.review import Review
    from augforge.cli.terminal.shown import Shown
    from augforge.engine.beside import is_followed
    from augforge.review.doubt import to_review
    from augforge.review.session import Session

    with terminal() as screen, TemporaryDirectory(prefix="augforge-review-") as files:
        sample = to_review(folder, done=() if showing.withheld else _hidden(folder), **chosen)
        session = Session(file, who, sample)
        shown = Shown(screen, showing.pictures, Path(files))
        read = reader(folder, [each.sample for each in sample], showing.recipe)
        Review(session, screen, shown, read, RunContents(folder).classes).run()
    left = session.total - session.done
    say(f"{session.written:,} decisions of {who} are in {file}; {left:,} of {session.total:,} images are left")
    if not left:
        say("all are done: give a larger --sample, or another --seed")
    if session.written and not is_followed(folder, file):
        say(f"no stage of {folder} follows them yet: add `- filter: review` to its recipe, and run it again")


def _hidden(folder: Path) -> list[str]:
    """The ids of the images that a report does not show."""
    import pyarrow.parquet as pq

    from augforge.data.record import LEDGER, no_run
    from augforge.report.withheld import withheld

    if not (folder / LEDGER).is_file():
        raise no_run(folder)
    rows = pq.read_table(folder / LEDGER, columns=["id", "origin", "dropped_by", "digest", "scores"])
    flagged, unjudged = withheld(rows)
    found: list[str] = rows.column("id").filter(flagged | unjudged).to_pylist()
    return found


def reader(folder: Path, ids: Sequence[str], named: Path | None = None) -> Callable[[str], bytes]:
    """What reads the encoded bytes of the images with these ids; `named` is the recipe that the user has named."""
    import pyarrow.parquet as pq

    from augforge.data.record import LEDGER
    from augforge.recipe import load_recipe
    from augforge.report.pictures import Pictures, sources_named_in

    recipe = None
    with suppress(AugforgeError):  # without it only images of the dataset and of this run's parts are to be had
        recipe = load_recipe(folder / "recipe.yaml")
    found = Pictures(folder, recipe, sources_named_in(named))
    columns = ["id", "kept", "ref", "digest", "pictures"]
    rows = pq.read_table(folder / LEDGER, columns=columns, filters=[("id", "in", list(ids))]) if ids else None
    by_id = {row["id"]: row for row in rows.to_pylist()} if rows is not None else {}
    return lambda identity: found.image(by_id[identity])


def show_merged(merged: Merged, out: Path, as_json: bool) -> None:
    """What was written, and about which images people disagree."""
    if as_json:
        print_json(merged.plain())
        return
    say(f"wrote {len(merged.lines):,} lines to {out}, of {', '.join(f'{each:,}' for each in merged.each)}")
    if merged.conflicts:
        say(f"people disagree about {_images(len(merged.conflicts))}, and nothing is decided there:")
    for conflict in merged.conflicts[:MOST]:
        told = (f"{line.who} {line.verdict}{f' as {line.label}' if line.label else ''}" for line in conflict.lines)
        say(f"  {conflict.sample[:12]}  {', '.join(told)}")
    if len(merged.conflicts) > MOST:
        say(f"  {more(len(merged.conflicts) - MOST)}")


def show_suggestions(suggestions: Sequence[Suggestion], as_json: bool) -> None:
    """What each filter keeps of the reviewed images, and what a suggested cut would keep."""
    if as_json:
        print_json([suggestion.plain() for suggestion in suggestions])
        return
    if not suggestions:
        say("no filter of this run has a score that could be cut")
    for suggestion in suggestions:
        _show(suggestion)


def _show(found: Suggestion) -> None:
    bad = found.reviewed - found.now.good
    reviewed = f"{found.reviewed:,} reviewed, {found.now.good:,} good, {bad:,} bad"
    say(f"{found.filter.title} by {found.filter.measure}: {reviewed}")
    if found.reviewed:
        disagree = len(found.wrongly_kept) + len(found.wrongly_dropped)
        say(f"  now: {_said(found.now)}; {disagree:,} {'disagreement' if disagree == 1 else 'disagreements'}")
    if found.suggested is None:
        say("  nothing to suggest: it takes both, images that people kept and images that they dropped")
        return
    say(f"  {found.option}: {found.suggested.at:g}  {_said(found.suggested)}")
    known = (
        "these intervals are +- 2 points or less" if not found.more else f"review {found.more:,} more for +- 2 points"
    )
    say(f"  {known}")


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _said(kept: Kept) -> str:
    ends = (kept.precision_interval, kept.recall_interval)
    precision, recall = (f"{100 * low:.0f} to {100 * high:.0f}" for low, high in ends)
    shares = tuple("-" if share != share else f"{100 * share:.1f} %" for share in (kept.precision, kept.recall))
    return f"keeps {kept.kept:,}: precision {shares[0]} ({precision}), recall {shares[1]} ({recall})"
