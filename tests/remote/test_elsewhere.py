"""Workers that share nothing with the driver but the bucket: the same bytes, and nothing after the lease is lost."""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

import pytest

from augforge.data.away import Away, InBucket, Sent, in_bucket
from augforge.data.bundle import BundleTarget, addressed
from augforge.data.mirror import TOKEN, Mirror
from augforge.data.parts import Parts, PartsTarget
from augforge.data.places import folder_to_read, folder_to_write
from augforge.data.vectors import Vectors, VectorsTarget
from augforge.engine.engines.arrivals import Arrivals
from augforge.engine.engines.orders import Answer, Failed, Order, Outcome, Report, Task
from augforge.engine.engines.worker import Worker
from augforge.engine.run import run
from augforge.engine.work import Refused, Setting, Unit
from augforge.errors import AugforgeError, StoreError
from augforge.models import Model
from augforge.recipe import Recipe, SourceSpec, parse_recipe
from augforge.remote import bucket as buckets
from augforge.remote import lease as leases
from augforge.remote.lease import NAME as LEASE
from augforge.remote.lease import Lease, Watched
from tests.conftest import write_images
from tests.engine.engines.works import DOUBLED, Doubling, parts_in, row, rows_of
from tests.remote.faulty import FINE, Fault, Proxy, Request, every
from tests.remote.hidden import Elsewhere, can_hide, hiding, python_without
from tests.remote.stores import Bucket, environment
from tests.remote.test_out import keys, result

