"""The conditions of each store to which runs are written, and what rests on them: leases and whole runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from augforge.data.places import folder_to_read, folder_to_write
from augforge.engine.run import run
from augforge.errors import RemoteError, StoreError
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.remote import objects
from augforge.remote.bucket import Bucket
from augforge.remote.lease import NAME, Lease, held
from tests.conftest import write_images
from tests.remote.faulty import FINE, SLOW_DOWN, Fault, Plan, proxied
from tests.remote.kinds import KINDS, OF_OTHERS, InMemory, Kind, Store, azure_environment
from tests.remote.test_lease import stopped
from tests.remote.test_out import result

CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"
SERVERS = [pytest.param(name, marks=[pytest.mark.slow] if name in OF_OTHERS else []) for name in KINDS]


@pytest.fixture(scope="module", params=SERVERS)
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    """The server of each store."""
    with KINDS[request.param]() as running:
        yield running


@pytest.fixture
def store(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty bucket, which this process finds."""
    yield from found(kind, kind.endpoint, monkeypatch)


def found(kind: Kind, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty bucket that is spoken to by an address."""
    for name, value in kind.environment(endpoint).items():
        monkeypatch.setenv(name, value)
    objects._objects.cache_clear()
    yield kind.bucket()
    objects._objects.cache_clear()


def test_an_object_is_written_on_a_condition(store: Store):
    place = Bucket(f"{store.root}/run")
    assert place.look("a") is None
    first = place.put_new("a", b"one")
    assert first and place.put_new("a", b"two") is None
    seen = place.look("a")
    assert seen is not None and seen[:2] == (b"one", first) and -1 <= seen.age < 30
    second = place.put_over("a", b"three", first)
    assert second and second != first
    assert place.put_over("a", b"four", first) is None
    assert place.read("a") == b"three"
    place.remove("a")
    place.remove("a")
    assert place.put_over("a", b"five", second) is None
    assert place.look("a") is None and place.read("a") is None


def test_the_same_bytes_anew_are_another_object(store: Store):
    """S3 gives equal bytes the same ETag, which is why a lease says when it was written; the others do not."""
    place = Bucket(f"{store.root}/run")
    first = place.put_new("a", b"1 same")
    second = place.put_over("a", b"2 same", str(first))
    assert second is not None and second != first
    assert place.put_over("a", b"1 same", str(first)) is None


def test_of_many_that_write_at_once_one_succeeds(store: Store):
    place = Bucket(f"{store.root}/run")

    def at_once(etag: str | None) -> list[str]:
        start = threading.Barrier(8)

        def write(number: int) -> str | None:
            start.wait()
            content = f"{etag} {number}".encode()
            return place.put_new("a", content) if etag is None else place.put_over("a", content, etag)

        with ThreadPoolExecutor(8) as pool:
            return [done for done in pool.map(write, range(8)) if done]

    (etag,) = at_once(None)
    for _ in range(3):
        (etag,) = at_once(etag)
    seen = place.look("a")
    assert seen is not None and seen.etag == etag


@pytest.mark.parametrize("kind", ["google", "azure"], indirect=True)
def test_a_store_that_ignores_conditions_gives_a_lease_to_two(kind: Kind, store: Store):
    """So the tests above see it when a condition is not sent, or under a wrong name."""
    assert isinstance(store, InMemory)
    store.kept.heeds = False
    try:
        place = Bucket(f"{store.root}/run")
        assert place.put_new("a", b"one") and place.put_new("a", b"two") and place.put_over("a", b"three", '"0x1"')
    finally:
        store.kept.heeds = True


def until_over(place: Bucket) -> None:
    """Wait until a lease that is no longer renewed may be taken."""
    for _ in range(100):
        if (seen := held(place)) is not None and not seen.left:
            return
        time.sleep(0.2)
    raise TimeoutError("the lease does not end")


def test_a_lease_is_held_lost_and_released(store: Store):
    place = Bucket(f"{store.root}/run")
    first = Lease(place, seconds=3.0)
    first.take()
    time.sleep(4.5)  # it is renewed
    with pytest.raises(StoreError, match="another augforge is writing to"):
        Lease(place).take()
    stopped(first)
    until_over(place)
    second = Lease(place, seconds=30.0)
    second.take()
    with pytest.raises(StoreError, match="was taken over by process"):
        first.check()
    first.release()
    second.check()
    second.release()
    third = Lease(place)
    third.take()
    third.release()


def test_a_lease_that_somebody_removed_is_lost(store: Store):
    lease = Lease(Bucket(f"{store.root}/run"), seconds=0.4)
    lease.take()
    stopped(lease)
    store.remove(f"run/{NAME}")
    time.sleep(0.5)  # so that it is asked for again
    with pytest.raises(StoreError, match="has lost its lease"):
        lease.check()
    lease.release()


def other_writes(fault: Fault) -> Plan:
    """A plan in which every other write goes wrong."""
    numbers: list[int] = []

    def plan(request):
        if request.method not in ("PUT", "POST"):
            return FINE
        numbers.append(request.number)
        return fault if len(numbers) % 2 else FINE

    return plan


@pytest.mark.parametrize("fault", [Fault(mute=True), SLOW_DOWN], ids=["mute", "503"])
@pytest.mark.parametrize("kind", ["google", "azure"], indirect=True)
def test_faults_neither_lose_a_lease_nor_share_it(kind: Kind, fault, monkeypatch):
    """With `mute` the store has written, and its answer is lost: the holder has to know its own lease."""
    with proxied(kind.endpoint) as proxy:
        for store in found(kind, proxy.url, monkeypatch):
            proxy.plan = other_writes(fault)
            lease = Lease(Bucket(f"{store.root}/run"), seconds=60.0)  # so that it is renewed here alone
            lease.take()
            lease._renew(None)
            lease.check()
            with pytest.raises(StoreError, match="another augforge"):
                Lease(Bucket(f"{store.root}/run")).take()
            lease.release()


@pytest.mark.parametrize("kind", ["google", "azure"], indirect=True)
def test_access_that_is_denied_is_one_sentence(kind: Kind, monkeypatch):
    with proxied(kind.endpoint) as proxy:
        for store in found(kind, proxy.url, monkeypatch):
            proxy.plan = lambda request: Fault(403, "AuthorizationFailure")
            with pytest.raises(RemoteError, match="access is denied"):
                Bucket(f"{store.root}/run").put_new("a", b"")


def test_an_account_that_is_not_given_or_not_looked_at(monkeypatch):
    for name in ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_NAME"):
        monkeypatch.delenv(name, raising=False)
    objects._objects.cache_clear()
    with pytest.raises(RemoteError, match="no account was found") as raised:
        Bucket("az://container/run")
    assert "AZURE_STORAGE_ACCOUNT_NAME" in raised.value.hint
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_environment("http://127.0.0.1:1")[CONNECTION])
    with pytest.raises(RemoteError, match="names an account") as raised:
        Bucket("abfss://container@account.dfs.core.windows.net/run")
    assert "abfss://container/FOLDER" in raised.value.hint
    objects._objects.cache_clear()


def test_a_bucket_that_is_not_there(store: Store):
    missing = f"{store.root.partition('://')[0]}://no-such-bucket"
    with pytest.raises(RemoteError, match="there is no bucket no-such-bucket"):
        Bucket(f"{missing}/run").put_new("a", b"")


def test_a_run_has_the_result_of_one_on_the_disk(store: Store, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("AUGFORGE_CACHE", str(tmp_path / "cache"))
    root = write_images(tmp_path / "set", {"cat": 3, "dog": 2})
    stages = (build_stage("filter", "quality", {"keep": 0.8}),)
    recipe = Recipe("out", 1, (SourceSpec("folder", str(root)),), stages)
    run(recipe, tmp_path / "local", device="cpu")
    url = f"{store.root}/runs/one"
    run(recipe, folder_to_write(url), device="cpu")
    monkeypatch.setenv("AUGFORGE_CACHE", str(tmp_path / "another machine"))
    assert result(folder_to_read(url)) == result(tmp_path / "local")
    assert run(recipe, folder_to_write(url), device="cpu").up_to_date


@pytest.mark.slow
def test_a_large_file_goes_in_parts_and_comes_back(store: Store, tmp_path: Path):
    if isinstance(store, InMemory):
        pytest.skip("the servers in memory know no uploads in parts")
    content = bytes(range(256)) * (80 << 12)  # 80 MiB
    (tmp_path / "large").write_bytes(content)
    place = Bucket(f"{store.root}/run")
    stamp = place.put_file("parts/large", tmp_path / "large")
    assert place.stamps() == {"parts/large": (len(content), stamp)}
    place.fetch("parts/large", len(content), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
