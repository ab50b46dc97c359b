"""The command line: commands and recipe keys are twins, errors are two lines, exit codes mean what they say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from augforge import __version__
from augforge.cli.app import SINGLE, app
from augforge.cli.stopping import STOPPING, told_at_once
from augforge.engine.run import COMPUTED
from augforge.stages.catalog import STAGES, stage_class
from augforge.stages.stage import kebab
from tests.conftest import write_images

REBUILDING = ("lock", "rebuild", "verify", "diff", "regen")
COMMAND = {"generate": "generate", "filter": "filter", "select": "select-subset"}


def call(*arguments: object, code: int = 0):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize(("verb", "name"), STAGES)
def test_a_command_has_every_option_of_its_stage_with_help(verb, name):
    words = [verb] if verb in SINGLE else [COMMAND.get(verb, verb), name]
    text = " ".join(call(*words, "--help").stdout.split())
    cls = stage_class(verb, name)
    for option, about in getattr(cls, "arguments", {}).items():
        assert f"--{kebab(option)}" in text and about.split()[0] in text
    for option, info in cls.model_fields.items():
        if option in getattr(cls, "arguments", {}) or (verb == "train" and option == "called"):
            continue  # a source on the command line, and the name of --out
        assert f"--{kebab(option)}" in text
        assert info.description and info.description.split()[0] in text


def test_every_command_has_help():
    groups = ("generate", "filter", "select", "select-subset", "train")
    known = (
        "run",
        "check",
        "plan",
        "samples",
        "list",
        "status",
        "why",
        "thresholds",
        "report",
        "export",
        "check-marks",
        "evaluate",
        *REBUILDING,
    )
    for command in (*groups, *SINGLE, *known):
        assert call(command, "--help").stdout.strip()


def test_select_and_select_subset_are_one(tmp_path, pictures):
    from tests.test_laws import rows

    for name in ("select", "select-subset"):
        call(name, "random", pictures, "--share", "0.5", "--out", tmp_path / name)
        assert call(name, "--help").stdout.count("facility-location") == 2  # listed, and in the example
    assert rows(tmp_path / "select") == rows(tmp_path / "select-subset")
    assert "Another name of select" in " ".join(call("--help").stdout.split())


def test_python_m_augforge_is_the_command():
    done = subprocess.run([sys.executable, "-m", "augforge", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"augforge {__version__}\n"


def test_an_unknown_list_names_the_likely_one():
    result = call("list", "modls", code=2)
    assert result.stderr.splitlines() == ["augforge: there is no list of 'modls'", "  did you mean 'models'?"]


def test_a_command_and_its_recipe_give_the_same_rows(tmp_path, pictures, tiny_clip):
    call("filter", "clip", pictures, "--model", tiny_clip, "--keep", "0.5", "--out", tmp_path / "command")
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        f"source: {{folder: {pictures}}}\nstages:\n  - filter: clip\n    model: {tiny_clip}\n    keep: 0.5\n"
    )
    call("run", recipe, "--out", tmp_path / "recipe")
    from tests.test_laws import rows

    assert rows(tmp_path / "command") == rows(tmp_path / "recipe")


def test_commands_chain_and_why_goes_back_to_the_files(tmp_path, pictures, tiny_clip, tiny_unclip):
    call(
        "generate", "augmented-conditioning", pictures, "--out", tmp_path / "a", "--model", tiny_unclip,
        "--per-class", 2, "--steps", 1, "--batch", 4,
    )  # fmt: skip
    call("filter", "clip", tmp_path / "a", "--out", tmp_path / "b", "--model", tiny_clip, "--on", "synthetic")
    chosen = ("--model", tiny_clip, "--share", "0.5", "--json")
    result = call("select-subset", "k-center", tmp_path / "b", "--out", tmp_path / "c", *chosen)
    assert json.loads(result.stdout)["kept"] > 0
    from tests.test_laws import rows

    ledger = rows(tmp_path / "c")
    assert set(rows(tmp_path / "a")) == set(rows(tmp_path / "b")) == set(ledger)
    synthetic = next(i for i, row in ledger.items() if row["origin"] == "synthetic" and row["kept"])
    life = json.loads(call("why", tmp_path / "c", synthetic[:8], "--json").stdout)
    assert life["generation_config"]["model"]["digest"] and life["sampled_params"]["mode"] and life["scores"]
    for parent in life["parents"]:
        assert (pictures / parent["source"].partition(": ")[2]).is_file()
    told = call("why", tmp_path / "c", synthetic).stdout
    assert "made" in told and "file" in told and "drawn" in told


def test_a_dataset_of_ours_keeps_its_history_when_it_is_a_source(tmp_path, pictures, tiny_clip, tiny_unclip):
    from tests.test_laws import rows

    generate = (
        "generate",
        "augmented-conditioning",
        "--model",
        tiny_unclip,
        "--per-class",
        2,
        "--steps",
        1,
        "--batch",
        4,
    )
    call(*generate, pictures, "--out", tmp_path / "a")
    call("filter", "sharpness", tmp_path / "a" / "dataset", "--out", tmp_path / "b", "--on", "synthetic")
    before, after = rows(tmp_path / "a"), rows(tmp_path / "b")
    assert set(before) == set(after)
    for identity, row in after.items():
        same = ("label", "origin", "parents", "digest", "width", "height", "source", "seed")
        assert {name: row[name] for name in same} == {name: before[identity][name] for name in same}
    call(*generate, tmp_path / "a" / "dataset", "--out", tmp_path / "c", "--mode", "cutmix")


def test_a_wrong_option_names_the_likely_one():
    result = call("filter", "clop", "x", "--out", "y", code=2)
    assert "there is no filter stage called 'clop'" in result.stderr and "did you mean 'clip'?" in result.stderr


def test_a_mendable_error_is_two_lines_without_a_traceback(tmp_path):
    result = call("run", tmp_path / "none.yaml", "--out", tmp_path / "out", code=2)
    assert len(result.stderr.strip().splitlines()) == 2 and "Traceback" not in result.stderr


def test_too_many_bad_images_exit_3_with_the_ledger_written(tmp_path, pictures):
    (pictures / "cat" / "bad.jpg").write_bytes(b"")
    (pictures / "cat" / "worse.jpg").write_bytes(b"no image")
    told = call("filter", "sharpness", pictures, "--out", tmp_path / "strict", code=3)
    from tests.test_laws import rows

    assert sum(bool(row["dropped"]) for row in rows(tmp_path / "strict").values()) == 2
    assert "repair or remove them and run the same command again" in told.stderr and "--max-bad" in told.stderr
    for name in ("bad", "worse"):
        Image.new("RGB", (8, 8)).save(pictures / "cat" / f"{name}.jpg")
    call("filter", "sharpness", pictures, "--out", tmp_path / "strict")
    assert not any((row["dropped_by"] or "") == "source" for row in rows(tmp_path / "strict").values())
    (pictures / "cat" / "bad.jpg").write_bytes(b"")
    (pictures / "cat" / "worse.jpg").write_bytes(b"no image")
    call("filter", "sharpness", pictures, "--out", tmp_path / "lenient", "--max-bad", "0.2")


def test_check_loads_no_model_and_says_it_is_right(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("source: {folder: nowhere}\nstages:\n  - filter: clip\n")
    assert "is valid" in call("check", recipe).stdout


def test_plan_agrees_with_the_run(tmp_path, pictures, tiny_clip, tiny_unclip):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        f"""
source: {{folder: {pictures}}}
stages:
  - generate: augmented-conditioning
    model: {tiny_unclip}
    balance-to: max
    steps: 1
  - filter: clip
    model: {tiny_clip}
    on: synthetic
    keep: 0.5
  - select: facility-location
    model: {tiny_clip}
    on: synthetic
    share: 0.5