ROOT = Path(__file__).parents[2]
NOWHERE = Path("/nowhere/run")
hides = pytest.mark.skipif(not can_hide(), reason="only root may hide a folder from a process")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the driver's mirror lies."""
    monkeypatch.setenv("AUGFORGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def held(bucket: Bucket) -> Iterator[Mirror]:
    """A run whose lease is held."""
    mirror = Mirror(folder_to_write(f"{bucket.root}/run"), f"{bucket.root}/run")
    with mirror.held():
        yield mirror


@pytest.fixture
def away(held: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InBucket:
    """The run as a worker on another machine is told of it."""
    run = in_bucket([held.folder / "parts" / "doubled"])
    assert run is not None and run.is_seen and run.url == held.url
    monkeypatch.setenv("AUGFORGE_CACHE", str(tmp_path / "other"))
    return replace(run, folder=NOWHERE)


def stolen(bucket: Bucket) -> None:
    theirs = {"process": 1, "machine": "another", "since": 0, "seconds": 60, "released": False, "token": "x"}
    bucket.put(f"run/{LEASE}", json.dumps(theirs).encode())


@contextmanager
def serving(worker: Worker) -> Iterator[SimpleQueue[Answer]]:
    """The answers of a worker that serves in a thread."""
    thread = Thread(target=worker.serve)
    thread.start()
    try:
        yield SimpleQueue()
    finally:
        worker.end()
        thread.join(20)


def task(run: InBucket | None, setting: Setting | None = None) -> Task:
    setting = setting or Setting((), {}, {}, "cpu")
    folder = NOWHERE / "parts" / "doubled"
    return Task(Doubling(), setting, PartsTarget(folder, DOUBLED), str(folder / ".seen-0.tmp"), (), run)


def test_a_worker_that_does_not_see_the_folder_writes_into_the_bucket(away, held, bucket: Bucket, tmp_path):
    worker = Worker()
    with serving(worker) as answers:
        worker.tell(Order(1, task(away)), answers.put)
        report = answers.get(timeout=20).what
        assert isinstance(report, Report) and report.sees
        for number, items in enumerate([(0, 1, 2, 3), (4, 5)]):
            worker.tell(Order(1, Unit(number, items)), answers.put)
        found = [answers.get(timeout=20).what for _ in range(2)]
    assert all(isinstance(each, Outcome) for each in found)
    assert [[sent.name for sent in each.sent] for each in found] == [[f"parts/doubled/{each.part}"] for each in found]
    assert {name for name in keys(bucket) if "parts" in name} == {f"run/parts/doubled/{each.part}" for each in found}
    assert not NOWHERE.exists() and not list(tmp_path.glob("other/**/*.arrow"))
    here = in_bucket([held.folder / "parts" / "doubled"])
    with Arrivals(here) as arrivals:
        counted = []
        for each in found:
            arrivals.expect(each, held.folder / "parts" / "doubled", lambda each=each: counted.append(each.number))
        arrivals.settle(0)
    assert counted == [0, 1] and rows_of(parts_in(held.folder)) == [row(number) for number in range(6)]
    seen = parts_in(held.folder).target.write([row(number) for number in range(4)])
    assert seen.name == found[0].part, "a part is named otherwise by a worker that sees the folder"


def test_without_a_bucket_it_is_refused(away):
    worker = Worker()
    with serving(worker) as answers:
        worker.tell(Order(1, task(None)), answers.put)
        report = answers.get(timeout=20).what
    assert isinstance(report, Report) and not report.sees


def test_a_bucket_is_no_way_into_a_folder_beside_the_run(away):
    """Such as a shared store of vectors, which is not mounted there."""
    beside = replace(away, folder=Path("/nowhere/other"))
    worker = Worker()
    with serving(worker) as answers:
        worker.tell(Order(1, task(beside)), answers.put)
        report = answers.get(timeout=20).what
    assert isinstance(report, Report) and not report.sees


def test_a_folder_of_the_same_name_is_not_that_of_the_driver(held, tmp_path):
    run = in_bucket([held.folder / "parts" / "doubled"])
    stale = replace(run, folder=tmp_path / "stale")
    stale.folder.mkdir()
    assert not stale.is_seen
    (stale.folder / TOKEN).write_text("of an earlier driver")
    assert not stale.is_seen and run.is_seen


def test_only_a_run_in_a_bucket_is_one(tmp_path, held, bucket: Bucket):
    assert in_bucket([tmp_path / "parts" / "x"]) is None
    assert in_bucket([tmp_path / "store" / "vectors" / "x", held.folder / "models" / "m"]).folder == held.folder
    other = folder_to_write(f"{bucket.root}/other")
    assert in_bucket([other / "parts" / "x"]) is None, "nobody holds it"


def test_every_kind_of_part_is_sent_under_the_name_that_it_has_here(away, held, bucket: Bucket):
    hidden, digest = Away(away), "0" * 64
    vectors = [{"digest": digest, "vector": [0.0, 1.0]}]
    parts = PartsTarget(NOWHERE / "parts" / "doubled", DOUBLED)
    more = VectorsTarget(NOWHERE / "vectors" / "key", "float32")
    BundleTarget((parts, more)).by(hidden.commit).write([*addressed(0, [row(1)]), *addressed(1, vectors)])
    sent = hidden.sent()
    assert [each.name.rpartition("/")[0] for each in sent] == ["vectors/key", "parts/doubled"] and not hidden.sent()
    run = in_bucket([held.folder / "parts" / "doubled"])
    for each in sent:
        run.fetch(each)
        assert (held.folder / each.name).stat().st_size == each.size
    found = Vectors(held.folder / "vectors" / "key")
    assert found.matrix([digest]).tolist() == [[0.0, 1.0]] and rows_of(parts_in(held.folder)) == [row(1)]


def test_a_part_that_nobody_finds_ends_the_run(held):
    run = in_bucket([held.folder / "parts" / "doubled"])
    folder, part = held.folder / "parts" / "doubled", f"{'0' * 32}.arrow"
    with Arrivals(run) as arrivals, pytest.raises(StoreError, match=r"neither in .* nor in s3://"):
        arrivals.expect(Outcome(0, part, 1, Refused()), folder, lambda: pytest.fail("it was counted"))
    lost = Outcome(0, part, 1, Refused(), (Sent(f"parts/doubled/{part}", 10),))
    with Arrivals(run) as arrivals, pytest.raises(StoreError, match="is not there, though a worker says"):
        arrivals.expect(lost, folder, lambda: pytest.fail("it was counted"))
        arrivals.settle(0)


def test_the_driver_waits_when_too_many_parts_are_on_their_way(held, monkeypatch):
    from augforge.engine.engines import arrivals as module

    run, counted = in_bucket([held.folder / "parts" / "doubled"]), []
    monkeypatch.setattr(InBucket, "fetch", lambda self, sent: time.sleep(0.01))
    outcomes = [Outcome(number, "x", 1, Refused(), (Sent(f"parts/x/{number}", 1),)) for number in range(100)]
    with Arrivals(run) as arrivals:
        for each in outcomes:
            arrivals.expect(each, held.folder, lambda each=each: counted.append(each.number))
            assert len(arrivals._coming) <= module.WAITING
        arrivals.settle(0)
    assert counted == list(range(100))


def test_what_it_reads_is_fetched_and_what_is_gone_is_gone(away, held):
    folder, hidden = NOWHERE / "parts" / "doubled", Away(away)
    first = parts_in(held.folder)
    first.commit([row(1)])
    here = hidden.parts(folder)
    assert rows_of(Parts(here, DOUBLED, "id", lambda text: None)) == [row(1)]
    times = [path.stat().st_mtime_ns for path in here.glob("*.arrow")]
    first.commit([row(2)])
    assert len(list(hidden.parts(folder).glob("*.arrow"))) == 2
    assert [path.stat().st_mtime_ns for path in here.glob("*.arrow")].count(times[0]) == 1, "it was fetched again"
    first.reload()
    first.forget(["1"])
    assert rows_of(Parts(hidden.parts(folder), DOUBLED, "id", lambda text: None)) == [row(2)]


def test_workers_of_one_machine_fetch_once(faulty: tuple[Bucket, Proxy], tmp_path, monkeypatch):
    bucket, proxy = faulty
    mirror = Mirror(folder_to_write(f"{bucket.root}/run"), f"{bucket.root}/run")
    with mirror.held():
        for number in range(3):
            parts_in(mirror.folder).commit([row(number)])
        run = replace(in_bucket([mirror.folder / "parts" / "doubled"]), folder=NOWHERE)
        monkeypatch.setenv("AUGFORGE_CACHE", str(tmp_path / "other"))
        start = len(proxy.seen)
        workers = [Thread(target=Away(run).parts, args=(NOWHERE / "parts" / "doubled",)) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        fetched = [each.path for each in proxy.seen[start:] if each.method == "GET" and each.path.endswith(".arrow")]
    assert len(fetched) == len(set(fetched)) == 3
    assert len(list(tmp_path.glob("other/workers/*/parts/doubled/*.arrow"))) == 3


def test_a_model_is_fetched_in_the_state_that_it_has(away, held):
    folder = held.folder / "models" / "night-0"
    hidden = Away(away)
    with pytest.raises(StoreError, match="there is no model at"):
        hidden.model(NOWHERE / "models" / "night-0")
    places = []
    for content in (b"one", b"two"):
        (folder / "deep").mkdir(parents=True, exist_ok=True)
        (folder / "deep" / "model.safetensors").write_bytes(content)
        held.keep("models")
        places.append(hidden.model(NOWHERE / "models" / "night-0"))
    assert [(place / "deep" / "model.safetensors").read_bytes() for place in places] == [b"one", b"two"]


def test_the_worker_opens_with_what_was_fetched(away, held, monkeypatch):
    seen = {}

    class Looking(Doubling):
        def open(self, pixels, device, progress):  # type: ignore[no-untyped-def]
            from augforge.models import trained_rows

            seen["rows"] = rows_of(pixels.generated["doubled"])
            seen["model"] = (Path(trained_rows()["mine"].location) / "model.json").read_text()
            return super().open(pixels, device, progress)

    parts_in(held.folder).commit([row(7)])
    (held.folder / "models" / "night-0").mkdir(parents=True)
    (held.folder / "models" / "night-0" / "model.json").write_text("{}")
    held.keep("models")
    model = Model("mine", ("night",), str(NOWHERE / "models" / "night-0"), "", "", identity="x")
    given = task(away, Setting((), {"doubled": (NOWHERE / "parts" / "doubled", DOUBLED, "id")}, {"mine": model}, "cpu"))
    worker = Worker()
    with serving(worker) as answers:
        worker.tell(Order(1, replace(given, work=Looking())), answers.put)
        assert isinstance(answers.get(timeout=20).what, Report)
    assert seen == {"rows": [row(7)], "model": "{}"}


def test_a_lease_is_read_now_and_then(faulty: tuple[Bucket, Proxy]):
    bucket, proxy = faulty
    place = buckets.Bucket(f"{bucket.root}/run")
    lease = Lease(place, 60.0)
    lease.take()
    watched = Watched(place, lease.token, every=0.5)
    start, until = len(proxy.seen), time.monotonic() + 1.2
    while time.monotonic() < until:
        watched.check()
        time.sleep(0.01)
    assert 2 <= len(proxy.seen) - start <= 4
    lease.release()
    time.sleep(0.5)
    with pytest.raises(StoreError, match="is no longer held by this run"):
        watched.check()


def test_a_lease_that_is_not_renewed_is_waited_for_and_then_given_up(bucket: Bucket):
    place = buckets.Bucket(f"{bucket.root}/run")
    plain = {"process": 1, "machine": "m", "seconds": 3.0, "released": False, "token": "mine"}
    bucket.put(f"run/{LEASE}", json.dumps(plain).encode())
    watched, began = Watched(place, "mine", every=0.1), time.monotonic()
    with pytest.raises(StoreError, match="could not be held any longer: this run stops"):
        while True:
            watched.check()
    assert 2.0 < time.monotonic() - began < 7.0


def test_a_run_that_lost_its_lease_is_not_written_to_by_its_workers(away, bucket: Bucket, monkeypatch):
    monkeypatch.setattr(leases, "WATCH", 0.2)
    worker = Worker()
    with serving(worker) as answers:
        worker.tell(Order(1, task(away)), answers.put)
        worker.tell(Order(1, Unit(0, (0, 1))), answers.put)
        assert isinstance(answers.get(timeout=20).what, Report) and isinstance(answers.get(timeout=20).what, Outcome)
        stolen(bucket)
        time.sleep(0.3)
        before = keys(bucket)
        worker.tell(Order(1, Unit(1, (2, 3))), answers.put)
        said = answers.get(timeout=20).what
    assert isinstance(said, Failed) and "was taken over by process 1 on another" in str(said.error)
    assert keys(bucket) == before


def test_a_source_that_is_not_there_is_one_sentence(away, tmp_path):
    (tmp_path / "unmounted").mkdir()
    for value in (str(tmp_path / "nowhere"), str(tmp_path / "unmounted"), str(tmp_path / "x-{00..99}.tar")):
        kind = "webdataset" if "{" in value else "folder"
        worker = Worker()
        with serving(worker) as answers:
            setting = Setting((SourceSpec("sample", "digits"), SourceSpec(kind, value)), {}, {}, "cpu")
            worker.tell(Order(1, task(away, setting)), answers.put)
            said = answers.get(timeout=20).what
        assert isinstance(said, Failed)
        assert str(said.error).startswith(
            f"{socket.gethostname()} (process {os.getpid()}) does not see the source {value}"
        )
        assert "s3://" in said.error.hint


def recipe_of(source: str) -> Recipe:
    """A model that is trained, images of it and of those, and what looks at all of them, by pixels and by vectors."""
    return parse_recipe(f"""
name: elsewhere
seed: 1
source: {{folder: {source}}}
stages:
  - {{train: night, as: mine, size: 32, width: 4, blocks: 1, batch: 2, day: cat, night: dog, steps: 40,
     rate: 0.002}}
  - {{generate: night, model: mine, of: cat, label: dog, ratio: 1.0, batch: 2}}
  - {{generate: weather, kind: fog, per-class: 6, processes: 1}}
  - {{filter: quality, keep: 0.9}}
  - {{filter: clip, any-class: true, keep: 0.9}}
  - {{select: facility-location, share: 0.7}}
""")


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """A source, and what is made of it."""
    return recipe_of(str(write_images(tmp_path / "set", {"cat": 6, "dog": 5})))


@pytest.fixture
def local(recipe: Recipe, tmp_path: Path) -> dict[str, str]:
    """The digests of the same run's result on the disk."""
    run(recipe, tmp_path / "local", device="cpu")
    return result(tmp_path / "local")


@hides
@pytest.mark.slow
def test_workers_elsewhere_come_to_the_same_bytes(recipe, local, bucket: Bucket, cache, tmp_path):
    url = f"{bucket.root}/run"
    out = folder_to_write(url)
    engine = Elsewhere(2, python_without(cache, tmp_path / "other", tmp_path / "python"))
    run(recipe, out, device="cpu", engine=engine)
    assert list(tmp_path.glob("other/workers/*/models/night-*/model.safetensors")), "no worker was elsewhere"
    assert list(tmp_path.glob("other/workers/*/parts/generate-*/*.arrow"))
    assert not list(tmp_path.glob("other/runs")) and not list(tmp_path.glob("other/workers/*/vectors"))
    shutil.rmtree(cache)
    assert result(folder_to_read(url)) == local
    shutil.rmtree(cache)
    again = run(recipe, folder_to_write(url), device="cpu", engine=engine)
    assert again.up_to_date


@hides
@pytest.mark.slow
def test_sources_by_url_and_faults_that_pass(recipe, faulty: tuple[Bucket, Proxy], cache, tmp_path):
    bucket, proxy = faulty
    for path in (tmp_path / "set").rglob("*.png"):
        bucket.put(f"set/{path.relative_to(tmp_path / 'set')}", path.read_bytes())
    recipe = recipe_of(f"{bucket.root}/set")
    run(recipe, tmp_path / "local", device="cpu")
    proxy.plan = every(4, Fault(503, "SlowDown"))
    url = f"{bucket.root}/run"
    engine = Elsewhere(2, python_without(cache, tmp_path / "other", tmp_path / "python"))
    run(recipe, folder_to_write(url), device="cpu", engine=engine)
    proxy.plan = lambda request: FINE
    shutil.rmtree(cache)
    assert result(folder_to_read(url)) == result(tmp_path / "local")


@hides
def test_workers_that_write_where_nobody_reads_end_the_run(recipe, bucket: Bucket, cache, tmp_path):
    url = f"{bucket.root}/run"
    out = folder_to_write(url)
    python = python_without(cache, tmp_path / "other", tmp_path / "python", "tests.remote.blind")
    with pytest.raises(StoreError, match=r"the part .* is neither in .* nor in s3://"):
        run(recipe, out, device="cpu", engine=Elsewhere(2, python))
    assert "run/run.json" not in keys(bucket)


@hides
def test_in_a_plain_folder_that_they_do_not_see_they_are_refused(recipe, tmp_path):
    (tmp_path / "plain").mkdir()
    python = python_without(tmp_path / "plain", tmp_path / "other", tmp_path / "python")
    with pytest.raises(AugforgeError, match=r"does not see .*/plain/run/parts/source") as caught:
        run(recipe, tmp_path / "plain" / "run", device="cpu", engine=Elsewhere(2, python))
    assert "--out s3://" in caught.value.hint


@hides
def test_a_source_that_workers_do_not_see_is_told_before_any_image_is_read(recipe, bucket: Bucket, tmp_path):
    python = python_without(tmp_path / "set", tmp_path / "other", tmp_path / "python")
    with pytest.raises(AugforgeError, match=rf"{socket.gethostname()} .* does not see the source {tmp_path}/set"):
        run(recipe, folder_to_write(f"{bucket.root}/run"), device="cpu", engine=Elsewhere(2, python))


@hides
@pytest.mark.slow
def test_a_run_that_loses_its_lease_in_the_middle_stops(recipe, faulty: tuple[Bucket, Proxy], cache, tmp_path):
    bucket, proxy = faulty
    stolen_at: list[int] = []

    def plan(request: Request) -> Fault:
        if request.method == "PUT" and "/parts/generate-weather" in request.path and not stolen_at:
            stolen(bucket)
            stolen_at.append(request.number)
            return Fault(seconds=leases.WATCH + 1)
        return FINE

    proxy.plan = plan
    engine = Elsewhere(1, python_without(cache, tmp_path / "other", tmp_path / "python"))
    with pytest.raises(AugforgeError, match="was taken over by process 1 on another"):
        run(recipe, folder_to_write(f"{bucket.root}/run"), device="cpu", engine=engine)
    after = [each.path for each in proxy.seen if each.method == "PUT" and each.number > stolen_at[0]]
    assert not [path for path in after if not path.endswith(LEASE)], "something was written after the lease was lost"
    assert json.loads(bucket.client.get_object(Bucket=bucket.name, Key=f"run/{LEASE}")["Body"].read())["token"] == "x"


@hides
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_driver_that_is_killed_is_gone_on_with(seed, recipe, local, faulty: tuple[Bucket, Proxy], cache, tmp_path):
    bucket, proxy = faulty
    url, draw = f"{bucket.root}/run", random.Random(seed)
    (tmp_path / "recipe.yaml").write_text(recipe.yaml(), encoding="utf-8")
    cache.mkdir(exist_ok=True)
    python = python_without(cache, tmp_path / "other", tmp_path / "python")
    command = [sys.executable, "-m", "tests.remote.hidden", str(tmp_path / "recipe.yaml"), url, python]
    killed = 0
    for _ in range(3):
        running = subprocess.Popen(
            command, env={**os.environ, **environment(proxy.url), "AUGFORGE_CACHE": str(cache)}, cwd=ROOT
        )
        wanted = len(proxy.seen) + draw.randint(20, 120)
        while len(proxy.seen) < wanted and running.poll() is None:
            time.sleep(0.002)
        with suppress(ProcessLookupError):
            running.send_signal(signal.SIGKILL)
        killed += running.wait() == -signal.SIGKILL
    assert killed
    run(recipe, folder_to_write(url), device="cpu", engine=Elsewhere(2, python))
    shutil.rmtree(cache)
    assert result(folder_to_read(url)) == local


@contextmanager
def cluster(hidden: Path, known: dict[str, str]) -> Iterator[str]:
    """The address of a Ray of two CPUs whose processes do not see a folder, and have an environment of their own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["ray.scripts.scripts", "start", "--head", "--block", "--port", str(port), "--num-cpus", "2"]
    words += ["--object-store-memory", str(80 << 20), "--include-dashboard", "false", "--disable-usage-stats"]
    command = hiding(hidden, [sys.executable, "-m", *words])
    running = subprocess.Popen(command, env=known, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not reached(port):
            assert running.poll() is None and time.monotonic() < end, "no Ray has started"
            time.sleep(0.5)
        yield f"127.0.0.1:{port}"
    finally:
        running.terminate()  # it ends all processes of its machine
        with suppress(subprocess.TimeoutExpired):
            running.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)


def reached(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@hides
@pytest.mark.slow
def test_a_cluster_that_shares_only_the_bucket(recipe, local, bucket: Bucket, cache, tmp_path, s3_endpoint):
    pytest.importorskip("ray")
    url = f"{bucket.root}/run"
    cache.mkdir()
    (tmp_path / "recipe.yaml").write_text(recipe.yaml(), encoding="utf-8")
    own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # of this cluster alone
    known = {**os.environ, **environment(s3_endpoint), **own, "PYTHONPATH": str(ROOT)}
    with cluster(cache, {**known, "AUGFORGE_CACHE": str(tmp_path / "other")}) as address:
        command = [sys.executable, "-m", "tests.remote.hidden", str(tmp_path / "recipe.yaml"), url, address]
        driver = {**known, "AUGFORGE_CACHE": str(cache)}
        done = subprocess.run(command, env=driver, stderr=subprocess.PIPE, text=True, timeout=400, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("other/workers/*/models/night-*/model.safetensors")), "no worker was elsewhere"
    shutil.rmtree(cache)
    assert result(folder_to_read(url)) == local
