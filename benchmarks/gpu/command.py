"""Measure everything that needs a GPU, in one go and in a given time.

    scripts/gpu --out results                     real sizes on the GPU, twelve minutes
    scripts/gpu --device cpu --smoke              the same sections at toy size, to prove them on a CPU
    scripts/gpu --write results                   put the tables into benchmarks/RESULTS.md

Sections run in the order of their worth, each in processes of its own with a time limit; each writes `NAME.json` into
the results' folder as soon as it ends, so that a cut-off loses only the rest. `--resume` leaves out what ended well.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from figures import write_json
from sections import RESULTS

from gpu.machine import machine
from gpu.runner import DONE, ROOT, Setting, run_sections
from gpu.table import MINUTES, SECTIONS, Section
from gpu.tables import write_results

SMOKE_MINUTES = 20.0
"""The limit of a smoke run: it takes less than two on two idle cores, and much longer where they are not idle."""


def main(argv: Sequence[str] | None = None, sections: Sequence[Section] = SECTIONS, results: Path = RESULTS) -> int:
    """Read the command line and run; 0 where every section ended well, or was skipped."""
    given = _parser(sections).parse_args(argv)
    if given.write:
        write_results(given.write, sections, results)
        return 0
    chosen = [section for section in sections if not given.only or section.name in given.only]
    minutes = given.minutes or (SMOKE_MINUTES if given.smoke else MINUTES)
    setting = Setting(given.out, given.device, given.smoke, 60 * minutes, given.resume)
    where = {**machine(given.device), "smoke": given.smoke, "minutes": minutes}
    write_json(given.out / "machine.json", where)
    print(f"{where['card']}, torch {where['versions']['torch']}, at most {minutes:g} minutes", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a section is ended with this process
    started = time.monotonic()
    records = run_sections(chosen, setting)
    bad = [record["section"] for record in records if record["status"] not in DONE]
    print(
        f"{time.monotonic() - started:.0f} s in all; results in {given.out}"
        + (f"; not well: {', '.join(bad)}" if bad else "")
    )
    return 1 if bad else 0


def _parser(sections: Sequence[Section]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "gpu-results", help="folder of the results")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--smoke", action="store_true", help="toy sizes, whose figures mean nothing")
    parser.add_argument(
        "--minutes", type=float, help=f"all sections together ({MINUTES:g}; {SMOKE_MINUTES:g} with --smoke)"
    )
    parser.add_argument(
        "--only", nargs="+", choices=[section.name for section in sections], help="these sections alone"
    )
    parser.add_argument("--resume", action="store_true", help="leave out the sections whose results are there")
    parser.add_argument("--write", type=Path, metavar="RESULTS", help="put the tables of this folder into RESULTS.md")
    return parser
