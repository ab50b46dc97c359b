"""How far a run is, in plain lines: each stage is named once, and times are labelled."""

from __future__ import annotations

from pathlib import Path

import pytest

from augforge import progress as module
from augforge.engine.run import run
from augforge.progress import LineProgress, clock, named
from augforge.recipe import Recipe, SourceSpec
from augforge.stages.filters.duplicates import Duplicates
from augforge.stages.filters.quality import Quality
from augforge.stages.filters.sharpness import Sharpness

TITLES = ("1-generate-text2img", "2-filter-clip", "3-select-facility-location")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (12.4, "0:12"), (59.6, "1:00"), (187, "3:07"), (3723, "1:02:03"), (-1, "0:00")]
)
def test_a_time_is_shown_as_a_clock_shows_it(seconds, shown):
    assert clock(seconds) == shown


def test_a_model_has_its_size_where_that_is_known():
    assert (named("builtin-clip", "2 MB"), named("mine", "")) == ("builtin-clip (2 MB)", "mine")


def test_elapsed_and_left_are_labelled(capsys, monkeypatch):
    now = iter([0.0, 30.0, 30.0, 40.0, 40.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(now))
    with LineProgress().bar("embed", 100) as bar:
        bar.advance(25)
        bar.advance(75)
    assert capsys.readouterr().err.splitlines() == [
        "embed: 25 of 100 images, 0.8/s, 0:30 elapsed, 1:30 left",
        "embed: 100 of 100 images, 2.5/s, 0:40 elapsed",
    ]


def test_the_last_line_is_not_said_twice_though_the_last_batch_took_long(capsys, monkeypatch):
    now = iter(range(0, 1000, 20))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(now)))
    with LineProgress().bar("embed", 100) as bar:
        for _ in range(4):
            bar.advance(25)
    done = [line.split(" images")[0] for line in capsys.readouterr().err.splitlines()]
    assert done == ["embed: 25 of 100", "embed: 50 of 100", "embed: 75 of 100", "embed: 100 of 100"]


def test_a_stage_is_named_once_and_only_if_it_shows_something(capsys):
    lines = LineProgress()
    lines.plan(TITLES)
    for title in TITLES:
        lines.stage(title)
        if title != "2-filter-clip":
            lines.say("a remark")
            with lines.loading("builtin-clip", "2 MB"):
                pass
    assert capsys.readouterr().err.splitlines() == [
        "stage 1 of 3: generate-text2img",
        "a remark",
        "loading builtin-clip (2 MB)",
        "stage 3 of 3: select-facility-location",
        "a remark",
        "loading builtin-clip (2 MB)",
    ]


def test_rounds_name_their_stages_again_and_a_lone_stage_is_not_numbered(capsys):
    lines = LineProgress()
    lines.plan(TITLES)
    for title in (TITLES[0], TITLES[1], TITLES[1], TITLES[0]):
        lines.stage(title)
        lines.say("-")
    headings = [line for line in capsys.readouterr().err.splitlines() if line != "-"]
    assert headings == [f"stage {n} of 3: {TITLES[n - 1][2:]}" for n in (1, 2, 1)]
    lines.plan(TITLES[:1])
    lines.stage(TITLES[0])
    lines.say("alone")
    assert capsys.readouterr().err == "alone\n"


def test_a_run_names_its_stages_and_a_second_one_that_computes_nothing_names_none(pictures: Path, tmp_path, capsys):
    first = Duplicates(by="exact")  # so that nothing is measured while the images are read
    stages = (first, Sharpness(keep=0.9), Quality(keep=0.9))
    recipe = Recipe("r", 0, (SourceSpec("folder", str(pictures)),), stages)
    run(recipe, tmp_path / "out", progress=LineProgress())
    told = capsys.readouterr().err
    assert told.index("stage 2 of 3: filter-sharpness") < told.index("stage 3 of 3: filter-quality")
    stages = (first, Sharpness(keep=0.8), Quality(keep=0.9))
    recipe = Recipe("r", 0, (SourceSpec("folder", str(pictures)),), stages)
    run(recipe, tmp_path / "out", progress=LineProgress())
    assert "stage 2 of 3" not in capsys.readouterr().err
