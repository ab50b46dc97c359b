"""How exports and marks look in a terminal."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augforge.cli.render import dry
from augforge.cli.render.base import more, print_json, say
from augforge.cli.render.next import say_next
from augforge.cli.render.progress import terminal_progress

if TYPE_CHECKING:
    from augforge.publish.export import Exported
    from augforge.publish.marks.check import Checked

MOST = 20
"""Images that are listed one by one."""


def export_and_show(
    folder: Path, to: str, out: Path, as_json: bool, *, repo: str, public: bool, **options: Any
) -> None:
    """Export a run with a progress display, or push it to the Hub, then show what was written."""
    from dataclasses import asdict

    from augforge.publish.hub import exported_or_pushed

    started, dry_run = time.monotonic(), options["dry_run"]
    done, pushed = exported_or_pushed(folder, to, out, repo, public, progress=terminal_progress(), **options)
    if as_json:
        print_json(asdict(pushed or done))
        return
    if dry_run:
        dry.show_export(done)
        return
    _show_exported(done, time.monotonic() - started)
    if pushed:
        say(f"pushed to {pushed.url}, {'private' if pushed.private else 'public'}, commit {pushed.commit[:12]}")


def _show_exported(done: Exported, seconds: float) -> None:
    size = f"{done.files:,} files, {done.bytes / 1e6:,.1f} MB"
    if done.up_to_date:
        say(f"{done.out} is up to date: every file is as it was written, {size}")
        return
    reused = f" ({done.reused:,} of them were there already)" if done.reused else ""
    say(f"{done.rows:,} images{reused}: {done.real:,} real, {done.synthetic:,} synthetic; {size}, {seconds:.1f} s")
    say(f"  marked {done.marked:,} synthetic images{', and signed them' if done.signed else ''}")
    if done.unmarked:
        say(f"  {done.unmarked:,} synthetic images are of a file format that has no room for a mark")
    if done.renamed:
        say(f"  {done.renamed:,} files could not keep their names: another has it, or not every disk can")
    say(f"see {done.out}/README.md; the digests of all files are in export.json, for machines croissant.json")
    if done.marked:
        say_next([(("check-marks", done.out), "whether the marks of synthetic images are still there")])


def check_and_show(folder: Path, signed: bool | None, as_json: bool) -> bool:
    """Look for marks with a progress display, and show what was lost; whether any was."""
    from augforge.publish.marks.check import check_marks

    checked = check_marks(folder, signed, terminal_progress())
    if as_json:
        print_json(checked.plain())
    else:
        _show_checked(checked)
    return bool(checked.lost)


def _show_checked(checked: Checked) -> None:
    kept = checked.synthetic - len(checked.lost)
    say(f"{kept:,} of {checked.synthetic:,} synthetic images have their marks; C2PA signatures: {checked.signatures}")
    for problem, count in Counter(lost.problem for lost in checked.lost).most_common():
        say(f"  lost by {count:,}: {problem}")
    for lost in checked.lost[:MOST]:
        say(f"    {lost.where}")
    if len(checked.lost) > MOST:
        say(f"    {more(len(checked.lost) - MOST)}")
    if checked.unknown:
        marked = f"{checked.marked_unknown:,} of them say that they are synthetic"
        say(f"{checked.unknown:,} images are of unknown origin, {marked}")
