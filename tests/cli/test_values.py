"""No value of an option hangs a command or ends in a traceback: it is refused at once in two lines, or it works."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from augforge.cli import groups
from augforge.cli.app import app
from augforge.data.files import check_name, check_target, is_file
from augforge.errors import StoreError
from tests.cli.values import HUGE, Numeric, base, commands, numerics
from tests.conftest import write_images

SOON = 2.0
"""Seconds of computing within which a command says what is wrong, or is done if there is hardly anything to do.

Not of the clock: the machine may be busy with something else.
"""
NOTHING_TO_STOP = {
    "seed": "any number is as good", "draw": "likewise",
    "limit": "all images, if there are fewer", "count": "likewise", "shots": "likewise", "per-class-cap": "likewise",
    "reference": "likewise", "neighbours": "likewise", "sample": "likewise",
    "memory": "MiB that may be taken, not that are",
    "checkpoint-every": "never", "eval-every": "only at the end",
    "min": "a cut", "max": "a cut", "mean-minus-std": "a cut", "outliers": "a cut", "odd-size": "a cut",
    "imbalance": "the least class keeps one image", "temperature": "divides", "tau": "divides",
    ("select", "width"): "of a kernel: divides",
}  # fmt: skip
"""Options of which a thousand million is harmless, and why. All others have to refuse it."""
COMMANDS = sorted({one.words for one in numerics()})


@pytest.fixture(autouse=True)
def nothing_here(tmp_path, monkeypatch):
    """The commands run where nothing that their examples name is there; each command is built only once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(groups, "_stage", _stage)
    monkeypatch.setattr(groups, "_function", _function)


_stage, _function = cache(groups._stage), cache(groups._function)


def problem(*words: str, code: int | None = 2) -> str:
    """What is wrong with how a command ended, "" where nothing is; progress is no part of a message."""
    started = time.process_time()
    result = CliRunner().invoke(app, list(words), prog_name="augforge")
    took = time.process_time() - started
    told = [line for line in result.stderr.splitlines() if line.startswith(("augforge:", "  "))]
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return f"{words}: {result.exception!r}"
    if took > SOON:
        return f"{words}: {took:.1f} s"
    if code is not None and result.exit_code != code:
        return f"{words}: exit {result.exit_code}: {result.stderr}"
    before = [line for line in result.stderr.splitlines() if line not in told and ": image folder, " not in line]
    if result.exit_code == 2 and (len(told) != 2 or before):
        return f"{words}: {len(told)} lines: {result.stderr}"
    return ""


def message(*words: str) -> str:
    return CliRunner().invoke(app, list(words), prog_name="augforge").stderr


AMOUNTS = ("--per-class", "--balance-to", "--real-to-synthetic", "--until-accepted")
INSTEAD = (AMOUNTS, ("--keep", "--min", "--max", "--outliers", "--mean-minus-std"), ("--count", "--share"))
"""Options that exclude each other."""


def with_value(one: Numeric, value: str) -> list[str]:
    """The example of a command with an option set to a value, in place of others that it excludes."""
    words = base(commands()[one.words])
    for other in next((names for names in INSTEAD if one.option in names), (one.option,)):
        if other in words:
            place = words.index(other)
            del words[place : place + 2]
    also = {"--until-accepted": ["--accept", "sharpness min=1"], "--max-tries": ["--until-accepted", "3"]}
    more = also.get(one.option, []) if one.words[0] == "generate" else []
    if one.option == "--max-tries" and "--per-class" in words:
        del words[words.index("--per-class") : words.index("--per-class") + 2]
    return [*words, *more, one.option, value]


def fed(words: tuple[str, ...]) -> list[tuple[Numeric, list[str]]]:
    """The numeric options of a command with what each is fed."""
    return [(one, one.values()) for one in numerics() if one.words == words]


