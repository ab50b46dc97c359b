"""How the writing of a report looks in a terminal."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augforge.cli.render import dry
from augforge.cli.render.base import print_json, say
from augforge.cli.render.progress import terminal_progress

if TYPE_CHECKING:
    from augforge.report import Written


def report_and_show(folder: Path, out: Path | None, as_json: bool, dry_run: bool, **options: Any) -> None:
    """Write the report of a run with a progress display, then say what is in it."""
    from augforge.report.collect import collect
    from augforge.report.write import check_free, place_of, write_report

    path = place_of(folder, out)
    check_free(path, options.pop("replace"))
    if dry_run:
        collect(folder)
        dry.show_file(path, f"the report of {folder}", as_json)
        return
    written = write_report(folder, path, progress=terminal_progress(), **options)
    if as_json:
        print_json(asdict(written))
    else:
        _show(written)


def _show(written: Written) -> None:
    say(f"{written.path}: {written.size / 1e6:.1f} MB, pictures of {written.pictures:,} of {written.samples:,} samples")
    if written.flagged:
        say(f"  {written.flagged:,} flagged as unsafe and not in the file")
    if written.unjudged:
        say(f"  {written.unjudged:,} not in the file, as the safety filter never saw them: put it before other filters")
    if written.traced < written.samples:
        say(f"  provenance of {written.traced:,} samples only; a larger --megabytes has room for all")
    for figure in written.figures:
        say(f"  {figure}")