"""
    )
    before = json.loads(call("plan", recipe, "--out", tmp_path / "out", "--json").stdout)
    done = json.loads(call("run", recipe, "--out", tmp_path / "out", "--json").stdout)
    after = json.loads(call("plan", recipe, "--out", tmp_path / "out", "--json").stdout)
    assert [row["rows_out"] for row in before] == [row["out"] for row in done["work"]]
    assert before[-1]["classes"] == done["classes"]
    assert before[1]["todo"] == done["work"][1]["generated"] > 0
    assert before[2]["todo"] == done["work"][2]["measured"] > 0
    assert [row["todo"] for row in after] == [0, 0, 0, 0]
    call("plan", recipe)


def columns_of_plan(*words: object) -> list[tuple[int, int]]:
    """What is to be computed and what is there, stage by stage."""
    return [(row["todo"], row["reused"]) for row in json.loads(call("plan", *words, "--json").stdout)]


def columns_of_run(*words: object) -> list[tuple[int, int]]:
    work = json.loads(call("run", *words, "--json").stdout)["work"]
    return [(sum(row.get(name, 0) for name in COMPUTED), row["reused"]) for row in work]


def test_what_plan_calls_to_compute_and_reused_is_what_the_run_counts(tmp_path, pictures, tiny_clip, tiny_unclip):
    recipe, out = tmp_path / "r.yaml", tmp_path / "out"
    stages = f"""
  - filter: sharpness
    on: real
    keep: 1.0
  - generate: augmented-conditioning
    model: {tiny_unclip}
    balance-to: max
    steps: 1
  - filter: clip
    model: {tiny_clip}
    on: synthetic
    keep: 0.5
  - select: random
    on: synthetic
    share: SHARE
  - select: facility-location
    model: {tiny_clip}
    on: synthetic
    share: 0.5
