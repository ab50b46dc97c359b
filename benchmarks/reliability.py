"""What crashes, damage and bad input cost: kill -9 at random instants, faults put in, wicked files and recipes.

    python -m benchmarks.reliability --kills 200 --write

kills    each command is killed while it works, at instants chosen at random over the time that it takes undisturbed, up
         to two kills before each resumption; its resumed result is compared with the undisturbed one, file by file, to
         the byte. Too late: it had ended before its instant came, which is no kill.
faults   every file of a finished run folder is flipped in one bit, cut in half, or made unreadable (a real EIO); the
         check has to name it, the next run has to name it where it uses it, and the result has to come back equal.
disk     a run whose 1st, 2nd, … durable write fails for want of space or with an I/O error, then goes on.
inputs   bad and odd image files, of which each must cost its own row at most.
fuzz     recipes and ledgers from hypothesis.
changes  what is computed after one image more, and how long a rebuild takes in which nothing changed
         (`benchmarks/incremental.py`).

Tiny models with random weights, one thread. With --write the section in benchmarks/RESULTS.md is replaced. The tests of
these (`tests/engine/test_kill.py`, `test_faults.py`, …) run a few of each.
"""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.faults import killing
from tests.faults.commands import commands

RESULTS = Path(__file__).parent / "RESULTS.md"
TITLE = "## Reliability: `benchmarks/reliability.py`"


def kills(folder: Path, count: int) -> Iterator[str]:
    """Must come first: a process that has run things has threads, which its children would lose."""
    killing.warm_up()
    yield "| command | undisturbed, s | kills | too late | resumed results | that differ |"
    yield "|---|---:|---:|---:|---:|---:|"
    every = commands(folder)
    total, differ = Counter[str](), list[str]()
    for number, command in enumerate(every):
        share = count // len(every) + (number < count % len(every))
        tally = killing.torture(command, folder / command.name, share)
        yield f"| {tally.command} | {tally.seconds:.1f} | {tally.kills} | {tally.missed} | {tally.results} | " + (
            f"{len(tally.mismatches)} |"
        )
        total.update(kills=tally.kills, missed=tally.missed, results=tally.results)
        differ += tally.mismatches
    yield f"| all | | {total['kills']} | {total['missed']} | {total['results']} | {len(differ)} |"
    yield ""
    yield from (f"- {mismatch}" for mismatch in differ)


def faults(folder: Path) -> Iterator[str]:
    """A table by kind of fault."""
    from augforge.engine.run import run
    from tests.faults.injecting import FAULTS, faulty_recipe, try_fault
    from tests.tiny import save_tiny_clip, save_tiny_unclip

    models = {"image-text": str(save_tiny_clip(folder / "clip")), "conditioning": str(save_tiny_unclip(folder / "sd"))}
    recipe = faulty_recipe(folder, models)
    run(recipe, folder / "sound", device="cpu")
    counts: dict[str, Counter[str]] = {}
    failed = []
    for fault in FAULTS:
        verdict = try_fault(fault, recipe, folder / "sound", folder / "out")
        shutil.rmtree(folder / "out")
        found = {"files": 1, "named by the check": verdict.checked, "run": fault.seen_by_run, "healed": verdict.healed}
        counts.setdefault(fault.how, Counter()).update(found | {"named": verdict.named and fault.seen_by_run})
        failed += [] if verdict.good else [f"- {fault}: {verdict}"]
    yield "| fault | files | named by the check | used and named by the next run | result equal afterwards |"
    yield "|---|---:|---:|---:|---:|"
    for how, c in counts.items():
        named = f"{c['named']} of {c['run']}"
        yield f"| {how} | {c['files']} | {c['named by the check']} | {named} | {c['healed']} |"
    yield ""
    yield from failed


def disk(folder: Path) -> Iterator[str]:
    """Every durable write of a run made to fail in turn."""
    from augforge.engine.run import run
    from augforge.errors import StoreError
    from tests.engine.test_faults import little
    from tests.faults.disks import Failing
    from tests.faults.injecting import contents

    recipe = little(folder)
    run(recipe, folder / "whole")
    for code in (errno.ENOSPC, errno.EIO):
        failures = named = equal = 0
        for number in range(1000):
            out = folder / "failing"
            try:
                with Failing(out, number, code):
                    run(recipe, out)
            except StoreError as error:
                failures += 1
                named += str(out) in error.message and bool(error.hint)
                run(recipe, out)
                equal += contents(out) == contents(folder / "whole")
                shutil.rmtree(out)
            else:
                shutil.rmtree(out)
                break
        yield (
            f"{errno.errorcode[code]} at each of the {failures} durable writes: {named} named with the remedy, "
            f"{equal} runs that went on to the same result."
        )


