"""What `scripts/gpu` runs: one row a section, in the order of their worth.

In the commands `{python}` is the interpreter, `{device}` the device, `{seconds}` the time that a section should plan
with, `{json}` the file for its figures and `{out}` the folder of the results.
"""

from __future__ import annotations

from dataclasses import dataclass

SKIPPED = 77
"""The exit code of a section that has nothing to do here, as automake has it; its last line says why."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the measurement.

    Attributes:
        name: of its JSON file and of its table.
        title: over its table.
        seconds: of its share of the time, when all of it is `MINUTES`.
        full: its command at real sizes.
        smoke: its command at toy size, which takes seconds on a CPU.
        files: what else it leaves in the results' folder.
    """

    name: str
    title: str
    seconds: float
    full: str
    smoke: str
    files: tuple[str, ...] = ()


MINUTES = 12.0
_MEASURE = "--device {device} --seconds {seconds} --json {json}"
_TWO_SECONDS = "--device {device} --seconds 2 --json {json}"

SECTIONS = (
    Section(
        "tests",
        "Tests that need a GPU",
        120,
        "{python} benchmarks/gpu/run_tests.py --device {device} --json {json}",
        "{python} benchmarks/gpu/run_tests.py --device {device} --json {json}",
    ),
    Section(
        "generate",
        "Generation",
        210,
        "{python} benchmarks/generate.py --models unclip sdxl " + _MEASURE,
        "{python} benchmarks/generate.py --models unclip sdxl --smoke --rounds 1 " + _MEASURE,
    ),
    Section(
        "embed",
        "Embeddings",
        90,
        "{python} benchmarks/embed.py rates " + _MEASURE,
        "{python} benchmarks/embed.py rates --smoke --repeats 1 " + _MEASURE,
    ),
    Section(
        "training",
        "Training of translators",
        240,
        "{python} benchmarks/training_speed.py --picture {out}/night.png " + _MEASURE,
        "{python} benchmarks/training_speed.py --smoke --picture {out}/night.png " + _MEASURE,
        ("night.png",),
    ),
    Section(
        "builtin",
        "The built-in generator, trained on",
        60,
        "{python} scripts/train_unclip_on.py --archive {out}/builtin-unclip.tar " + _MEASURE,
        "{python} scripts/train_unclip_on.py --smoke --archive {out}/builtin-unclip.tar " + _TWO_SECONDS,
        ("builtin-unclip.tar",),
    ),
)
