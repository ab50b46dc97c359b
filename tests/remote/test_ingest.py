"""Runs over sources by URL: the same ids as from a disk, and what changes is measured again."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from augforge.data.ledger import Ledger
from augforge.data.store import Store
from augforge.engine.ingest import read_sources
from augforge.errors import RemoteError
from augforge.io import detect, open_source
from augforge.progress import Progress
from augforge.remote import faults
from tests.bad_inputs import write_bad_inputs
from tests.conftest import write_images
from tests.remote.faulty import FINE, Fault, Proxy
from tests.remote.stores import Bucket, put_all
from tests.remote.test_sources import LAYOUTS

NAMES = ("id", "label", "split", "digest", "width", "height", "kept", "dropped", "note")


def read(url: str, out: Path, listed=lambda told: None) -> tuple[Ledger, int]:
    return read_sources([open_source(*detect(url))], Store(out), Progress(), listed=listed)


def rows(ledger: Ledger) -> list[tuple[object, ...]]:
    return [tuple(getattr(sample, name) for name in NAMES) for sample in ledger.samples(np.arange(len(ledger)))]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Class folders with copies, bad files and names of all kinds."""
    root = write_images(tmp_path / "set", {"cat": 3, "dog": 2})
    shutil.copy(root / "cat" / "0000.png", root / "cat" / "again.png")
    shutil.copy(root / "cat" / "0000.png", root / "dog" / "a b #1?+%20é.png")
    write_bad_inputs(root / "bird")
    for path in [path for path in root.rglob("*") if path.is_symlink() or not (path.is_dir() or path.is_file())]:
        path.unlink()  # a store has none
    for path in [path for path in root.rglob("*") if "\n" in path.name]:
        path.rename(path.with_name(path.name.replace("\n", "")))  # moto's server has no such keys
    return root


def test_ids_are_those_of_the_same_folder_on_a_disk(photos, tmp_path, bucket: Bucket):
    here, count = read(str(photos), tmp_path / "here")
    there, far = read(put_all(bucket, photos, "deep/set"), tmp_path / "there")
    assert rows(there) == rows(here) and there.classes == here.classes
    assert count == far == len(here) and not all(sample.kept for sample in here.samples(np.arange(len(here))))


@pytest.mark.parametrize("name", ["imagefolder, folders", "webdataset", "parquet, as on the Hub", "dataset"])
def test_ids_of_other_formats(name, tmp_path, bucket: Bucket):
    write, split = LAYOUTS[name]
    local = write(tmp_path / "set", split)
    here, there = read(str(local), tmp_path / "here"), read(put_all(bucket, local, "set"), tmp_path / "there")
    assert rows(there[0]) == rows(here[0]) and len(here[0]) == 10


def test_only_what_changed_is_read_again(tmp_path, bucket: Bucket):
    photos = write_images(tmp_path / "set", {"cat": 3, "dog": 2})
    url = put_all(bucket, photos, "set")
    first, _ = read(url, tmp_path / "out")
    assert read(url, tmp_path / "out")[1] == 0
    bucket.put("set/cat/0001.png", (photos / "dog" / "0000.png").read_bytes())
    bucket.remove("set/cat/0002.png")
    second, count = read(url, tmp_path / "out")
    assert count == 1 and len(second) == len(first) - 1


def test_an_object_that_goes_meanwhile_is_a_bad_image(tmp_path, bucket: Bucket):
    url = put_all(bucket, write_images(tmp_path / "set", {"cat": 3}), "set")
    ledger, _ = read(url, tmp_path / "out", lambda told: bucket.remove("set/cat/0001.png"))
    (lost,) = [sample for sample in ledger.samples(np.arange(len(ledger))) if sample.source.endswith("cat/0001.png")]
    assert (lost.kept, lost.dropped, lost.dropped_by) == (False, "missing file", "source")


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=pytest.mark.slow) for seed in range(6)])
def test_a_reading_that_was_ended_goes_on(tmp_path, faulty: tuple[Bucket, Proxy], monkeypatch, seed):
    bucket, proxy = faulty
    url = put_all(bucket, write_images(tmp_path / "set", {"cat": 5, "dog": 4}), "set")
    whole, count = read(url, tmp_path / "whole")
    allowed = random.Random(seed).randint(5, len(proxy.seen) - 2)
    start = len(proxy.seen)
    monkeypatch.setattr(faults, "PATIENCE", 0.2)
    proxy.plan = lambda request: FINE if request.number <= start + allowed else Fault(503, "SlowDown")
    with pytest.raises(RemoteError):
        read(url, tmp_path / "out")
    proxy.plan = lambda request: FINE
    again, left = read(url, tmp_path / "out")
    assert rows(again) == rows(whole) and left <= count