"""
    recipe.write_text(f"source: {{folder: {pictures}}}\nstages:{stages.replace('SHARE', '0.9')}")
    fresh = columns_of_plan(recipe)
    assert fresh == columns_of_plan(recipe, "--out", out) == columns_of_run(recipe, "--out", out)
    assert fresh[4] == (0, 0), "a random choice measures nothing, and there is nothing to reuse"
    recipe.write_text(recipe.read_text().replace("0.9", "0.8"))
    finished = columns_of_plan(recipe, "--out", out)
    assert finished == columns_of_run(recipe, "--out", out) and {todo for todo, _ in finished} == {0}
    assert finished[0][1] == finished[1][1] == fresh[0][0] and finished[3][1] == sum(fresh[3])


def test_list_and_samples(tmp_path):
    stages = json.loads(call("list", "stages", "--json").stdout)
    assert {(row["verb"], row["name"]) for row in stages} == set(STAGES)
    assert "builtin-clip" in call("list", "models").stdout
    call("list", "modls", code=2)
    call("samples", "digits", "--out", tmp_path / "digits")
    assert len(list((tmp_path / "digits").rglob("*.png"))) > 100


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_exits_130_and_the_same_command_goes_on(tmp_path):
    folder = write_images(tmp_path / "pictures", {"cat": 400}, size=256)
    command = [
        sys.executable,
        "-m",
        "augforge.cli.app",
        "filter",
        "sharpness",
        str(folder),
        "--out",
        str(tmp_path / "out"),
    ]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "out" / "parts").exists() and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    told = running.stderr.read()
    assert told.index("stopping: ") < told.index("run the same command to go on")
    assert "stopped by: Ctrl-C" in call("status", tmp_path / "out").stdout
    subprocess.run(command, check=True, capture_output=True)
    assert Path(tmp_path / "out" / "dataset" / "state.json").is_file()


STUCK = """
import os, signal, time
from augforge.cli.stopping import told_at_once
with told_at_once():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("storing", flush=True)
        time.sleep(60)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_the_first_ctrl_c_is_answered_at_once_and_the_second_waits_for_nothing():
    command, root = [sys.executable, "-c", STUCK], Path(__file__).parents[2]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = subprocess.Popen(command, cwd=root, **pipes)
    assert running.stdout.readline() == "ready\n"
    running.send_signal(signal.SIGINT)
    assert running.stdout.readline() == "storing\n"
    running.send_signal(signal.SIGINT)
    assert running.wait(20) == -signal.SIGINT
    assert running.stderr.read().splitlines() == ["", STOPPING]


def test_ctrl_c_is_as_it_was_after_the_run():
    before = signal.getsignal(signal.SIGINT)
    with told_at_once():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_no_signal_is_asked_for():
    with ThreadPoolExecutor(1) as threads:
        threads.submit(_told).result()


def _told() -> None:
    with told_at_once():
        pass


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1])
def test_a_seed_that_no_file_can_hold_is_refused_by_every_command(seed, tmp_path):
    source, out = write_images(tmp_path / "set", {"cat": 2}), tmp_path / "out"
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"name: r\nseed: 1\nsource: {{folder: {source}}}\nstages:\n  - filter: sharpness\n    min: 0\n")
    for words in (["filter", "sharpness", source, "--min", 0], ["run", recipe]):
        result = call(*words, "--seed", seed, "--out", out, code=2)
        assert "no whole number of 64 bits" in result.output and not out.exists()


def test_a_verb_with_one_stage_takes_its_name_or_none(tmp_path):
    source = write_images(tmp_path / "source", {"cat": 6, "dog": 6})
    call("split", source, "--test", "0.5", "--out", tmp_path / "a")
    call("split", "near-duplicates", source, "--test", "0.5", "--out", tmp_path / "b")
    assert (tmp_path / "a" / "recipe.yaml").read_text() == (tmp_path / "b" / "recipe.yaml").read_text()


def test_a_second_stage_of_such_a_verb_makes_it_a_group(monkeypatch):
    from augforge.cli import groups

    monkeypatch.setitem(groups.STAGES, ("split", "coarse"), groups.STAGES["split", "near-duplicates"])
    assert groups.build("split").list_commands(None) == ["near-duplicates", "coarse"]


@pytest.mark.parametrize(
    ("words", "wrong", "hint"),
    [
        (["gen"], "there is no command 'gen'", "did you mean 'generate'?"),
        (["filter", "shar"], "there is no filter stage called 'shar'", "did you mean 'sharpness'?"),
        (["filter", "clip", "x", "--kep", "1"], "filter clip: no such option: --kep", "did you mean --keep?"),
        (["verify", "x", "--sample", "-1"], "verify: invalid value for '--sample': ", "augforge verify --help shows"),
        (["--versio"], "no such option: --versio", "did you mean --version?"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_told_in_two_lines(words, wrong, hint):
    result = CliRunner().invoke(app, words, prog_name="augforge")
    first, second = result.stderr.splitlines()
    assert result.exit_code == 2 and first.startswith(f"augforge: {wrong}") and second.startswith(f"  {hint}")


def test_check_warns_of_a_selector_that_keeps_outliers_and_still_says_that_it_is_right(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("source: {sample: digits}\nstages:\n  - {select: k-center, share: 0.5}\n")
    done = call("check", recipe)
    assert done.exit_code == 0 and "is valid" in done.stdout and "warning: stage 1 (select: k-center)" in done.stdout