def inputs(folder: Path) -> Iterator[str]:
    """Bad files, and the row that each costs."""
    from augforge.engine.run import run
    from augforge.recipe import Recipe, SourceSpec
    from tests.bad_inputs import write_bad_inputs
    from tests.conftest import write_images
    from tests.test_laws import rows

    expected = write_bad_inputs(folder / "bad")
    write_images(folder / "bad", {"good": 90})
    run(Recipe("bad", 0, (SourceSpec("folder", str(folder / "bad")),), ()), folder / "out", max_bad=0.5)
    ledger = {row["source"].partition(": ")[2]: row for row in rows(folder / "out").values()}
    right = sum(
        ledger[name]["kept"] == what.kept and what.says in (ledger[name]["note" if what.kept else "dropped"] or "")
        for name, what in expected.items()
    )
    bad = sum(not what.kept for what in expected.values())
    good = sum(row["kept"] for name, row in ledger.items() if name.startswith("good/"))
    yield (
        f"{len(expected)} kinds of bad and odd files ({bad} that cannot be used, {len(expected) - bad} that can): "
        f"{right} became what they should, with reason or remark; {good} of 90 good images beside them were kept."
    )
    thousand = write_images(folder / "thousand", {"good": 1000}, size=8)
    (thousand / "good" / "empty.png").write_bytes(b"")
    summary = run(Recipe("t", 0, (SourceSpec("folder", str(thousand)),), ()), folder / "out-thousand")
    yield f"1,000 good images and one of zero bytes: {summary.kept:,} rows, {summary.dropped} dropped with a reason."


def fuzz(examples: int) -> Iterator[str]:
    """Recipes and ledgers from hypothesis; what breaks raises."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis.stateful import run_state_machine_as_test

    from tests.data.test_ledger_machine import LedgerMachine
    from tests.faults.recipes import WICKED, as_yaml, nearly_right, outcome

    quiet = settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    counted = Counter[str]()

    @quiet
    @given(nearly_right())
    def try_recipe(recipe: object) -> None:
        counted[outcome(as_yaml(recipe))] += 1

    try_recipe()
    wicked = sum(outcome(text) == "refused" for text in WICKED.values())
    yield (
        f"{counted.total():,} recipes with one to three values, keys or branches replaced: {counted['refused']:,} "
        f"refused in one message, {counted['right']:,} right, no traceback; "
        f"{wicked} of {len(WICKED)} wicked texts refused."
    )
    steps = 0

    class Counting(LedgerMachine):
        """Counts the states that were checked."""

        def check_invariants(self, *arguments: object, **named: object) -> None:
            nonlocal steps
            steps += 1
            super().check_invariants(*arguments, **named)

    run_state_machine_as_test(Counting, settings=settings(quiet, max_examples=max(1, examples // 10)))
    yield f"The ledger as a state machine: {steps:,} states reached, in each of which nothing had disappeared."


def changes() -> Iterator[str]:
    """What `benchmarks/incremental.py` prints."""
    script = Path(__file__).with_name("incremental.py")
    done = subprocess.run([sys.executable, str(script)], check=True, capture_output=True, text=True)
    yield from ("```", *done.stdout.rstrip().splitlines(), "```")


def main() -> None:
    """Read the command line, measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="replace the section in benchmarks/RESULTS.md")
    given = parser.parse_args()
    started, lines = time.monotonic(), []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        parts = {
            "kill -9": lambda: kills(_made(folder / "kills"), given.kills),
            "Faults in files": lambda: faults(_made(folder / "faults")),
            "Disks that fail": lambda: disk(_made(folder / "disk")),
            "Bad input": lambda: inputs(_made(folder / "inputs")),
            "Fuzzing": lambda: fuzz(given.examples),
            "Changes": changes,
        }
        for title, part in parts.items():
            lines += ["", f"### {title}", ""]
            print(f"\n### {title}\n", flush=True)
            for line in part():
                print(line, flush=True)
                lines.append(line)
    command = f"`python -m benchmarks.reliability --kills {given.kills} --examples {given.examples} --write`"
    told = f"{command}: {time.monotonic() - started:,.0f} s on two shared CPU cores, one thread, tiny models."
    if given.write:
        _write([TITLE, "", told, *lines])


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _write(lines: list[str]) -> None:
    """Put the section in the place of the one that is there, or at the end."""
    before, found, after = RESULTS.read_text().partition(TITLE)
    rest = after.partition("\n## ")[2] if found else ""
    section = "\n".join(lines).strip().replace("\n\n\n", "\n\n") + "\n"
    RESULTS.write_text(before.rstrip() + "\n\n" + section + (f"\n## {rest}" if rest else ""))


if __name__ == "__main__":
    main()
