"""What every command that writes has: --quiet, --verbose, --dry-run and --replace, which do what they say."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from augforge.cli.app import app
from augforge.cli.commands import COMMANDS, WRITES
from augforge.cli.render import base
from augforge.stages.catalog import STAGES, stage_class
from augforge.stages.stage import kebab
from tests.api.test_twins import COMMANDS as BUILT
from tests.conftest import write_images

READS = {"inspect", "list", "check", "plan", "thresholds", "status", "why", "verify", "diff", "check-marks"}
DECIDES = {"review", "view"}
"""What a person decides, or others wrote, goes to a file that is only added to: there is nothing to write over."""
FLAGS = {"dry_run": {"--dry-run"}, "replace": {"--replace", "--force"}, "quiet": {"-q", "--quiet"},
         "verbose": {"-v", "--verbose"}}  # fmt: skip


def call(*arguments: object, code: int = 0):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, f"{arguments}: {result.output} {result.exception}"
    return result


def state(folder: Path) -> dict[str, str]:
    """The digest of every file below a folder, and all folders."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("path", BUILT, ids=" ".join)
def test_every_command_that_writes_has_the_four_flags(path):
    params = {param.name: set(param.opts) for param in BUILT[path].params}
    if path[0] in WRITES:
        assert {name: params.get(name) for name in FLAGS} == FLAGS
    else:
        assert path[0] in READS | DECIDES and not params.keys() & FLAGS.keys()


