"""Runs into a bucket: the result of a run on the disk, whatever happens on the way."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from augforge.data import mirror as mirrors
from augforge.data.files import digest_of
from augforge.data.mirror import HELD, Mirror, commit, discard, url_of
from augforge.data.places import folder_to_read, folder_to_write
from augforge.engine.run import run
from augforge.engine.status import status
from augforge.errors import RemoteError, SourceError, StoreError
from augforge.io import detect, open_source
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.remote import faults
from augforge.remote.lease import NAME as LEASE
from tests.conftest import write_images
from tests.remote.faulty import FINE, SLOW_DOWN, Fault, Proxy, Request, every
from tests.remote.stores import Bucket, environment

SAME = ("samples.parquet", "recipe.yaml", "recipe.lock", "README.md", "certificates.json")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the mirrors of this test lie."""
    monkeypatch.setenv("AUGFORGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """A source, images made of it, and a filter."""
    root = write_images(tmp_path / "set", {"cat": 4, "dog": 3})
    stages = (
        build_stage("generate", "shifts", {"families": ["blur", "contrast"], "size": 32}),
        build_stage("filter", "quality", {"keep": 0.8}),
    )
    return Recipe("out", 1, (SourceSpec("folder", str(root)),), stages)


@pytest.fixture
def local(recipe: Recipe, tmp_path: Path) -> dict[str, str]:
    """The digests of the same run's result on the disk."""
    run(recipe, tmp_path / "local", device="cpu")
    return result(tmp_path / "local")


def result(folder: Path) -> dict[str, str]:
    """The digests of the files of a result."""
    files = [folder / name for name in SAME] + [path for path in (folder / "dataset").rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): digest_of(path) for path in files}


def elsewhere(url: str, cache: Path) -> Path:
    """The run as another machine finds it, which has nothing of it yet."""
    shutil.rmtree(cache)
    return folder_to_read(url)


def keys(bucket: Bucket) -> set[str]:
    pages = bucket.client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name)
    return {one["Key"] for page in pages for one in page.get("Contents", ())}


def test_the_result_is_that_of_a_run_on_the_disk(recipe, local, bucket: Bucket, cache):
    url = f"{bucket.root}/runs/one"
    done = run(recipe, folder_to_write(url), device="cpu")
    assert done.out == url and done.computed
    assert result(elsewhere(url, cache)) == local
    again = run(recipe, folder_to_write(url), device="cpu")
    assert again.up_to_date and again.computed == 0


def test_another_machine_goes_on_with_what_is_there(recipe, local, bucket: Bucket, cache):
    url = f"{bucket.root}/run"
    run(recipe, folder_to_write(url), device="cpu")
    for name in keys(bucket):
        if not name.startswith("run/parts/"):
            bucket.remove(name)
    parts = keys(bucket)
    shutil.rmtree(cache)
    done = run(recipe, folder_to_write(url), device="cpu")
    assert done.computed == 0 and not done.up_to_date and parts <= keys(bucket)
    assert result(elsewhere(url, cache)) == local


def test_a_run_is_a_source_by_its_url(recipe, local, bucket: Bucket, tmp_path):
    url = f"{bucket.root}/run"
    run(recipe, folder_to_write(url), device="cpu")
    assert detect(url) == ("run", url)
    here, there = open_source("run", str(tmp_path / "local")), open_source("run", url)
    entries = list(there.entries())
    assert [(e.locator, e.label, e.carried) for e in here.entries()] == [
        (e.locator, e.label, e.carried) for e in entries
    ]
    kept = [entry.locator for entry in entries if entry.carried["kept"]]
    assert [here.read(locator) for locator in kept] == [there.read(locator) for locator in kept]


def test_run_json_is_written_last_and_taken_away_first(recipe, faulty: tuple[Bucket, Proxy], tmp_path):
    bucket, proxy = faulty
    out = folder_to_write(f"{bucket.root}/run")
    run(recipe, out, device="cpu")
    written = [request.path.rpartition(f"{bucket.name}/run/")[2] for request in proxy.seen if request.method == "PUT"]
    results = [name for name in written if not name.startswith((".", "parts"))]
    assert results[-1] == "run.json" and len(results) == len(set(results)) > 5
    last_part = max(number for number, name in enumerate(written) if name.endswith(".arrow") and "parts/" in name)
    assert last_part < written.index("samples.parquet")
    start = len(proxy.seen)
    changed = Recipe("out", 1, recipe.sources, (*recipe.stages[:1], build_stage("filter", "quality", {"keep": 0.5})))
    run(changed, out, device="cpu", replace=True)
    changes = [request for request in proxy.seen[start:] if request.method in ("PUT", "DELETE", "POST")]
    others = [r for r in changes if not r.path.rpartition("/")[2].startswith(".") and "/parts/" not in r.path]
    assert (others[0].method, others[0].path.rpartition("/")[2]) == ("DELETE", "run.json")
    assert (others[-1].method, others[-1].path.rpartition("/")[2]) == ("PUT", "run.json")


