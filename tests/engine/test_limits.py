"""Amounts that are too much are refused with what they would come to, in a run and in its plan, unless one insists."""

from __future__ import annotations

import re

import pytest

import augforge
from augforge.data.files import seal
from augforge.engine import limits
from augforge.engine.limits import MOST, check_asked
from augforge.engine.plan import plan_run
from augforge.engine.run import run
from augforge.errors import RecipeError
from augforge.recipe import Recipe, SourceSpec, build_stage

HUGE = 10**20


def recipe(pictures, **options) -> Recipe:
    stage = build_stage("generate", "shifts", {"fold": 1, **options})
    return Recipe("r", 0, (SourceSpec("folder", str(pictures)),), (stage,))


@pytest.mark.parametrize(
    ("option", "value"),
    [("per-class", HUGE), ("balance-to", 10**9), ("real-to-synthetic", f"1:{HUGE}"), ("until-accepted", MOST + 1)],
)
def test_what_is_too_much_for_any_source_is_refused_before_one_is_read(option, value):
    stage = build_stage("generate", "shifts", {"fold": 1, option: value})
    with pytest.raises(RecipeError, match=f"key '{option}': .* new images are over 100,000") as caught:
        check_asked([stage], yes=False)
    assert "--yes" in caught.value.hint and "yes=True" in caught.value.hint
    check_asked([stage], yes=True)


def test_as_many_as_are_allowed_pass():
    for value, option in ((MOST, "per-class"), (MOST + 1, "balance-to"), (f"1:{MOST}", "real-to-synthetic")):
        check_asked([build_stage("generate", "shifts", {"fold": 1, option: value})], yes=False)


def test_the_estimate_is_the_known_one():
    """10^8 images of 32 px at one a second: 10^8 / 3600 hours, and 10^8 * 32 * 32 * 3 bytes."""
    stage = build_stage("generate", "augmented-conditioning", {"model": "builtin-unclip", "per-class": 10**8})
    with pytest.raises(RecipeError) as caught:
        check_asked([stage], yes=False)
    told = caught.value.message
    assert "100,000,000 new images" in told and "27,778 hours at one image a second (no rate was" in told
    assert told.endswith("and up to 308 GB at 32x32 px")
    wide = build_stage(
        "generate", "augmented-conditioning",
        {"model": "builtin-unclip", "per-class": 10**8, "width": 64, "processes": 2},
    )  # fmt: skip
    with pytest.raises(RecipeError, match=r"13,889 hours .* up to 615 GB at 64x32 px"):
        check_asked([wide], yes=False)


@pytest.fixture
def few(monkeypatch):
    """Allows four images, so that a class may be asked for what all classes may not."""
    monkeypatch.setattr(limits, "MOST", 4)


def test_all_classes_count_in_a_run_and_in_its_plan(few, pictures, tmp_path):
    asked = recipe(pictures, **{"per-class": 3})
    check_asked(asked.stages, yes=False)
    for attempt in (lambda: run(asked, tmp_path / "out", device="cpu"), lambda: plan_run(asked)):
        with pytest.raises(RecipeError, match=r"generate shifts: key 'per-class': \d+ new images are over 4"):
            attempt()
    assert not list((tmp_path / "out").glob("parts/generate*"))
    assert plan_run(asked, yes=True)[1].todo > 4
    assert run(asked, tmp_path / "out", device="cpu", yes=True).kept > 4


def test_the_default_amount_counts_too(few, tmp_path):
    from tests.conftest import write_images

    tail = write_images(tmp_path / "tail", {"cat": 9, "dog": 2})
    stage = build_stage("generate", "augmented-conditioning", {"model": "builtin-unclip"})
    asked = Recipe("r", 0, (SourceSpec("folder", str(tail)),), (stage,))
    with pytest.raises(RecipeError, match="generate augmented-conditioning: 7 new images are over 4"):
        plan_run(asked)


def test_rounds_are_refused_likewise(few, pictures, tmp_path):
    stages = (
        build_stage("generate", "shifts", {"fold": 1, "until-accepted": 3}),
        build_stage("filter", "sharpness", {"on": "synthetic", "min": 0}),
    )
    asked = Recipe("r", 0, (SourceSpec("folder", str(pictures)),), stages)
    with pytest.raises(RecipeError, match="key 'until-accepted'"):
        run(asked, tmp_path / "out", device="cpu")
    assert run(asked, tmp_path / "out", device="cpu", yes=True).kept > 4


def test_a_measured_rate_is_what_the_hours_are_reckoned_by(few, pictures, tmp_path):
    done = recipe(pictures, **{"per-class": 1})
    run(done, tmp_path / "out", device="cpu", yes=True)
    (folder,) = (tmp_path / "out").glob("parts/generate*")
    rate = {"images": 1, "seconds": 7200.0, "device": "cpu", "device-name": "x"}
    (folder / "rate.json").write_bytes(seal(rate))
    with pytest.raises(RecipeError, match=r"that is (\d+) hours at the rate measured here") as caught:
        plan_run(recipe(pictures, **{"per-class": 3}), tmp_path / "out")
    images, _, hours, *_ = [int(n) for n in re.findall(r"\d+", caught.value.message)]
    assert hours == 2 * images


def test_the_python_api_insists_likewise(few, pictures, tmp_path):
    asked = augforge.Recipe(pictures, [{"generate": "shifts", "fold": 1, "per-class": 3}])
    for attempt in (asked.plan, lambda: asked.run(tmp_path / "out", device="cpu")):
        with pytest.raises(RecipeError) as caught:
            attempt()
        assert "yes=True" in caught.value.hint
    assert len(asked.plan(yes=True)) == 2
    assert asked.run(tmp_path / "out", device="cpu", yes=True).folder == tmp_path / "out"