def harmless(one: Numeric) -> bool:
    """Whether a thousand million is, for an option; so are amounts where the model of the example is not there."""
    if one.option in AMOUNTS and "--model" in base(commands()[one.words]):
        return True
    name = one.option[2:]
    verb = "select" if one.words[0].startswith("select") else one.words[0]
    return name in NOTHING_TO_STOP or (verb, name) in NOTHING_TO_STOP


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_number_out_of_bounds_is_refused_before_a_source_is_looked_for(words):
    """Nothing that the examples name is there, so what is within the bounds ends with exit code 2, too."""
    wrong = []
    for one, values in fed(words):
        for value in values:
            typed = with_value(one, value)
            wrong += [found] if (found := problem(*typed)) else []
            if not one.within(value) and not one.names(message(*typed)):
                wrong.append(f"{typed}: {message(*typed)}")
    assert wrong == []


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_thousand_million_is_refused_where_it_would_take_forever(words):
    stopped = {one.name: one.names(message(*with_value(one, str(HUGE)))) for one, _ in fed(words) if not harmless(one)}
    assert [name for name, refused in stopped.items() if not refused] == []


def test_an_option_that_refuses_nothing_would_be_found():
    """A planted field without bounds: the known wrong variant of every option that has them now."""
    planted = Numeric(("filter", "clip"), "--planted", True, None, None)
    assert planted.within(str(HUGE)) and "planted" not in NOTHING_TO_STOP
    assert not planted.names("augforge: there is no photos")
    (steps,) = [o for o in numerics() if o.words == ("train", "night") and o.option == "--steps"]
    assert steps.values()[:4] == ["1", "0", "10000000", "10000001"] and not steps.within("0")