@pytest.mark.parametrize(
    "fault",
    [
        SLOW_DOWN,
        pytest.param(Fault(409, "OperationAborted"), marks=pytest.mark.slow),
        pytest.param(Fault(mute=True), marks=pytest.mark.slow),
        pytest.param(Fault(deaf=True), marks=pytest.mark.slow),
        pytest.param(Fault(cut=True), marks=pytest.mark.slow),
    ],
    ids=["503", "409", "mute", "closed", "cut"],
)
def test_faults_that_pass_change_nothing(recipe, local, faulty: tuple[Bucket, Proxy], cache, fault):
    bucket, proxy = faulty
    proxy.plan = every(3, fault)
    url = f"{bucket.root}/run"
    run(recipe, folder_to_write(url), device="cpu")
    proxy.plan = lambda request: FINE
    assert result(elsewhere(url, cache)) == local


@pytest.mark.slow
@pytest.mark.parametrize("after", [10, 25, 40])
def test_a_server_that_is_gone_for_five_seconds(recipe, local, faulty: tuple[Bucket, Proxy], cache, after):
    bucket, proxy = faulty
    gone: list[float] = []

    def plan(request: Request) -> Fault:
        if request.number >= after and not gone:
            gone.append(time.monotonic() + 5.0)
        return Fault(deaf=True) if gone and time.monotonic() < gone[0] else FINE

    proxy.plan = plan
    url = f"{bucket.root}/run"
    run(recipe, folder_to_write(url), device="cpu")
    assert gone and result(elsewhere(url, cache)) == local


def test_a_part_that_could_not_be_written_is_not_there(recipe, local, faulty: tuple[Bucket, Proxy], cache, monkeypatch):
    bucket, proxy = faulty
    monkeypatch.setattr(faults, "PATIENCE", 0.3)
    proxy.plan = lambda request: SLOW_DOWN if "/parts/generate" in request.path else FINE
    url = f"{bucket.root}/run"
    with pytest.raises(RemoteError, match=r"/parts/generate-.* cannot be written: the store did not answer"):
        run(recipe, folder_to_write(url), device="cpu")
    assert not list(folder_to_write(url).glob("parts/generate*/*.arrow")) and "run/run.json" not in keys(bucket)
    proxy.plan = lambda request: FINE
    run(recipe, folder_to_write(url), device="cpu")
    assert result(elsewhere(url, cache)) == local


@pytest.fixture
def on_disk(recipe: Recipe, tmp_path: Path) -> Path:
    """The recipe as a file."""
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe.yaml(), encoding="utf-8")
    return path


