"""How rebuilds, checks, differences and remade images look in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from augforge.cli.render import dry
from augforge.cli.render.base import literal, more, out, print_json, say
from augforge.cli.render.progress import terminal_progress
from augforge.data import images
from augforge.errors import StoreError
from augforge.printable import printable

if TYPE_CHECKING:
    from augforge.provenance.diff import Diff
    from augforge.provenance.drift import Drift
    from augforge.reproduce.rebuild import Rebuilt
    from augforge.reproduce.verify import Verdict

DRIFTED = 3
"""The exit code where the result is another, or something is wrong with a folder."""
SHOWN = 40
NAMED = 4
"""Differences of machines that are named in the first sentence."""


def rebuild_and_show(recipe: Any, lock: Path, folder: Path, accept: bool, as_json: bool, **options: Any) -> int:
    """Rebuild, show what drifted and why, and write the new lock where that is asked for; the exit code."""
    from augforge.engine.engines.choose import engine_among
    from augforge.engine.finish import keep_lock
    from augforge.reproduce.rebuild import rebuild

    engine = engine_among(options)
    if options.pop("dry_run", False):
        dry.show_run(recipe, folder, as_json, replace=options["replace"], limit=None)
        return 0
    progress = terminal_progress()
    found = rebuild(recipe, lock, folder, progress=progress, engine=engine, **options)
    if as_json:
        print_json(_plain(found))
    else:
        _show_rebuilt(found, lock)
    if accept and not found.same:
        keep_lock(folder, lock, progress)
        return 0
    return 0 if found.same else DRIFTED


def _plain(found: Rebuilt) -> dict[str, Any]:
    drifts = {name: [asdict(drift) for drift in getattr(found, name)] for name in ("causes", "effects")}
    return {
        "level": found.level,
        "same": found.same,
        "pixels": found.pixels,
        "flipped": found.flipped,
        "allowed": found.allowed,
        **drifts,
        "kept": found.summary.kept,
    }


def _show_rebuilt(found: Rebuilt, lock: Path) -> None:
    """Why first, then what, then the verdict."""
    _show_why(found, lock)
    if found.effects:
        say("what came out differently:")
        out.print(_drift_table(found.effects))
    verdict = "the same result as" if found.same else "NOT the same result as"
    if found.same and found.flipped:
        verdict = f"as far as can be on this machine, {verdict}"
    flips = f"{found.flipped:,} samples have another outcome; " if found.flipped else ""
    say(f"{verdict} {lock} (level {found.level}): {found.summary.kept:,} images kept; {flips}{found.pixels}")


def _show_why(found: Rebuilt, lock: Path) -> None:
    """What is different in what the result depends on, another machine first, and what that excuses."""
    if found.elsewhere:
        say(f"{lock} was made elsewhere: {_elsewhere(found.elsewhere)}")
    if found.elsewhere and found.allowed:
        say(
            "scores may therefore differ in their last bits: ids, labels and sampled parameters have to be the locked "
            f"ones, and up to {found.most_flips:,} samples may be kept or dropped otherwise (--flips 0: none)"
        )
    if found.causes:
        effect = found.effects or found.flipped
        say("what is different in what it depends on:" if effect else "different, but without effect:")
        out.print(_drift_table(found.causes))
    elif found.effects:
        say("nothing that the lock records of what it depends on has changed: is a model or library not reproducible?")


def _elsewhere(drifts: Sequence[Drift]) -> str:
    """What another machine has otherwise, each once, with what is here."""
    told: dict[str, str] = {}
    for drift in drifts:
        name = drift.what.rpartition(".")[2]
        told.setdefault(name, f"{name} {drift.locked if drift.locked != '-' else 'not told'}, here {drift.now}")
    more = f"; … {len(told) - NAMED} more" if len(told) > NAMED else ""
    return "; ".join(list(told.values())[:NAMED]) + more


def _drift_table(drifts: Sequence[Drift]) -> Table:
    table = Table("", "what", "locked", "now", box=None, pad_edge=False)
    for drift in drifts[:SHOWN]:
        table.add_row(*map(literal, (drift.kind, drift.what, drift.locked, drift.now)))
    if len(drifts) > SHOWN:
        table.add_row("", more(len(drifts) - SHOWN), "", "")
    return table


def verify_and_show(
    folder: Path, sample: int, device: str, as_json: bool, *, engine: str = "local", workers: int | None = None
) -> int:
    """Check a run folder and show what is wrong; the exit code."""
    from augforge.engine.engines.choose import one_machine
    from augforge.reproduce.verify import verify

    reads = one_machine(engine, workers)
    verdict = verify(folder, sample, device=device, progress=terminal_progress(), engine=reads)
    if as_json:
        print_json({**asdict(verdict), "sound": verdict.sound})
    else:
        _show_verdict(verdict)
    return 0 if verdict.sound else DRIFTED


def _show_verdict(verdict: Verdict) -> None:
    for finding in verdict.findings[:SHOWN]:
        say(f"{finding.where}: {finding.what}")
    if len(verdict.findings) > SHOWN:
        say(more(len(verdict.findings) - SHOWN))
    looked = f"{verdict.files:,} parts, {verdict.rows:,} rows"
    if verdict.remade:
        looked += f", {verdict.remade:,} images made again ({verdict.equal:,} equal to the byte"
        looked += f", the farthest {verdict.farthest:g}/255)"
    wrong = "nothing is wrong" if verdict.sound else f"{len(verdict.findings):,} findings"
    say(f"{verdict.folder}: {wrong}; looked at {looked}")


def show_diff(found: Diff, form: str) -> None:
    """The differences of two run folders as text, JSON or Markdown."""
    if form == "json":
        print_json(found.plain())
    elif form == "markdown":
        print(printable(found.markdown()), end="")
    else:
        _show_diff_text(found)


def _show_diff_text(found: Diff) -> None:
    table = Table("", "class", "rows", "reason", box=None, pad_edge=False)
    rows = found.table()
    for kind, label, reason, count in rows[:SHOWN]:
        table.add_row(kind, literal(label), f"{count:,}", literal(reason))
    if len(rows) > SHOWN:
        table.add_row("", "", "", more(len(rows) - SHOWN, "--format json shows all"))
    if rows:
        out.print(table)
    counts = ", ".join(f"{count:,} {kind}" for kind, count in found.counts().items())
    say(f"{found.before} has {found.rows[0]:,} rows, {found.after} {found.rows[1]:,}: {counts}")


def regen_and_show(
    folder: Path, identity: str, path: Path | None, device: str, *, dry_run: bool = False, replace: bool = False
) -> int:
    """Make one image again, write it, and say how it compares; the exit code.

    Raises:
        StoreError: the file is there with other content, and `replace` does not allow to write over it.
    """
    from augforge.data.files import check_target, write_atomically
    from augforge.models.devices import check_device
    from augforge.provenance.lineage import lineage_of
    from augforge.reproduce.remake import Archive, remake

    check_device(device)
    if path is not None:
        check_target(path)
    archive = Archive(folder)
    whole = str(lineage_of(folder, identity).row["id"])
    (sample,) = archive.ledger.by_id([whole]).values()
    target = path or Path(f"{whole}.png")
    _check_free(target, None if replace else sample.digest)
    if dry_run:
        dry.show_file(target, f"image {whole}, made again")
        return 0
    (made,) = remake(archive, [sample], device)
    write_atomically(target, made.data)
    how = "equal to the byte" if made.equal else f"its values differ by at most {made.apart:g}/255 from the first one"
    say(f"{target}: {how}")
    return 0 if made.apart <= 1 else DRIFTED


def _check_free(path: Path, digest: str | None) -> None:
    """StoreError where there is a file that is not the image with this digest; with None anything may be there."""
    if digest is not None and path.is_file() and images.digest(path.read_bytes()) != digest:
        raise StoreError(f"{path} is there, and is another file", "give another --out, or --replace to write over it")


def write_lock_and_show(recipe: Any, lock: Path, folder: Path, as_json: bool, **options: Any) -> None:
    """Run a recipe, which writes its lock, and say where it is."""
    from augforge.cli.render.run import run_and_show

    dry_run = options["dry_run"]
    run_and_show(recipe, folder, as_json, lock=lock, lock_always=True, **options)
    if not as_json and not dry_run:
        say(f"{lock} tells what this result depends on, and what it is: commit it")
