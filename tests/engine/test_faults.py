"""Faults that are put in on purpose: each is noticed and named, none is silent, and what was sound is kept."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from augforge.engine.run import run
from augforge.errors import SourceError, StoreError
from augforge.io import open_source
from augforge.provenance.lineage import lineage_of
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.reproduce.integrity import check_files
from tests.conftest import write_images
from tests.faults.disks import Failing, NoMount, change_disk, small_disk
from tests.faults.injecting import (
    FAULTS,
    Fault,
    Listening,
    contents,
    faulty_recipe,
    flip,
    inject,
    readable_as_source,
    try_fault,
)

QUICK = [
    Fault("parts/generate-*/*.arrow", "truncated"),
    Fault("parts/select-*/*.json", "a flipped byte"),
    Fault("parts/filter-*/*.arrow", "unreadable (EIO)"),
    Fault("samples.parquet", "a flipped byte"),
    Fault("dataset/*.arrow", "a flipped byte"),
    Fault("run.json", "a flipped byte"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_clip, tiny_unclip) -> tuple[Recipe, Path]:
    """A finished run folder with files of every kind, and its recipe. It is copied, never touched."""
    folder = tmp_path_factory.mktemp("faults")
    recipe = faulty_recipe(folder, {"image-text": str(tiny_clip), "conditioning": str(tiny_unclip)})
    run(recipe, folder / "sound", device="cpu")
    return recipe, folder / "sound"


@pytest.mark.parametrize("fault", QUICK, ids=str)
def test_a_fault_is_named_and_mended(made, tmp_path, fault):
    verdict = try_fault(fault, *made, tmp_path / "out")
    assert verdict.good, verdict


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_every_fault_is_named_and_mended(made, tmp_path, fault):
    verdict = try_fault(fault, *made, tmp_path / "out")
    assert verdict.good, verdict


def test_a_sound_folder_has_no_problem_and_a_copy_of_it_is_up_to_date(made, tmp_path):
    recipe, sound = made
    shutil.copytree(sound, tmp_path / "out", copy_function=shutil.copyfile)  # with the time of now
    assert check_files(tmp_path / "out") == []
    listening = Listening()
    for _ in range(2):
        assert run(recipe, tmp_path / "out", device="cpu", progress=listening).up_to_date
    assert listening.said == [] and check_files(tmp_path / "out") == []


def test_damage_that_leaves_size_and_time_is_found_by_the_check(made, tmp_path):
    recipe, sound = made
    shutil.copytree(sound, tmp_path / "out")
    (file,) = (tmp_path / "out" / "dataset").glob("*.arrow")
    flip(file, keep_time=True)
    assert run(recipe, tmp_path / "out", device="cpu").up_to_date
    (problem,) = check_files(tmp_path / "out")
    assert problem.path == f"dataset/{file.name}" and "SHA-256" in problem.what


@pytest.mark.parametrize("pattern", ["samples.parquet", "dataset/*.arrow", "run.json"])
def test_a_damaged_run_is_no_silent_source(made, tmp_path, pattern):
    shutil.copytree(made[1], tmp_path / "out")
    assert readable_as_source(tmp_path / "out") == ""
    inject(Fault(pattern, "a flipped byte"), tmp_path / "out")
    assert "damaged" in readable_as_source(tmp_path / "out")


def test_an_image_that_is_damaged_in_a_source_costs_its_row(made, tmp_path):
    shutil.copytree(made[1], tmp_path / "out")
    inject(Fault("dataset/*.arrow", "a flipped byte"), tmp_path / "out")
    filters = (build_stage("filter", "sharpness", {"keep": 1.0, "on": "all"}),)
    summary = run(Recipe("next", 1, (SourceSpec("run", str(tmp_path / "out")),), filters), tmp_path / "next")
    reasons = [reason for reason in summary.reasons["1-filter-sharpness"] if "damaged" in reason]
    assert len(reasons) == 1 and summary.reasons["1-filter-sharpness"][reasons[0]] == 1


def test_an_unfinished_run_is_no_source(made, tmp_path):
    shutil.copytree(made[1], tmp_path / "out")
    (tmp_path / "out" / "run.json").unlink()
    with pytest.raises(SourceError, match="has no finished result"):
        open_source("run", str(tmp_path / "out"))


def test_a_damaged_ledger_is_named_by_those_who_only_read_it(made, tmp_path):
    shutil.copytree(made[1], tmp_path / "out")
    flip(tmp_path / "out" / "samples.parquet", keep_time=True)
    with pytest.raises(StoreError, match=r"samples.parquet is damaged"):
        lineage_of(tmp_path / "out", "a")


@pytest.mark.parametrize("version", [1, 99])
def test_another_format_is_refused_to_write_and_a_newer_one_to_read(made, tmp_path, version):
    recipe, sound = made
    shutil.copytree(sound, tmp_path / "out")
    (tmp_path / "out" / "run.json").write_text(json.dumps({"format": version}))
    with pytest.raises(StoreError, match=f"format {version}") as caught:
        run(recipe, tmp_path / "out")
    assert "new folder" in caught.value.hint
    if version == 1:  # what is there can be read: its ledger has the columns that are needed
        assert list(open_source("run", str(tmp_path / "out")).entries())
    else:
        with pytest.raises(SourceError, match="format 99") as newer:
            open_source("run", str(tmp_path / "out"))
        assert newer.value.hint == "update augforge"


# -- disks that fail -----------------------------------------------------------------------------------------


def little(folder: Path) -> Recipe:
    pictures = write_images(folder / "pictures", {"cat": 30, "dog": 20}, size=96)
    stages = (build_stage("filter", "sharpness", {"keep": 0.9}), build_stage("select", "random", {"share": 0.8}))
    return Recipe("little", 1, (SourceSpec("folder", str(pictures)),), stages)


@pytest.mark.parametrize(
    ("code", "step"), [(errno.ENOSPC, 4), (errno.EIO, 7), pytest.param(errno.ENOSPC, 1, marks=pytest.mark.slow)]
)
def test_a_write_that_fails_at_any_place_is_named_and_nothing_is_lost(tmp_path, code, step):
    recipe, failures = little(tmp_path), 0
    run(recipe, tmp_path / "whole")
    for number in range(0, 60, step):
        out = tmp_path / f"out{number}"
        try:
            with Failing(out, number, code):
                run(recipe, out)
        except StoreError as error:
            failures += 1
            assert str(out) in error.message and "cannot be written" in error.message and error.hint
        else:
            break
        assert not list(out.rglob("*.tmp")) and not (out / ".dataset.new").exists()
        run(recipe, out)
        assert contents(out) == contents(tmp_path / "whole")
        shutil.rmtree(out)
    assert failures >= 15 // step + 1


def test_a_full_disk_and_one_that_may_only_be_read(tmp_path):
    recipe = little(tmp_path)
    run(recipe, tmp_path / "whole")
    try:
        with small_disk(tmp_path / "disk", 300) as disk:
            out = disk / "out"
            with pytest.raises(StoreError, match="No space left") as caught:
                run(recipe, out)
            assert str(out) in caught.value.message and "free some space" in caught.value.hint
            parts = sorted(path.name for path in out.rglob("parts/*/*.arrow"))
            assert parts  # what was computed is there
            change_disk(disk, "size=20m")
            again = run(recipe, out)
            assert again.work[0]["read"] == 0 and contents(out) == contents(tmp_path / "whole")
            change_disk(disk, "ro")
            with pytest.raises(StoreError, match="Read-only file system") as caught:
                run(recipe, out)
            assert "choose another --out" in caught.value.hint
    except NoMount as reason:
        pytest.skip(f"no file system can be mounted here: {reason}")


HOLD = """
import sys, time
from pathlib import Path
from augforge.data.store import Store
with Store(Path(sys.argv[1]) / ".facts").locked():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_training_into_one_folder_is_refused(tmp_path, pictures, tiny_clip):
    from augforge.engine.runners.train import train_alone

    out = tmp_path / "model"
    (out / ".facts").mkdir(parents=True)
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        stage = build_stage("train", "classifier", {"embedder": str(tiny_clip), "steps": 1})
        recipe = Recipe("t", 1, (SourceSpec("folder", str(pictures)),), (stage,))
        with pytest.raises(StoreError, match="another augforge is writing"):
            train_alone(recipe, out)
    finally:
        other.kill()
        other.wait()
