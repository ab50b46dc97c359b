"""How far a run is, told from outside: while it runs, after it was killed, and when it is done; nothing is touched."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import augforge
from augforge.cli.app import app
from augforge.cli.render.status import show_status
from augforge.data.holder import Holder, holder_of
from augforge.data.store import Store
from augforge.engine.noted import NAME, noted
from augforge.engine.runners.generated import GENERATED
from augforge.engine.status import StageStatus, Status, Step
from augforge.errors import AugforgeError, ModelError, StoreError
from augforge.progress import Progress
from augforge.recipe import parse_recipe
from tests.conftest import write_images

ROOT = Path(__file__).parents[2]
SLOW = """
import sys, time
from contextlib import contextmanager
from pathlib import Path
import augforge.data.parts, augforge.engine.noted
from augforge.engine.run import run
from augforge.progress import Bar, Progress
from augforge.recipe import load_recipe
augforge.data.parts.FLUSH_ROWS, augforge.engine.noted.EVERY = 1, 0.0

class SlowBar(Bar):
    def advance(self, count=1):
        time.sleep(0.1)

class Slow(Progress):
    command = ("augforge", "run", sys.argv[1], "--out", sys.argv[2])
    @contextmanager
    def bar(self, title, total, unit="images"):
        yield SlowBar() if title == "shifts" else Bar()

