"""An export that is stopped at any step goes on, ends as if nothing had happened, and never shows half a file."""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from augforge.errors import SourceError, StoreError
from augforge.io import writing
from augforge.io.coco import CocoWriter
from augforge.io.folder import FolderWriter
from augforge.io.parquet import ParquetWriter
from augforge.io.writing import WORK
from augforge.publish import journal
from augforge.publish.export import export
from augforge.publish.marks import Marker
from tests.publish.test_formats import FORMATS


class Stopped(BaseException):
    """Stands for a kill: nothing catches it."""


def content(folder: Path) -> dict[str, str]:
    """The digest of every file that is visible."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and WORK not in path.relative_to(folder).parts
    }


@pytest.fixture
def small_shards(monkeypatch):
    for writer in (ParquetWriter, FolderWriter, CocoWriter):
        monkeypatch.setattr(writer, "shard_rows", 12)


def stop_before(monkeypatch, step: int) -> None:
    """Stop when file number `step`, of the export or of its journal, would become visible."""
    appear, wrote = writing._appear, journal.write_atomically
    left = iter(range(step))

    def count() -> None:
        if next(left, None) is None:
            raise Stopped

    def appear_or_stop(temporary, path):
        count()
        appear(temporary, path)

    def write_or_stop(path, data):
        count()
        wrote(path, data)

    monkeypatch.setattr(writing, "_appear", appear_or_stop)
    monkeypatch.setattr(journal, "write_atomically", write_or_stop)


@pytest.mark.parametrize(("to", "every"), [("parquet", 1), ("coco", 9), ("hf", 1)])
def test_stopped_at_any_step_it_ends_as_an_uninterrupted_one(finished, tmp_path, small_shards, to, every):
    export(finished, to, tmp_path / "whole", marker=Marker())
    wanted = content(tmp_path / "whole")
    for step in itertools.count(0, every):
        out = tmp_path / f"out-{step}"
        with pytest.MonkeyPatch.context() as patched:
            stop_before(patched, step)
            try:
                export(finished, to, out, marker=Marker())
                break
            except Stopped:
                pass
        seen = content(out)
        assert "export.json" not in seen and seen.items() <= wanted.items()
        export(finished, to, out, marker=Marker())
        assert content(out) == wanted and not (out / WORK).exists()
    assert step >= len(wanted)


def test_what_was_done_is_not_done_again(finished, tmp_path, small_shards, monkeypatch):
    with pytest.MonkeyPatch.context() as patched:
        stop_before(patched, 5)
        with pytest.raises(Stopped):
            export(finished, "parquet", tmp_path / "out")
    done = export(finished, "parquet", tmp_path / "out")
    assert done.reused == 24 and done.written == done.rows - 24
    again = export(finished, "parquet", tmp_path / "out")
    assert again.up_to_date and again.written == 0 and again.files == done.files


def test_a_file_that_was_damaged_meanwhile_is_not_trusted(finished, tmp_path, small_shards):
    whole = tmp_path / "whole"
    export(finished, "parquet", whole)
    for stop in (True, False):
        out = tmp_path / f"out-{stop}"
        with pytest.MonkeyPatch.context() as patched:
            if stop:
                stop_before(patched, 5)
                with pytest.raises(Stopped):
                    export(finished, "parquet", out)
            else:
                export(finished, "parquet", out)
        victim = next((out / "data").iterdir())
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)
        assert not export(finished, "parquet", out).up_to_date
        assert content(out) == content(whole)


@pytest.mark.parametrize("to", FORMATS)
def test_another_format_into_the_same_folder_leaves_nothing_of_the_first(finished, tmp_path, to):
    export(finished, "folder" if to != "folder" else "coco", tmp_path / "out", marker=Marker())
    export(finished, to, tmp_path / "out")
    export(finished, to, tmp_path / "fresh")
    assert content(tmp_path / "out") == content(tmp_path / "fresh")
    assert {p.name for p in (tmp_path / "out").rglob("*")} == {p.name for p in (tmp_path / "fresh").rglob("*")}


def test_a_folder_of_something_else_is_refused(finished, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for out in (tmp_path / "mine", tmp_path / "mine" / "thesis.txt", finished):
        with pytest.raises(StoreError):
            export(finished, "parquet", out)
    with pytest.raises(StoreError, match="is no run folder"):
        export(tmp_path / "mine", "parquet", tmp_path / "out")
    with pytest.raises(SourceError, match="no format called"):
        export(finished, "hub", tmp_path / "out")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_a_second_process_is_refused(finished, tmp_path):
    export(finished, "hf", tmp_path / "out")
    handle = os.open(tmp_path / "out", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(StoreError, match="another augforge"):
        export(finished, "hf", tmp_path / "out")
    os.close(handle)
    assert export(finished, "hf", tmp_path / "out").up_to_date


def test_a_manifest_cannot_make_it_remove_files_outside(finished, tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_text("x")
    out = tmp_path / "out"
    out.mkdir()
    (out / "elsewhere").symlink_to(tmp_path)
    names = ["../precious.txt", str(precious), "elsewhere/precious.txt"]
    (out / "export.json").write_text(json.dumps({"version": 1, "key": "", "files": {name: {} for name in names}}))
    export(finished, "hf", out)
    assert precious.exists()


def test_an_image_that_was_damaged_in_the_run_is_named(finished, tmp_path):
    import shutil

    from tests.publish.runs import kept_rows

    shutil.copytree(finished, tmp_path / "run")
    row = next(iter(kept_rows(finished).values()))
    files = (tmp_path / "run" / "dataset").rglob("*.arrow")
    file = next(path for path in files if row["image"]["bytes"] in path.read_bytes())
    data = file.read_bytes()
    at = data.index(row["image"]["bytes"]) + 60
    file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(StoreError, match=row["id"]):
        export(tmp_path / "run", "parquet", tmp_path / "out")
    assert not (tmp_path / "out" / "export.json").exists()


@pytest.mark.slow
def test_kill_9_at_random_instants(finished, tmp_path):
    def command(out: str) -> list[str]:
        return [sys.executable, "-m", "augforge.cli.app", "export", str(finished), "--to", "folder", "--out", out]

    started = time.monotonic()
    subprocess.run(command(str(tmp_path / "whole")), check=True, capture_output=True)
    length = time.monotonic() - started
    instants = random.Random(0)
    for _ in range(20):
        running = subprocess.Popen(command(str(tmp_path / "out")), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(instants.uniform(0.3, 1) * length)
        running.kill()
        running.wait()
        if instants.random() < 0.2 and (tmp_path / "out" / "export.json").exists():
            (tmp_path / "out" / "export.json").unlink()
            (tmp_path / "out" / WORK).mkdir(exist_ok=True)
    subprocess.run(command(str(tmp_path / "out")), check=True, capture_output=True)
    assert content(tmp_path / "out") == content(tmp_path / "whole")