def driver(recipe: Path, url: str, endpoint: str, cache: Path) -> subprocess.Popen[str]:
    """A run in another process."""
    words = [sys.executable, "-m", "tests.remote.driver", str(recipe), url]
    known = {**os.environ, **environment(endpoint), "AUGFORGE_CACHE": str(cache)}
    return subprocess.Popen(words, env=known, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


SLOW = pytest.mark.slow
KILLED_AT = ["run.json", pytest.param("samples.parquet", marks=SLOW), pytest.param("/parts/generate", marks=SLOW)]


@pytest.mark.parametrize("place", KILLED_AT)
def test_a_driver_that_is_killed_at_a_write_is_gone_on_with(
    place, on_disk, recipe, local, faulty: tuple[Bucket, Proxy], cache
):
    """The store has the object or has it not, and nobody has heard: the process dies while it waits for the answer."""
    bucket, proxy = faulty
    url = f"{bucket.root}/run"
    victim: list[subprocess.Popen[str]] = []

    def plan(request: Request) -> Fault:
        if request.method == "PUT" and place in request.path and victim[0].poll() is None:
            victim[0].send_signal(signal.SIGKILL)
            victim[0].wait()
            return Fault(deaf=True)
        return FINE

    proxy.plan = plan
    victim.append(driver(on_disk, url, proxy.url, cache))
    victim[0].wait(timeout=120)
    assert victim[0].returncode == -signal.SIGKILL
    assert "run/run.json" not in keys(bucket)
    with pytest.raises(SourceError, match=r"has no finished result|is no run|missing"):
        open_source("run", url)
    proxy.plan = lambda request: FINE
    run(recipe, folder_to_write(url), device="cpu")  # of this machine: the lease of the dead is not waited for
    assert result(elsewhere(url, cache)) == local


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_a_driver_that_is_killed_at_any_time_is_gone_on_with(
    seed, on_disk, recipe, local, faulty: tuple[Bucket, Proxy], cache
):
    bucket, proxy = faulty
    url = f"{bucket.root}/run"
    draw = random.Random(seed)
    for _ in range(3):
        victim = driver(on_disk, url, proxy.url, cache)
        wanted = len(proxy.seen) + draw.randint(1, 40)
        while len(proxy.seen) < wanted and victim.poll() is None:
            time.sleep(0.002)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        if draw.random() < 0.3:
            shutil.rmtree(cache)  # another machine goes on
    run(recipe, folder_to_write(url), device="cpu")
    assert result(elsewhere(url, cache)) == local


def test_two_drivers(on_disk, recipe, local, faulty: tuple[Bucket, Proxy], cache, tmp_path):
    bucket, proxy = faulty
    url = f"{bucket.root}/run"
    go_on = threading.Event()

    def plan(request: Request) -> Fault:
        if request.method == "PUT" and request.path.endswith("samples.parquet"):
            go_on.wait(60)
        return FINE

    proxy.plan = plan
    first = driver(on_disk, url, proxy.url, cache)
    while f"run/{LEASE}" not in keys(bucket) and first.poll() is None:
        time.sleep(0.05)
    for place in (cache, tmp_path / "another machine"):
        second = driver(on_disk, url, proxy.url, place)
        _, said = second.communicate(timeout=60)
        assert second.returncode == 1 and said.startswith(f"another augforge is writing to {url}"), said
    go_on.set()
    _, said = first.communicate(timeout=120)
    assert first.returncode == 0, said
    assert result(elsewhere(url, cache)) == local


INTERRUPTED_AT = ["/parts/generate", *(pytest.param(name, marks=SLOW) for name in ("/parts/source", "samples.parquet"))]


@pytest.mark.parametrize("place", INTERRUPTED_AT)
def test_ctrl_c_releases_the_lease(place, on_disk, faulty: tuple[Bucket, Proxy], cache, recipe, local):
    bucket, proxy = faulty
    url = f"{bucket.root}/run"
    busy, go_on = threading.Event(), threading.Event()

    def plan(request: Request) -> Fault:
        if request.method == "PUT" and place in request.path:
            busy.set()
            go_on.wait(60)
        return FINE

    proxy.plan = plan
    interrupted = driver(on_disk, url, proxy.url, cache)
    assert busy.wait(60)
    interrupted.send_signal(signal.SIGINT)
    time.sleep(0.5)
    go_on.set()
    interrupted.communicate(timeout=60)
    assert interrupted.returncode not in (0, 1)
    lease = json.loads(bucket.client.get_object(Bucket=bucket.name, Key=f"run/{LEASE}")["Body"].read())
    assert lease["released"] and lease["process"] == interrupted.pid
    shutil.rmtree(cache)
    run(recipe, folder_to_write(url), device="cpu")
    assert result(elsewhere(url, cache)) == local


def test_a_run_that_loses_its_lease_writes_no_more(recipe, bucket: Bucket, monkeypatch):
    url = f"{bucket.root}/run"
    out = folder_to_write(url)
    monkeypatch.setattr(mirrors, "SECONDS", 2.0)
    put = Mirror.put

    def stolen(self: Mirror, path: Path, content: object) -> None:
        if path.parent.name.startswith("generate"):
            theirs = {"process": 1, "machine": "another", "since": 0, "seconds": 60, "released": False, "token": "x"}
            bucket.put(f"run/{LEASE}", json.dumps(theirs).encode())
            time.sleep(1.5)
        put(self, path, content)

    monkeypatch.setattr(Mirror, "put", stolen)
    with pytest.raises(StoreError, match=rf"^{url} was taken over by process 1 on another: this run stops$"):
        run(recipe, out, device="cpu")
    there = keys(bucket)
    assert not any("generate" in name for name in there) and "run/run.json" not in there
    assert json.loads(bucket.client.get_object(Bucket=bucket.name, Key=f"run/{LEASE}")["Body"].read())["token"] == "x"


def test_how_far_it_is(recipe, bucket: Bucket, cache):
    url = f"{bucket.root}/run"
    with pytest.raises(StoreError, match="is no run folder: nothing has run into it"):
        status(url)
    run(recipe, folder_to_write(url), device="cpu")
    found = status(url)
    assert (found.state, found.stages_done, found.folder) == ("finished", 2, url)
    assert found.made == found.planned > 0 and found.holder.alive is False
    bucket.remove("run/run.json")
    assert status(url).state == "stopped"


def test_what_is_no_run_is_left_alone(recipe, bucket: Bucket):
    bucket.put("photos/a.png", b"")
    with pytest.raises(StoreError, match="holds files that are not of a run"):
        run(recipe, folder_to_write(f"{bucket.root}/photos"), device="cpu")
    assert keys(bucket) == {"photos/a.png"}


def test_a_run_is_not_its_own_source(recipe, bucket: Bucket):
    url = f"{bucket.root}/run"
    run(recipe, folder_to_write(url), device="cpu")
    itself = Recipe("itself", 1, (SourceSpec("run", url),), recipe.stages)
    for out in (url, f"{url}/inside"):
        with pytest.raises(StoreError, match=r"its (own )?source"):
            run(itself, folder_to_write(out), device="cpu")


def test_no_run_at_a_url(bucket: Bucket):
    with pytest.raises(StoreError, match="there is no run at"):
        folder_to_read(f"{bucket.root}/nothing")


def test_what_is_removed_here_is_removed_there(bucket: Bucket):
    mirror = Mirror(folder_to_write(f"{bucket.root}/run"), f"{bucket.root}/run")
    part = mirror.folder / "parts" / "source" / "0.arrow"
    with mirror.held():
        commit(part, b"content")
        assert "run/parts/source/0.arrow" in keys(bucket) and part.read_bytes() == b"content"
        discard(part)
        assert "run/parts/source/0.arrow" not in keys(bucket) and not part.exists()


def test_a_part_that_is_not_there_does_not_count_here(bucket: Bucket):
    mirror = Mirror(folder_to_write(f"{bucket.root}/run"), f"{bucket.root}/run")
    part = mirror.folder / "parts" / "source" / "0.arrow"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"never sent")
    with mirror.held():
        assert not part.exists()