def test_every_command_either_writes_or_only_reads():
    assert set(COMMANDS) == WRITES | READS | DECIDES and not WRITES & (READS | DECIDES)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Pictures, a recipe of them, its finished run, and one that generated."""
    folder = tmp_path_factory.mktemp("place")
    write_images(folder / "pictures", {"cat": 6, "dog": 4, "lone": 1}, size=8)
    write_images(folder / "test", {"cat": 2, "dog": 2, "lone": 2}, seed=9, size=8)
    stages = "  - {generate: shifts, fold: 1, per-class: 2}\n  - {filter: sharpness, keep: 0.5, on: synthetic}\n"
    (folder / "r.yaml").write_text(f"name: r\nsource: {{folder: {folder / 'pictures'}}}\nstages:\n{stages}")
    call("run", folder / "r.yaml", "--out", folder / "run")
    return folder


def identity(place: Path) -> str:
    from tests.test_laws import rows

    return next(i for i, row in rows(place / "run").items() if row["origin"] == "synthetic" and row["kept"])


def arguments(place: Path, name: str) -> list[object]:
    """A command that would write."""
    new = place / "new"
    return {
        "samples": ["samples", "digits", "--out", new],
        "run": ["run", place / "r.yaml", "--out", new],
        "lock": ["lock", place / "r.yaml", "--out", new],
        "rebuild": ["rebuild", place / "r.yaml", "--out", new],
        "report": ["report", place / "run", "--out", new / "r.html"],
        "regen": ["regen", place / "run", identity(place), "--out", place / "new.png"],
        "export": ["export", place / "run", "--to", "parquet", "--out", new],
        "evaluate": ["evaluate", place / "run", "--test", place / "test", "--seeds", 2],
    }[name]


ALONE = sorted(WRITES - {"generate", "train", "filter", "select", "select-subset", "split", "caption", "pseudo-label"})


@pytest.mark.parametrize("name", ALONE)
def test_a_dry_run_writes_nothing_and_says_so(place, monkeypatch, name):
    monkeypatch.chdir(place)
    before = state(place)
    words = arguments(place, name)
    assert "nothing was written" in call(*words, "--dry-run").stdout
    assert call(*words, "--dry-run", "--quiet").output == ""
    if "json" in {param.name for param in BUILT[(name,)].params}:
        json.loads(call(*words, "--dry-run", "--json").stdout)
    assert state(place) == before


@pytest.mark.parametrize(("verb", "stage"), STAGES, ids=str)
def test_a_dry_run_of_a_stage_writes_nothing(place, tiny_models, monkeypatch, verb, stage):
    monkeypatch.chdir(place)
    cls = stage_class(verb, stage)
    given = {option: tiny_models[task] for option, task in cls.tasks().items() if option != "adapter"}
    given |= {**({"batch": 4} if verb == "generate" else {}), **cls.example}
    roles = getattr(cls, "arguments", {})
    words = [verb, stage, *([] if roles else [place / "pictures"])]
    for role in roles:
        words += [f"--{kebab(role)}", place / "pictures"]
    for option, value in given.items():
        if option.replace("-", "_") not in roles:
            words += [f"--{kebab(option)}"] if value is True else [f"--{kebab(option)}", value]
    before = state(place)
    assert "nothing was written" in call(*words, "--out", place / "new", "--dry-run").stdout
    assert state(place) == before


def test_a_dry_run_is_refused_where_the_run_would_be(place, monkeypatch):
    monkeypatch.chdir(place)
    for words, message in (
        (["filter", "sharpness", "run", "--out", "run"], "is its own source"),
        (["filter", "brisque", "pictures", "--out", "run"], None),
        (["filter", "sharpness", "test", "--out", "run"], "another recipe"),
    ):
        if message is not None:
            assert message in call(*words, "--dry-run", code=2).stderr
    shown = call("filter", "sharpness", "test", "--out", "run", "--dry-run", "--force")
    assert "would be replaced" in shown.stdout


def test_quiet_says_nothing_but_errors_and_json(place, monkeypatch):
    monkeypatch.chdir(place)
    words = ["filter", "sharpness", "pictures", "--keep", "0.5", "--out", "quiet"]
    assert call(*words, "-q").output == ""
    assert call(*words, "-q").output == ""
    assert json.loads(call(*words, "-q", "--json").output)["kept"] == 6
    refused = call("filter", "sharpness", "missing", "--out", "quiet", "--quiet", code=2)
    assert len(refused.stderr.splitlines()) == 2 and refused.stdout == ""
    assert base.level.name == base.NORMAL and "up to date" in call(*words).stdout  # only that command was quiet


def test_verbose_says_more(place, monkeypatch):
    monkeypatch.chdir(place)
    (place / "odd").mkdir()
    for number in range(12):
        (place / "odd" / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(number + 1) * 3)
    sources = ["filter", "sharpness", "pictures", "odd", "--max-bad", "1"]
    usual = call(*sources, "--out", "v1")
    more = call(*sources, "--out", "v2", "-v")
    assert more.stdout.count("dropped ") >= usual.stdout.count("dropped ")
    assert more.stderr.splitlines()[0].startswith("pictures: image folder")
    text = call("generate", "shifts", "pictures", "--fold", 1, "--per-class", 0, "--out", "v3", "-v").stderr
    assert "[0." in text or " s] " in text
    assert "exclude each other" in call(*sources, "--out", "v4", "-q", "-v", code=2).stderr


def test_what_another_command_left_is_replaced_only_if_told(place, monkeypatch):
    monkeypatch.chdir(place)
    call("export", "run", "--to", "parquet", "--out", "export")
    call("export", "run", "--to", "parquet", "--out", "export")  # the same: up to date
    refused = call("export", "run", "--to", "folder", "--out", "export", code=2)
    assert "holds an export of r as parquet" in refused.stderr and "--replace" in refused.stderr
    call("export", "run", "--to", "folder", "--out", "export", "--replace")
    assert not list((place / "export").rglob("*.parquet"))
    call("export", "run", "--to", "folder", "--out", "run/export", code=2)

    (place / "page.html").write_text("<h1>mine</h1>")
    assert "is no report" in call("report", "run", "--out", "page.html", code=2).stderr
    call("report", "run", "--out", "page.html", "--force")
    call("report", "run", "--out", "page.html")  # a report may always be written again

    one = identity(place)
    (place / "one.png").write_bytes(b"mine")
    assert "is another file" in call("regen", "run", one, "--out", "one.png", code=2).stderr
    assert (place / "one.png").read_bytes() == b"mine"
    call("regen", "run", one, "--out", "one.png", "--replace")
    call("regen", "run", one, "--out", "one.png")

    call("samples", "digits", "--out", "digits", "--split", "test")
    assert "--replace" in call("samples", "digits", "--out", "digits", code=2).stderr
    call("samples", "digits", "--out", "digits", "--replace")
    refused = call("samples", "digits", "--out", "pictures", "--replace", code=2)  # not ours: never
    assert "is not empty" in refused.stderr and (place / "pictures" / "cat").is_dir()


def test_an_empty_result_is_exit_code_3(place, monkeypatch):
    monkeypatch.chdir(place)
    words = ["filter", "sharpness", "pictures", "--min", "1e9", "--out", "nothing"]
    refused = call(*words, code=3)
    assert "none of 11 images is left" in refused.stderr and "--allow-empty" in refused.stderr
    assert "0 images kept" in call(*words, "--allow-empty").stdout


def test_an_evaluation_with_other_settings_is_kept_aside(place, monkeypatch):
    from augforge.evaluate.evaluation import FILE, keep_other
    from augforge.evaluate.settings import settings_of
    from tests.engine.test_guards import Heard

    folder, one, other = place / "evaluated", settings_of({"seeds": "1"}), settings_of({"seeds": "2"})
    folder.mkdir()
    content = json.dumps({"test": "t", "settings": one.model_dump(mode="json", by_alias=True)})
    for test, settings, kept in (("t", one, False), ("t", other, True), ("u", one, True)):
        (folder / FILE).write_text(content)
        heard = Heard()
        keep_other(folder, test, settings, heard)
        assert (folder / FILE).exists() != kept == bool(heard.lines)
    (aside,) = folder.glob("evaluation-*.json")
    assert aside.read_text() == content
    (folder / FILE).write_text("damaged")
    keep_other(folder, "t", one, Heard())
    assert (folder / FILE).read_text() == "damaged"