run(load_recipe(Path(sys.argv[1])), Path(sys.argv[2]), device="cpu", progress=Slow())
"""
HOLD = """
import sys, time
from pathlib import Path
from augforge.data.store import Store
with Store(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """12 real images, half of which a filter drops, then 20 new ones of each of two classes."""
    source = write_images(tmp_path / "a b", {"cat": 6, "dog": 6})
    stages = [{"filter": "sharpness", "keep": 0.5}, {"generate": "shifts", "fold": 1, "per-class": 20}]
    return augforge.Recipe(source, [*stages, {"filter": "sharpness", "keep": 1.0}]).save(tmp_path / "recipe.yaml")


def started(script: str, *arguments: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def killed(recipe: Path, tmp_path: Path) -> tuple[Path, int, list[Status]]:
    """A run that was killed while it generated, its process, and what was told of it before."""
    out = tmp_path / "out"
    process = started(SLOW, recipe, out)
    seen = []
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until and (not seen or seen[-1].made < 8):
            assert process.poll() is None, "it ended too early"
            time.sleep(0.02)
            if (out / ".lock").exists():
                seen.append(augforge.status(out))
    finally:
        process.kill()
        process.wait()
    return out, process.pid, seen


def rows_of(folder: Path) -> int:
    """The images that lie in the parts of the generator."""
    return sum(len(Store(folder).parts(path.name, GENERATED)) for path in (folder / "parts").glob("generate-*"))


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of all that is in a folder."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in (folder, *folder.rglob("*"))}


def test_a_run_is_followed_killed_and_finished(killed, recipe, monkeypatch):
    out, process, seen = killed
    last = seen[-1]
    assert {one.state for one in seen if one.holder} == {"running"} and last.holder.process == process
    assert [one.made for one in seen] == sorted(one.made for one in seen) and last.planned == 40
    assert [stage.state for stage in last.stages] == ["done", "begun", "to do"]
    assert (last.stages_done, last.kept, last.dropped) == (1, 6, 6) and last.step.title == "shifts"
    assert last.step.total == 40 and last.step.rate > 0

    before = state(out)
    now = augforge.status(out)
    assert state(out) == before
    assert now.state == "stopped" and now.holder.alive is False and now.stopped_by == ""
    assert last.made <= now.made == rows_of(out) < 40
    assert shlex.split(now.command)[-5:] == ["augforge", "run", str(recipe), "--out", str(out)]

    monkeypatch.setattr(sys, "argv", [str(ROOT / "augforge" / "__main__.py"), "run", str(recipe), "--out", str(out)])
    done = CliRunner().invoke(app, shlex.split(now.command)[-4:])
    assert done.exit_code == 0, done.output
    there = f"shifts: {now.made} of 40 images are there already, {40 - now.made} are to be made"
    assert there in done.output.replace("\n", " "), "what was made before is made again"
    end = augforge.status(out)
    assert end.state == "finished" and (end.made, end.planned, end.stages_done) == (40, 40, 3)
    assert (end.kept, end.dropped) == (46, 6) and end.command == shlex.join(["augforge", *sys.argv[1:]])


def test_it_is_told_in_a_terminal_and_as_json(killed):
    out, _, _ = killed
    told = CliRunner().invoke(app, ["status", str(out)])
    assert told.exit_code == 0
    words_of_step = ("images stored: ", "of 40 images made, ", "; those that are not stored are made again")
    for words in (
        "stopped",
        "1 of 3 done",
        "of 40 planned",
        *words_of_step,
        "6 kept, 6 dropped so far",
        "to go on: augforge run",
    ):
        assert words in told.output.replace("\n", " "), told.output
    plain = json.loads(CliRunner().invoke(app, ["status", str(out), "--json"]).output)
    assert plain["state"] == "stopped" and plain["planned"] == 40 and 8 <= plain["made"] < 40


def test_a_part_that_is_damaged_or_has_gone_does_not_end_it(killed):
    out, _, _ = killed
    made = augforge.status(out).made
    first = next((out / "parts").glob("generate-*/*.arrow"))
    first.unlink()
    assert augforge.status(out).made == made - 1
    first.write_bytes(b"ARROW1 and no more")
    assert augforge.status(out).made == made - 1 and first.exists()


@pytest.mark.parametrize(
    ("step", "state", "told"),
    [
        (Step("shifts", 30, 40, "images", 8.0, 1.25), "running", "shifts: 30 of 40 images made, 8.0/s, left 0:01"),
        (Step("shifts", 5, 12, "images", None, None), "running", "shifts: 5 of the 12 missing images made"),
        (
            Step("shifts", 5, 12, "images", 2.0, 3.5),
            "stopped",
            "shifts: 5 of the 12 missing images made, 2.0/s; those that are not stored are made again",
        ),
        (Step("embed (clip)", 5, 12, "images", None, None), "stopped", "embed (clip): 5 of 12 images"),
    ],
)
def test_images_that_are_made_are_told_from_those_that_are_stored(step, state, told, capsys) -> None:
    stages = [StageStatus("1-filter-sharpness", "done"), StageStatus("2-generate-shifts", "begun", 28, 40)]
    show_status(Status("out", state, None, stages, step, None, None, None, "", ""), as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert "images stored: 28 of 40 planned" in lines and told in lines


def test_what_ended_a_run_is_told(tmp_path: Path, pictures: Path) -> None:
    recipe = augforge.Recipe(pictures, [{"filter": "sharpness", "min": 1e9}])
    with pytest.raises(AugforgeError) as caught:
        recipe.run(tmp_path / "out", device="cpu")
    now = augforge.status(tmp_path / "out")
    assert now.state == "stopped" and now.stopped_by == caught.value.message and now.command == ""
    assert "run the same recipe" in CliRunner().invoke(app, ["status", str(tmp_path / "out")]).output


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (ModelError("it does not know 'zebra'", "take another"), "mend what it says, then: augforge run r.yaml"),
        (StoreError("the disk is full", "make room"), "to go on: augforge run r.yaml"),
    ],
)
def test_a_refusal_is_to_be_mended_first(tmp_path: Path, capsys, error: AugforgeError, advice: str) -> None:
    shown = Progress()
    shown.command = ("augforge", "run", "r.yaml")
    recipe = parse_recipe("{name: r, source: {sample: digits}, stages: []}")
    (tmp_path / ".lock").touch()
    with pytest.raises(AugforgeError), noted(recipe, tmp_path, shown) as progress:
        progress.plan([])
        raise error
    now = augforge.status(tmp_path)
    assert (now.stopped_by, now.hint, now.refused) == (error.message, error.hint, isinstance(error, ModelError))
    show_status(now, as_json=False)
    told = capsys.readouterr().out.splitlines()
    assert told[1:3] == [f"stopped by: {error.message}", f"  {error.hint}"]
    assert advice.partition(":")[0] in told[-1] and told[-1].endswith("augforge run r.yaml")


def test_the_age_of_the_news_is_told(capsys) -> None:
    nothing = {"stages": (), "step": None, "kept": None, "dropped": None, "stopped_by": "", "command": ""}
    show_status(Status("out", "running", Holder(7, "here", True), seconds_ago=2.0, **nothing), as_json=False)
    assert capsys.readouterr().out.splitlines()[0] == "out: running in process 7; the last news is 0:02 old"


def test_a_note_that_cannot_be_written_does_not_end_a_run(tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "out" / NAME).mkdir(parents=True)
    (tmp_path / "out" / ".lock").touch()
    summary = augforge.Recipe(pictures, [{"filter": "sharpness", "keep": 0.5}]).run(tmp_path / "out").summary
    now = augforge.status(tmp_path / "out")
    assert now.state == "finished" and now.kept == summary.kept and now.stages == []


def test_what_is_no_run_and_a_damaged_note_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no run folder"):
        augforge.status(tmp_path)
    (tmp_path / ".lock").touch()
    assert augforge.status(tmp_path).state == "stopped"
    for note in ({"titles": 3}, {"bar": {"done": 1}}, {"titles": ["a"], "planned": {"a": [1, 2]}}, {"at": "now"}):
        (tmp_path / NAME).write_text(json.dumps(note))
        with pytest.raises(StoreError, match="is damaged"):
            augforge.status(tmp_path)
    (tmp_path / NAME).write_text("[half")
    assert augforge.status(tmp_path).stages == []


@pytest.fixture
def held(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the folder `run`."""
    process = started(HOLD, tmp_path / "run")
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_it_takes_no_lock(held: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it to ask by taking the lock for an instant, a run that begins in that instant would be refused."""

    def refused(*_: object) -> None:
        raise AssertionError("it takes the lock")

    monkeypatch.setattr(fcntl, "flock", refused)
    monkeypatch.setattr(fcntl, "lockf", refused)
    assert augforge.status(tmp_path / "run").state == "running"
    held.kill()
    held.wait()
    assert augforge.status(tmp_path / "run").state == "stopped"


def test_who_is_refused_does_not_sign(held: subprocess.Popen[str], tmp_path: Path) -> None:
    """Were the lock opened for writing anew, the one who is refused would wipe out who holds it."""
    with pytest.raises(StoreError, match="another augforge"), Store(tmp_path / "run").locked():
        pass
    holder = holder_of(tmp_path / "run")
    assert holder is not None and holder.process == held.pid and holder.alive is True


def test_another_process_with_the_same_number_does_not_hold_it(tmp_path: Path) -> None:
    """Numbers of processes are given again: were it enough that there is one, this process would hold the folder."""
    with Store(tmp_path / "run").locked():
        assert augforge.status(tmp_path / "run").state == "running"
    holder = holder_of(tmp_path / "run")
    assert holder is not None and holder.process == os.getpid() and holder.alive is False


def test_of_another_machine_nothing_is_claimed(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text(f"{os.getpid()} elsewhere\n")
    assert augforge.status(tmp_path).state == "unknown"
    assert "cannot be asked from here" in CliRunner().invoke(app, ["status", str(tmp_path)]).output


def test_no_model_library_is_loaded_for_it(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    code = (
        "import sys, augforge; augforge.status(sys.argv[1]); print({'torch', 'diffusers', 'datasets'} & {*sys.modules})"
    )
    process = started(code, tmp_path)
    assert process.communicate()[0].strip() == "set()"


def test_a_generator_that_goes_round_is_followed_too(tmp_path: Path, pictures: Path) -> None:
    """What a round plans is all that was planned so far: what is stored already is not counted twice."""
    stages = [{"generate": "shifts", "fold": 1, "until-accepted": 6}, {"filter": "sharpness", "min": 2.3}]
    run = augforge.Recipe(pictures, stages).run(tmp_path / "out", device="cpu")
    row = run.summary.work[1]
    first = augforge.status(run.folder).stages[0]
    assert row["generated"] > 3 * 6, "one round was enough"
    assert first.made == first.planned == row["generated"]