def test_a_worker_writes_only_while_the_driver_holds_the_lease(bucket: Bucket):
    url = f"{bucket.root}/run"
    folder = folder_to_write(url)
    driver, worker = Mirror(folder, url), Mirror(folder, url)
    with driver.held():
        worker.put(folder / "parts" / "a" / "0.arrow", b"0")
        os.utime(folder / HELD, (1, 1))
        worker._seconds = 0.5
        with pytest.raises(StoreError, match="could not be held any longer: this run stops"):
            worker.put(folder / "parts" / "a" / "1.arrow", b"1")
    with pytest.raises(StoreError, match="is no longer held by this run"):
        worker.put(folder / "parts" / "a" / "1.arrow", b"1")
    assert url_of(folder) == url and {"run/parts/a/0.arrow", f"run/{LEASE}"} == keys(bucket)


def test_a_large_file_is_written_in_parts(bucket: Bucket, monkeypatch):
    from augforge.remote import bucket as buckets
    from augforge.remote.conditions.s3 import S3

    monkeypatch.setattr(buckets, "PIECE", 5 << 20)
    monkeypatch.setattr(S3, "writing", {**S3.writing, "chunksize": 5 << 20})
    url = f"{bucket.root}/run"
    folder = folder_to_write(url)
    content = random.Random(0).randbytes(12 << 20)
    with Mirror(folder, url).held():
        commit(folder / "parts" / "a" / "0.arrow", content)
        (folder / "samples.parquet").write_bytes(content)
    etags = [
        bucket.client.head_object(Bucket=bucket.name, Key=f"run/{name}")["ETag"]
        for name in ("parts/a/0.arrow", "samples.parquet")
    ]
    assert all("-" in etag for etag in etags)
    shutil.rmtree(folder)
    assert (folder_to_read(url) / "samples.parquet").read_bytes() == content