@pytest.mark.parametrize(
    "words",
    [
        ["filter", "sharpness", "--min"], ["filter", "sharpness", "--max"], ["filter", "sharpness", "--outliers"],
        ["filter", "sharpness", "--mean-minus-std"], ["filter", "quality", "--odd-size"],
        ["select", "random", "--share", "0.5", "--limit"], ["select", "random", "--share", "0.5", "--seed"],
        ["select", "random", "--share", "0.5", "--draw"], ["select", "random", "--count"],
        ["select", "few-shot", "--shots"], ["select", "long-tail", "--imbalance"],
        ["generate", "shifts", "--fold", "1", "--size", "32", "--per-class", "1", "--shots"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_thousand_million_is_harmless_where_it_is_allowed(words):
    write_images(Path("photos"), {"cat": 3, "dog": 3})
    verb, name, *options = words
    assert problem(verb, name, "photos", "--allow-empty", "--out", "out", *options, str(HUGE), code=0) == ""


@pytest.mark.parametrize("option", ["--neighbours", "--memory", "--width"])
def test_it_is_harmless_for_facility_location(option, tiny_clip):
    write_images(Path("photos"), {"cat": 3, "dog": 3})
    words = ["select", "facility-location", "photos", "--share", "0.5", "--model", str(tiny_clip), "--out", "out"]
    more = ["--similarity", "exponential"] if option == "--width" else ["--method", "sparse"]
    result = CliRunner().invoke(app, [*words, *more, option, str(HUGE)])
    assert result.exit_code == 0, result.stderr


# -- paths ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder with images, a recipe and what it gave: a run with a made image."""
    root = tmp_path_factory.mktemp("finished")
    write_images(root / "photos", {"cat": 3, "dog": 3})
    recipe = f"source: {{folder: {root / 'photos'}}}\nstages:\n  - select: random\n    share: 0.5\n"
    (root / "r.yaml").write_text(recipe)
    made = ["generate", "shifts", str(root / "photos"), "--fold", "1", "--size", "32", "--per-class", "1"]
    for words in (["run", str(root / "r.yaml"), "--out", str(root / "run")], [*made, "--out", str(root / "made")]):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
    return root


def read_only() -> str:
    """A place where nobody can write, not even root, who may write into folders without the permission."""
    return "/sys/augforge" if os.geteuid() == 0 else "/augforge"


def odd_paths(root: Path) -> dict[str, str]:
    """A file, a folder with something else in it, nothing, what may only be read, and what is no path."""
    (root / "file").write_text("some words\n")
    (root / "full").mkdir()
    (root / "full" / "words.txt").write_text("some words\n")
    names = {"file": "file", "folder": "full", "missing": "missing", "below a file": "file/x", "too long": "x" * 300}
    return {**{kind: str(root / name) for kind, name in names.items()}, "read-only": read_only()}


TARGETS = [
    ["filter", "sharpness", "{photos}", "--keep", "0.5", "--out"],
    ["filter", "sharpness", "{photos}", "--keep", "0.5", "--out", "out", "--store"],
    ["filter", "duplicates", "{photos}", "--out", "out", "--against"],
    ["select", "random", "{photos}", "--share", "0.5", "--out"],
    ["split", "{photos}", "--out"],
    ["run", "{recipe}", "--out"], ["run", "{recipe}", "--out", "out", "--store"],
    ["plan", "{recipe}", "--out"], ["lock", "{recipe}", "--out"],
    ["rebuild", "{recipe}", "--out", "out", "--lock"], ["rebuild", "{recipe}", "--out"],
    ["rebuild", "{recipe}", "--out", "out", "--reference"],
    ["export", "{run}", "--to", "folder", "--out"], ["export", "{run}", "--to", "hf", "--out"],
    ["export", "{run}", "--to", "folder", "--out", "out", "--sign", "--key", "{recipe}", "--cert"],
    ["export", "{run}", "--to", "folder", "--out", "out", "--sign", "--cert", "{recipe}", "--key"],
    ["samples", "digits", "--out"],
    ["train", "classifier", "nowhere", "--out"],
    ["train", "classifier", "nowhere", "--backbone", "timm:resnet18", "--out", "out", "--weights"],
    ["train", "paired", "--images", "nowhere", "--condition", "edges", "--out", "out", "--perceptual"],
    ["train", "night", "--day", "nowhere", "--night", "nowhere", "--out", "out", "--teacher"],
    ["generate", "augmented-conditioning", "nowhere", "--out", "out", "--model"],
    ["generate", "augmented-conditioning", "nowhere", "--model", "builtin-unclip", "--out", "out", "--templates"],
    ["generate", "augmented-conditioning", "nowhere", "--model", "builtin-unclip", "--out", "out", "--negtome"],
    ["generate", "night", "nowhere", "--out", "out", "--model"],
    ["filter", "classifier", "nowhere", "--out", "out", "--model"],
    ["pseudo-label", "nowhere", "--out", "out", "--classifier"],
]  # fmt: skip
"""Commands without the value of their last option, a path; braces stand for what is there."""
ARGUMENTS = [
    ["run", "{}", "--out", "out"], ["check", "{}"], ["plan", "{}"], ["lock", "{}", "--out", "out"],
    ["rebuild", "{}", "--out", "out"], ["report", "{}"], ["why", "{}", "3f"], ["thresholds", "{}"], ["verify", "{}"],
    ["regen", "{}", "3f"], ["export", "{}", "--to", "hf", "--out", "out"], ["diff", "{}", "{run}"],
    ["diff", "{run}", "{}"], ["evaluate", "{}", "--test", "{photos}"],
    ["filter", "sharpness", "{}", "--keep", "0.5", "--out", "out"], ["filter", "clip", "{}", "--out", "out"],
]  # fmt: skip


def filled(words: list[str], root: Path, value: str = "") -> list[str]:
    there = {"photos": root / "photos", "recipe": root / "r.yaml", "run": root / "run"}
    return [word.format(value, **there) for word in words]


@pytest.mark.parametrize("words", TARGETS, ids=" ".join)
def test_a_path_option_is_refused_in_two_lines_or_serves(words, finished, tmp_path):
    wrong = []
    for kind, value in odd_paths(tmp_path).items():
        ended = problem(*filled(words, finished), value, code=None)
        wrong += [f"{kind}: {ended}"] if ended else []
    assert wrong == []


@pytest.mark.parametrize("words", ARGUMENTS, ids=" ".join)
def test_an_argument_that_is_not_what_it_should_be_is_refused_in_two_lines(words, finished, tmp_path):
    paths = {**odd_paths(tmp_path), "empty": ""} if words[0] in ("run", "lock", "plan") else odd_paths(tmp_path)
    ends = {kind: problem(*filled(words, finished, value)) for kind, value in paths.items()}
    assert {kind: ended for kind, ended in ends.items() if ended} == {}


@pytest.mark.parametrize("option", ["--out", "--png"])
def test_a_report_that_cannot_be_written_is_refused_before_a_picture_is_looked_at(option, finished, tmp_path):
    paths = odd_paths(tmp_path)
    refused = {"file", "below a file", "too long"} if option == "--png" else {"folder", "below a file", "too long"}
    for kind in refused:
        assert problem("report", str(finished / "run"), "--out", "x.html", option, paths[kind]) == ""
    shown = message("report", str(finished / "run"), option, paths["read-only"]).splitlines()
    assert shown[-2].startswith(f"augforge: {read_only()}")


def test_an_image_is_not_made_again_for_a_place_where_it_cannot_lie(finished, tmp_path):
    import pyarrow.parquet as pq

    rows = pq.read_table(finished / "made" / "samples.parquet", columns=["id", "origin"]).to_pylist()
    made = next(row["id"] for row in rows if row["origin"] == "synthetic")
    paths = odd_paths(tmp_path)
    for kind in ("folder", "below a file", "too long"):
        assert problem("regen", str(finished / "made"), made, "--out", paths[kind]) == ""


def test_a_place_is_judged_without_touching_it(tmp_path):
    paths = {kind: Path(path) for kind, path in odd_paths(tmp_path).items()}
    before = sorted(tmp_path.rglob("*"))
    check_target(paths["file"])
    check_target(paths["missing"])
    check_target(paths["missing"] / "deeper" / "x.png")
    check_target(paths["folder"], folder=True)
    for path, folder in ((paths["file"], True), (paths["folder"], False), (paths["below a file"], False)):
        with pytest.raises(StoreError):
            check_target(path, folder)
    for text in ("x" * 300, "a\0b"):
        assert not is_file(text)
        with pytest.raises(StoreError, match="is no name of a file or folder"):
            check_name(Path(text))
    assert is_file(paths["file"]) and sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_permission_to_write_is_refused(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(StoreError, match="may only be read"):
        check_target(tmp_path / "x.png")


# -- whole processes --------------------------------------------------------------------------------------------

PROCESSES = [
    ["generate", "augmented-conditioning", "photos", "--model", "builtin-unclip", "--per-class", "100000000"],
    ["generate", "augmented-conditioning", "photos", "--model", "builtin-unclip", "--balance-to", "-5"],
    ["generate", "augmented-conditioning", "photos", "--model", "builtin-unclip", "--width", "33"],
    ["filter", "clip", "photos", "--device", "gpu"],
    ["filter", "clip", "photos", "--device", "mps"],
    ["train", "night", "--day", "photos", "--night", "photos", "--size", "33"],
]


@pytest.mark.parametrize("words", PROCESSES, ids=" ".join)
def test_a_process_says_so_in_two_seconds(words):
    """What it imports on the way is counted."""
    write_images(Path("photos"), {"cat": 2, "dog": 2})
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    typed = [sys.executable, "-m", "augforge", *words, "--out", "out"]
    done = subprocess.run(typed, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    first, second = done.stderr.splitlines()
    assert done.returncode == 2 and first.startswith("augforge: ") and second.startswith("  ")
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SOON
